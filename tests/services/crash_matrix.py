"""The crash matrix: a flow is run again and again, and each time something ends at another of its steps.

The service or restate-server is killed, or the invocation that is at the step is cancelled or killed. The end must be
the same as undisturbed; where an invocation was cancelled or killed, the money may also be back where it was, but never
in between. A flow is a generator: what it does before its `yield` prepares, what it does after it is under test, with
assertions about the end, and it returns BACK where the money is back.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
from rich.table import Table

from tests.helpers.deposits import subjects
from tests.helpers.waiting import is_unknown_to_restate
from tests.running import System

PATIENCE_SECONDS = 200
"""More than one answer may take."""
REFERENCE_RUNS = 3
RUNS_TO_REACH = 5
"""A retry numbers its entries anew: a run disturbed by the kill before it may pass a point under another number."""
SAME, BACK, NOT_REACHED = "same", "back", "not reached"
"""How a flow can end: as if nothing had happened, or with the money back where it was. A step that two runs passed may
be one of an earlier flow's delayed work, or of a rare timing: then it is not reached again."""
ONE_IN = 8
"""At most one end in so many may not be reached."""
Steps = Generator[None, None, str | None]
Flow = Callable[[System], Steps] | Callable[[System], Iterator[None]]

COLUMNS = ("service before", "service after", "restate-server", "cancel", "kill")
"""What ends at a step."""
PROCESSES = COLUMNS[:3]
MESSAGE = "CommsService/send"
"""A message that is killed is lost: nobody repeats it."""

LOOKS = {
    "PlayerService/getAccount",
    "PlayerService/getBet",
    "PlayerService/getStatement",
    "PlayerService/audit",
    "PlayerService/depositStatus",
    "PlayerService/findDeposit",
    "PlayerService/withdrawal",
    "DepositFollowUp/status",
    "WithdrawalWorkflow/status",
    "MarketService/get",
    "MarketService/prices",
    "MarketService/liability",
    "SettlementWorkflow/progress",
    "SettlementRun/progress",
    "MarketService/resultVersion",
}
"""Handlers that flows call to look; they change nothing."""


class Insisting(System):
    """A system as its customers reach it: they ask again, with the same business id, until there is an answer.

    `once` is for those who give up: what they began is then undone, or finished by itself.
    """

    once = System.call
    mails_are_sure = True
    """Whether nothing was killed that may have taken a mail along: Restate hands a kill on to what was called and sent,
    so that a killed decision ends the run that it asks, what that calls, and the message that this sends."""

    def call(
        self,
        service: str,
        handler: str,
        body: object = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Call a handler until it answers."""
        for _ in _tries():
            try:
                response = super().call(service, handler, body, key, headers)
            except httpx.TransportError:
                continue
            if response.status_code < 500 and not is_unknown_to_restate(response) and not was_stopped(response):
                return response
        raise AssertionError(f"no answer from {service}/{handler} in {PATIENCE_SECONDS} s")

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask Restate until it answers: for a moment after its start it cannot read its own tables."""
        for _ in _tries():
            with suppress(httpx.TransportError, httpx.HTTPStatusError):
                return super().query(sql)
        raise AssertionError(f"no answer to {sql} in {PATIENCE_SECONDS} s")


def _tries() -> Iterator[None]:
    """As many tries as patience lasts, with a pause between them."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        yield
        time.sleep(0.1)


def customer_knows(betting: System, body: dict[str, object], *true: str) -> None:
    """Check that the customer has these mails and no others; at most one is missing where a kill may have taken it."""
    sure = not isinstance(betting, Insisting) or betting.mails_are_sure
    seen = subjects(betting, body, len(true) if sure else len(true) - 1)
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(true)


def was_stopped(response: httpx.Response) -> bool:
    """Whether the invocation that was to answer, or one that it called, was cancelled or killed."""
    return response.status_code == 409 and response.json()["message"] in ("cancelled", "canceled", "killed")


@dataclass
class Crashing:
    """A running system where something can end at a point."""

    system: Insisting
    folder: Path
    seen_bytes: int = 0
    """How much of what passed was looked at; the service goes on to write, so that nothing may be cut off."""

    def plan(self, end: "End") -> None:
        what = {"service": "0", "restate-server": str(self.system.facts()["pids"]["restate"])}.get(end.what, end.what)
        (self.folder / "plan").write_text(f"{end.moment} {what} {end.point}")

    def was_reached(self) -> bool:
        return not (self.folder / "plan").exists()

    def forget_plan(self) -> None:
        (self.folder / "plan").unlink(missing_ok=True)

    def points(self) -> list[str]:
        """The points that passed since the last call, once each."""
        with (self.folder / "seen").open("rb") as seen:
            seen.seek(self.seen_bytes)
            passed = seen.read()
        self.seen_bytes += len(passed)
        return list(dict.fromkeys(passed.decode().splitlines()))


@dataclass(frozen=True)
class End:
    """What ends, a process or an invocation (`cancel`, `kill`), and when."""

    what: str
    moment: str
    point: str

    @property
    def column(self) -> str:
        return f"service {self.moment}" if self.what == "service" else self.what


def matrix(
    crashing: Crashing, flow: Flow, of: Sequence[str] = ("",), columns: Sequence[str] = PROCESSES
) -> tuple[Table, int]:
    """Run a flow once for every end at the steps that match one of some expressions, by default at all steps.

    Gives the table to print, and how many ends it tells of.
    """
    name = flow.__name__.replace("_", " ")
    steps = _steps_of(crashing, flow)
    for wanted in of:
        assert any(re.match(wanted, step) for step in steps), f"{name} has no step {wanted}: {steps}"
    points = [step for step in steps if any(re.match(wanted, step) for wanted in of)]
    cells: dict[str, dict[str, str]] = defaultdict(dict)
    ends = [end for end in _ends(points) if end.column in columns]
    for end in ends:
        how = _how_it_ends(crashing, flow, end)
        cells[end.point][end.column] = BACK if cells[end.point].get(end.column) == BACK else how
    missed = [point for point, cell in cells.items() for how in cell.values() if how == NOT_REACHED]
    if missed:  # what it passes only while the machine is busy is none of its steps
        steps = _steps_of(crashing, flow)
        missed = [point for point in missed if point in steps]
    assert len(missed) * ONE_IN <= len(ends), f"not reached again in {RUNS_TO_REACH} runs: {missed}"
    table = Table("flow", "step", *columns, title=f"crash matrix: {name}")
    for point in points:
        table.add_row(name, point, *(cells[point].get(column, "") for column in columns))
    return table, len(ends)


def _how_it_ends(crashing: Crashing, flow: Flow, end: End) -> str:
    """Run a flow with something that ends at a point, until that was reached."""
    crashing.system.mails_are_sure = end.what != "kill"
    for _ in range(RUNS_TO_REACH):
        try:
            how = run(crashing, flow, lambda: crashing.plan(end))
        except BaseException as error:
            error.add_note(f"{flow.__name__}: {end.what} {end.moment} {end.point}")
            raise
        if crashing.was_reached():
            assert how == SAME or end.what in ("cancel", "kill"), f"{end}: {how}"
            return how
    crashing.forget_plan()
    return NOT_REACHED


def run(crashing: Crashing, flow: Flow, before: Callable[[], object]) -> str:
    """Let a flow prepare, do something, and let it go on to its end, which it names."""
    steps = flow(crashing.system)
    next(steps)
    before()
    try:
        next(steps)
    except StopIteration as end:
        return SAME if end.value is None else str(end.value)
    raise AssertionError("a flow yields once")


def _steps_of(crashing: Crashing, flow: Flow) -> list[str]:
    """The points that most runs of a flow pass; what a retry of something earlier passed is none of them.

    A busy machine may disturb one run, or have it end before its last entry has passed.
    """
    crashing.system.mails_are_sure = True
    runs = Counter[str]()
    for _ in range(REFERENCE_RUNS):
        run(crashing, flow, crashing.points)
        runs.update(crashing.points())
    return [point for point, count in runs.items() if 2 * count > REFERENCE_RUNS and _is_step(point)]


def _is_step(point: str) -> bool:
    """Whether a point is an entry, which the message that ends an attempt is not, of a handler that does something."""
    handler, _, entry = point.split(" ")
    return entry != "End" and handler not in LOOKS


def _ends(points: Sequence[str]) -> Iterator[End]:
    """The service before a handler's first entry, before an effect outside is entered, and after every entry.

    restate-server in the middle of what each component does. An invocation after every entry; it is killed also before
    its first.
    """
    for point in points:
        handler, number, entry = point.split(" ")
        if number == "1" or entry == "RunResult":
            yield End("service", "before", point)
        yield End("service", "after", point)
        yield End("cancel", "after", point)
        if handler != MESSAGE:
            if number == "1":
                yield End("kill", "before", point)
            yield End("kill", "after", point)
    for _, of_one in groupby(sorted(points, key=_component), key=_component):
        entries = list(of_one)
        yield End("restate-server", "after", entries[len(entries) // 2])


def _component(point: str) -> str:
    return point.split("/")[0]
