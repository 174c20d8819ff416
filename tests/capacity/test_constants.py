"""The constants are those of the code, the chart, Restate and the benchmark."""

import re
import subprocess
import tomllib
from pathlib import Path

import yaml

from app.capacity.constants import CONSTANTS, GIB, MIB, Basis
from app.capacity.needs import OPERATIONS, value
from app.dev.binaries import restate_server
from app.services import settlement
from app.services.payments import withdrawals
from app.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "betting"
SECONDS_A_DAY = 86_400


def size(text: str) -> float:
    """A size as Restate writes it."""
    number, unit = text.split()
    return float(number) * {"MiB": MIB, "GiB": GIB}[unit]


def test_what_is_kept_for_how_long_is_what_the_code_says() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert value("answer_seconds") == Settings.model_fields["idempotency_seconds"].default
    assert {settlement.RETENTION.days, withdrawals.RETENTION.days} == {value("workflow_days")}
    assert value("follow_up_days") == values["books"]["forgetAfterDays"]


def test_what_the_chart_is_set_to_is_what_the_chart_says() -> None:
    restate = yaml.safe_load((CHART / "values.yaml").read_text())["restate"]
    snapshots = restate["snapshots"]

    assert value("log_records") == snapshots["everyRecords"] * (snapshots["retained"] + 1)
    assert value("least_partitions") == restate["partitions"]
    assert f"{value('least_rocksdb_bytes') / MIB:g}MiB" == restate["rocksdbMemory"]
    copies = re.findall(r'RESTATE_DEFAULT_REPLICATION, value: "(\d)"', (CHART / "templates/_restate.tpl").read_text())
    assert copies == [f"{value('copies'):g}"]


def test_what_restate_is_set_to_is_what_it_says_itself(tmp_path: Path) -> None:
    command = [str(restate_server()), "--dump-config"]
    asked = subprocess.run(command, env={"RESTATE_BASE_DIR": str(tmp_path)}, capture_output=True, check=True)
    config = tomllib.loads(asked.stdout.decode())

    assert config["default-journal-retention"] == f"{value('journal_seconds') / SECONDS_A_DAY:g}d"
    beside_rocksdb = (
        config["worker"]["invoker"]["memory-limit"],
        config["admin"]["query-engine"]["memory-size"],
        config["bifrost"]["record-cache-memory-size"],
    )
    # 250 MiB are told as a quarter of a GiB.
    assert abs(sum(map(size, beside_rocksdb)) - value("node_memory_bytes")) < 10 * MIB


def test_what_is_measured_is_what_the_benchmark_prints() -> None:
    text = (ROOT / "tests" / "bench" / "sizes.py").read_text()
    of_each = {f"{one}_{kind}" for one in OPERATIONS for kind in ("service_ms", "restate_ms", "written_bytes")}
    of_some = set(re.findall(r'values\["(\w+)"\]', text)) | set(re.findall(r'"(idle_\w+)"', text))
    left = {f"{name}_bytes" for name in re.findall(r'self\._left\("(\w+)"', text)}

    assert of_each | of_some | left == {name for name, one in CONSTANTS.items() if one.basis is Basis.MEASURED}


def test_each_constant_says_its_unit_and_how_it_was_found() -> None:
    assert [name for name, one in CONSTANTS.items() if not one.unit or not one.how or one.value < 0] == []
