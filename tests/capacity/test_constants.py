"""The constants are those of the code, the chart, Restate and the benchmark."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from app.capacity.constants import CONSTANTS, GIB, MIB, Basis
from app.capacity.needs import OPERATIONS, needs_of, usual_load, value
from app.dev.binaries import restate_server
from app.services import settlement
from app.services.payments import withdrawals
from app.settings import Settings
from tests.chart.rendered import LEFT_TO_RESTATE, pod_specs, render

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "betting"
SECONDS_A_DAY = 86_400


def size(text: str) -> float:
    """A size as Restate writes it."""
    number, unit = text.split()
    return float(number) * {"MiB": MIB, "GiB": GIB}[unit]


def restates_memory(*values: str) -> dict[str, str]:
    """Restate's settings in the chart."""
    [container] = pod_specs(render(*values))["betting-restate"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


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
    assert f"{value('least_rocksdb_bytes') / MIB:g}MiB" == restates_memory()["RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE"]
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
        config["worker"]["data-service-memory-limit"],
    )
    assert sum(map(size, beside_rocksdb)) + LEFT_TO_RESTATE * MIB == value("node_memory_bytes")


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("bets", [1, 100, 1_000, 10_000])
def test_the_chart_takes_the_memory_that_a_node_needs(bets: int, nodes: int) -> None:
    needs = needs_of(usual_load(bets, players=1_000, days=90), nodes)

    told = restates_memory(
        f"--set=restate.rocksdbMemory={needs.rocksdb_bytes / MIB:.0f}MiB",
        f"--set=restate.resources.limits.memory={needs.node_memory_bytes / MIB:.0f}Mi",
    )

    assert told["RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE"] == f"{needs.rocksdb_bytes / MIB:.0f}MiB"


def test_what_is_measured_is_what_the_benchmark_prints() -> None:
    text = (ROOT / "tests" / "bench" / "sizes.py").read_text()
    of_each = {f"{one}_{kind}" for one in OPERATIONS for kind in ("service_ms", "restate_ms", "written_bytes")}
    of_some = set(re.findall(r'values\["(\w+)"\]', text)) | set(re.findall(r'"(idle_\w+)"', text))
    left = {f"{name}_bytes" for name in re.findall(r'self\._left\("(\w+)"', text)}

    assert of_each | of_some | left == {name for name, one in CONSTANTS.items() if one.basis is Basis.MEASURED}


def test_each_constant_says_its_unit_and_how_it_was_found() -> None:
    assert [name for name, one in CONSTANTS.items() if not one.unit or not one.how or one.value < 0] == []
