"""Business numbers, counted once for each invocation however often it is attempted, by whichever process of a pod.

A number and the invocation that it came from are written in one transaction, before Restate hears that the invocation
has ended: a process killed in between is followed by another attempt, which finds its invocation counted. SQLite keeps
them on file, so that a killed process loses nothing and the processes of a pod add up. Only a pod that is lost with its
folder can make a difference, of the invocations that ended in that moment.
"""

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

REMEMBERED = 100_000
"""How many invocations are known to be counted: far more than can be under way when a process is killed."""
FORGET_EVERY = 1_000
BUSY_SECONDS = 1.0
"""How long a process waits for its turn at the file."""
START_SECONDS = 30.0
"""How long one that begins waits: no money waits for it yet, and without the file it would end."""

_SCHEMA = """
create table if not exists counted (n integer primary key autoincrement, invocation text not null unique);
create table if not exists totals (
    name text not null, labels text not null, value integer not null, primary key (name, labels)
) without rowid;
"""
_SEPARATOR = "\x1f"

logger = logging.getLogger(__name__)


class Counter(NamedTuple):
    """A number that only grows, with what it means and what it is told apart by."""

    name: str
    help: str
    labels: tuple[str, ...]


class Count(NamedTuple):
    """So much more of a counter, with a value for each of its labels."""

    counter: Counter
    values: Sequence[str]
    amount: int = 1


class Counts:
    """The counters stored in one folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "counts.sqlite"
        self._database = self._connect(START_SECONDS)
        _wait_for_wal(self._database)
        self._database.executescript(_SCHEMA)
        self._database.execute(f"pragma busy_timeout = {1_000 * BUSY_SECONDS:.0f}")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, invocation: str, counts: Iterable[Count]) -> None:
        """Count what an invocation did, unless that was done. Money never waits for a number: an error is only told."""
        try:
            self._add(invocation, counts)
        except sqlite3.Error:
            logger.exception("numbers of an invocation were lost")

    def totals(self) -> dict[tuple[str, tuple[str, ...]], int]:
        """Every total, by the counter's name and the values of its labels."""
        with closing(self._connect(BUSY_SECONDS)) as database:
            rows = database.execute("select name, labels, value from totals").fetchall()
        return {(name, tuple(labels.split(_SEPARATOR))): value for name, labels, value in rows}

    def _add(self, invocation: str, counts: Iterable[Count]) -> None:
        with self._database as transaction:
            transaction.execute("begin immediate")
            new = transaction.execute("insert or ignore into counted (invocation) values (?)", (invocation,))
            if new.rowcount == 0:
                return
            transaction.executemany(
                "insert into totals values (?, ?, ?) on conflict do update set value = value + excluded.value",
                [(count.counter.name, _SEPARATOR.join(count.values), count.amount) for count in counts],
            )
            if new.lastrowid and new.lastrowid % FORGET_EVERY == 0:
                transaction.execute("delete from counted where n <= ?", (new.lastrowid - REMEMBERED,))

    def _connect(self, patience_seconds: float) -> sqlite3.Connection:
        database = sqlite3.connect(self._file, timeout=patience_seconds, isolation_level=None)
        database.execute("pragma synchronous = off")  # what is written survives the process, which is enough
        return database


def _wait_for_wal(database: sqlite3.Connection) -> None:
    """Write ahead to a log. Of processes that begin at once, one does this step; SQLite refuses the others at once."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            database.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


class CountsCollector(Collector):
    """Shows counters to Prometheus; those that never counted too, so that their first increase is seen."""

    def __init__(self, counts: Counts, shown: Sequence[Count]) -> None:
        self._counts = counts
        self._shown = shown

    def collect(self) -> Iterator[Metric]:
        """Yield every counter with its totals."""
        zeros = {(count.counter.name, tuple(count.values)): 0 for count in self._shown}
        totals = zeros | self._counts.totals()
        for counter in dict.fromkeys(count.counter for count in self._shown):
            family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
            for (name, values), total in totals.items():
                if name == counter.name:
                    family.add_metric(values, total)
            yield family
