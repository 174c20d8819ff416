"""What Restate's parts may take fits into the memory limit of its pod."""

import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.dev.binaries import restate_server
from tests.chart.rendered import ENVIRONMENTS, LEFT_TO_RESTATE, Object, environment, pod_specs, render

PARTS = {
    "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": ("rocksdb-total-memory-size",),
    "RESTATE_WORKER__INVOKER__MEMORY_LIMIT": ("worker", "invoker", "memory-limit"),
    "RESTATE_ADMIN__QUERY_ENGINE__MEMORY_SIZE": ("admin", "query-engine", "memory-size"),
    "RESTATE_BIFROST__RECORD_CACHE_MEMORY_SIZE": ("bifrost", "record-cache-memory-size"),
    "RESTATE_WORKER__DATA_SERVICE_MEMORY_LIMIT": ("worker", "data-service-memory-limit"),
}
"""Restate's settings of memory, and where its configuration has each."""
UNITS = {"Mi": 1, "MiB": 1, "Gi": 1024, "GiB": 1024}
SECONDS = 30


def mebibytes(told: str) -> int:
    number, unit = re.fullmatch(r"([0-9.]+) ?(\w+)", told).groups()  # type: ignore[union-attr]
    return int(float(number) * UNITS[unit])


def settings(objects: tuple[Object, ...]) -> dict[str, str]:
    [container] = pod_specs(objects)["betting-restate"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if each["name"] in PARTS}


def shares(*arguments: str) -> list[int]:
    told = settings(render(*arguments))
    return [mebibytes(told[setting]) for setting in PARTS if setting in told]


def limited(memory: str) -> str:
    return f"--set=restate.resources.limits.memory={memory}"


def test_by_default_restate_has_what_it_is_planned_to_have() -> None:
    assert shares() == [512, 256, 256, 128, 128]


@pytest.mark.parametrize("memory", ["1Gi", "1537Mi", "2Gi", "2147483648", "3G", "6Gi", "64Gi"])
def test_the_shares_leave_the_program_what_it_needs(memory: str) -> None:
    limit = mebibytes(memory) if memory.endswith("i") else int(float(memory.replace("G", "e9"))) // 1024**2

    told = shares(limited(memory))

    assert len(told) == len(PARTS)
    assert limit // 4 <= told[0] < sum(told) <= limit - LEFT_TO_RESTATE


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_each_environment_adds_up(name: str) -> None:
    objects = environment(name)
    [container] = pod_specs(objects)["betting-restate"]["containers"]
    told = [mebibytes(share) for share in settings(objects).values()]

    assert len(told) == len(PARTS)
    assert sum(told) <= mebibytes(container["resources"]["limits"]["memory"]) - LEFT_TO_RESTATE


def test_rocksdb_may_have_more_than_its_share() -> None:
    assert shares(limited("6Gi"), "--set=restate.rocksdbMemory=3GiB") == [3072, 768, 768, 250, 256]


def test_of_a_large_limit_no_part_but_rocksdb_gets_more_than_restate_would_give_it(tmp_path: Path) -> None:
    rocksdb, *others = shares(limited("64Gi"))
    _, *defaults = (mebibytes(found(configuration({}, tmp_path), place)) for place in PARTS.values())

    assert rocksdb == 16 * 1024
    assert others == defaults


def test_what_is_exactly_enough_is_taken() -> None:
    assert shares("--set=restate.rocksdbMemory=896MiB") == [896, 256, 256, 128, 128]


def test_what_restates_own_settings_say_of_memory_stands_once_and_is_not_counted() -> None:
    own = "--set=restate.env.RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE=1GiB"
    [container] = pod_specs(render(own, limited("800Mi")))["betting-restate"]["containers"]

    assert shares(own) == [1024, 256, 256, 128, 128]
    names = [each["name"] for each in container["env"]]
    assert sorted(name for name in names if name in PARTS) == sorted(PARTS)


@pytest.mark.parametrize("part", ["restate.resources.limits.memory", "restate.resources.limits", "restate.resources"])
def test_without_a_limit_there_is_nothing_to_share(part: str) -> None:
    assert shares(f"--set={part}=null") == []
    assert shares(f"--set={part}=null", "--set=restate.rocksdbMemory=1GiB") == [1024]


def test_restate_reads_each_share(tmp_path: Path) -> None:
    told = settings(render(limited("3Gi")))

    read = configuration(told, tmp_path)

    assert {setting: mebibytes(found(read, place)) for setting, place in PARTS.items()} == {
        setting: mebibytes(share) for setting, share in told.items()
    }


def configuration(environment: Mapping[str, str], folder: Path) -> Mapping[str, Any]:
    """What Restate makes of its settings."""
    dumped = subprocess.run(
        [restate_server(), "--dump-config"],
        env={"RESTATE_BASE_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return tomllib.loads(dumped.stdout)


def found(read: Mapping[str, Any], place: tuple[str, ...]) -> str:
    value: Any = read
    for name in place:
        value = value[name]
    return str(value)
