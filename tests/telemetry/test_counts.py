"""Counting once for each invocation, over processes and their deaths."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.telemetry import counts
from app.telemetry.counts import Count, Counter, Counts, CountsCollector

BETS = Counter("bets", "Bets", ("outcome",))
STAKED = Counter("staked", "Stakes", ("currency",))
WON = Count(BETS, ("won",))

ENDLESS = """
import sys
from itertools import count
from pathlib import Path
from app.telemetry import counts
from tests.telemetry.test_counts import WON
counts.BUSY_SECONDS = 60
ours = counts.Counts(Path(sys.argv[1]))
for number in count():
    ours.add(f"{sys.argv[2]}-{number}", [WON])
    print(number, flush=True)
"""


def test_an_invocation_counts_once(tmp_path: Path) -> None:
    ours = Counts(tmp_path)

    for _ in range(3):
        ours.add("i-1", [WON, Count(STAKED, ("EUR",), 500)])
    ours.add("i-2", [WON])

    assert ours.totals() == {("bets", ("won",)): 2, ("staked", ("EUR",)): 500}


def test_processes_of_a_folder_add_up_and_know_what_the_others_counted(tmp_path: Path) -> None:
    one, other = Counts(tmp_path), Counts(tmp_path)

    one.add("i-1", [WON])
    other.add("i-2", [WON])
    other.add("i-1", [WON])

    assert one.totals() == other.totals() == {("bets", ("won",)): 2}


def test_whoever_begins_while_another_does_can_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    with closing(sqlite3.connect(tmp_path / "counts.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")  # as in the other's first step: SQLite refuses ours at once, without a wait

        def end_the_other(seconds: float) -> None:
            waits.append(seconds)
            if other.in_transaction:
                other.execute("commit")

        monkeypatch.setattr(time, "sleep", end_the_other)
        refused = begun(tmp_path)

    assert refused is None
    assert waits, "it had to wait"
    assert Counts(tmp_path).totals() == {("bets", ("won",)): 1}


def begun(folder: Path) -> sqlite3.Error | None:
    """Begin and count once; what SQLite refused."""
    try:
        with closing(Counts(folder)) as ours:
            ours.add("i-1", [WON])
    except sqlite3.Error as error:
        return error
    return None


def test_a_killed_process_has_counted_all_that_it_said_and_each_once(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(tmp_path), name], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        for name in ("a", "b")
    ]
    said = {}
    for name, process in zip(("a", "b"), processes, strict=True):
        assert process.stdout is not None
        for _ in range(20):
            assert process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        said[name] = 20 + len(process.stdout.read().split())
        process.wait()
        process.stdout.close()

    after = Counts(tmp_path)
    known = after.totals()["bets", ("won",)]
    assert sum(said.values()) <= known <= sum(said.values()) + 2  # a kill may come between counting and saying
    for name, many in said.items():
        for number in range(many):
            after.add(f"{name}-{number}", [WON])
    assert after.totals()["bets", ("won",)] == known


def test_of_long_ago_only_the_totals_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "REMEMBERED", 20)
    monkeypatch.setattr(counts, "FORGET_EVERY", 10)
    ours = Counts(tmp_path)

    for number in range(100):
        ours.add(f"i-{number}", [WON])

    [(kept,)] = sqlite3.connect(tmp_path / "counts.sqlite").execute("select count(*) from counted")
    assert 20 <= kept < 30
    ours.add("i-99", [WON])
    assert ours.totals() == {("bets", ("won",)): 100}


def test_money_does_not_wait_for_a_number_that_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "BUSY_SECONDS", 0.01)
    ours = Counts(tmp_path)
    other = sqlite3.connect(tmp_path / "counts.sqlite", isolation_level=None)
    other.execute("begin exclusive")

    with caplog.at_level(logging.ERROR):
        ours.add("i-1", [WON])

    other.execute("rollback")
    assert "numbers of an invocation were lost" in caplog.text
    assert ours.totals() == {}


def test_a_counter_is_shown_from_zero(tmp_path: Path) -> None:
    ours = Counts(tmp_path)
    collector = CountsCollector(ours, [WON, Count(BETS, ("lost",))])
    ours.add("i-1", [WON])

    [family] = collector.collect()

    assert {sample.labels["outcome"]: sample.value for sample in family.samples} == {"won": 1, "lost": 0}
    assert {sample.name for sample in family.samples} == {"bets_total"}
