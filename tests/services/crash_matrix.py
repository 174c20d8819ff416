"""The crash matrix: a flow is run again and again, each time with a kill at another of its steps.

The end must always be the same. A flow is a generator: what it does before its `yield` prepares, what it does after it
is under test, with assertions about the end.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import httpx
from rich.table import Table

from tests.running import System

PATIENCE_SECONDS = 60
RUNS_TO_REACH = 3
"""A retry numbers its entries anew: a run disturbed by the kill before it may pass a point under another number."""
Flow = Callable[[System], Iterator[None]]

LOOKS = {
    "PlayerService/getAccount",
    "PlayerService/getBet",
    "PlayerService/getStatement",
    "PlayerService/audit",
    "PlayerService/depositStatus",
    "DepositFollowUp/status",
    "WithdrawalWorkflow/status",
    "MarketService/get",
    "SettlementWorkflow/progress",
}
"""Handlers that flows call to look; they change nothing."""


class Insisting(System):
    """A system as its customers reach it: they ask again, with the same business id, until there is an answer."""

    def call(
        self,
        service: str,
        handler: str,
        body: object = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Call a handler until it answers."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                response = super().call(service, handler, body, key, headers)
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if response.status_code < 500 and not _is_starting(response):
                return response
        raise AssertionError(f"no answer from {service}/{handler} in {PATIENCE_SECONDS} s")


def _is_starting(response: httpx.Response) -> bool:
    """Whether a restate-server that has just started does not know yet what is registered with it."""
    return response.status_code == 404 and response.json()["source"] == "ingress"


@dataclass
class Crashing:
    """A running system whose service can be killed at a point."""

    system: Insisting
    folder: Path

    def plan(self, moment: str, pid: int, point: str) -> None:
        (self.folder / "plan").write_text(f"{moment} {pid} {point}")

    def was_killed(self) -> bool:
        return not (self.folder / "plan").exists()

    def points(self) -> list[str]:
        """The points that passed since the last call, once each."""
        seen = self.folder / "seen"
        points = list(dict.fromkeys(seen.read_text().splitlines()))
        seen.write_text("")
        return points


@dataclass(frozen=True)
class Kill:
    """What is killed, and when."""

    process: str
    moment: str
    point: str


def matrix(crashing: Crashing, flow: Flow, of: Sequence[str] = ("",)) -> Table:
    """Run a flow once for every kill at the steps that match one of some expressions, by default at all steps."""
    name = flow.__name__.replace("_", " ")
    table = Table("flow", "step", "killed", "moment", "end", title=f"crash matrix: {name}")
    steps = _steps_of(crashing, flow)
    for wanted in of:
        assert any(re.match(wanted, step) for step in steps), f"{name} has no step {wanted}: {steps}"
    points = [step for step in steps if any(re.match(wanted, step) for wanted in of)]
    for kill in _kills(points):
        reached = any(_is_killed_in(crashing, flow, kill) for _ in range(RUNS_TO_REACH))
        assert reached, f"{kill.point} was not reached again in {RUNS_TO_REACH} runs"
        table.add_row(name, kill.point, kill.process, kill.moment, "same")
    return table


def _is_killed_in(crashing: Crashing, flow: Flow, kill: Kill) -> bool:
    """Run a flow with a kill planned; whether its point was reached."""
    pid = 0 if kill.process == "service" else crashing.system.facts()["pids"]["restate"]
    run(crashing, flow, lambda: crashing.plan(kill.moment, pid, kill.point))
    return crashing.was_killed()


def run(crashing: Crashing, flow: Flow, before: Callable[[], object]) -> None:
    """Let a flow prepare, do something, and let it go on to its end."""
    steps = flow(crashing.system)
    next(steps)
    before()
    assert next(steps, "ended") == "ended", "a flow yields once"


def _steps_of(crashing: Crashing, flow: Flow) -> list[str]:
    """The points that a flow passes each time; what a retry of something earlier passed is none of them."""
    runs = []
    for _ in range(2):
        run(crashing, flow, crashing.points)
        runs.append(crashing.points())
    return [point for point in runs[0] if point in runs[1] and _is_step(point)]


def _is_step(point: str) -> bool:
    """Whether a point is an entry, which the message that ends an attempt is not, of a handler that does something."""
    handler, _, entry = point.split(" ")
    return entry != "End" and handler not in LOOKS


def _kills(points: Sequence[str]) -> Iterator[Kill]:
    """The service before a handler's first entry, before an effect outside is entered, and after every entry.

    restate-server in the middle of what each component does.
    """
    for point in points:
        _, number, entry = point.split(" ")
        if number == "1" or entry == "RunResult":
            yield Kill("service", "before", point)
        yield Kill("service", "after", point)
    for _, of_one in groupby(sorted(points, key=_component), key=_component):
        entries = list(of_one)
        yield Kill("restate-server", "after", entries[len(entries) // 2])


def _component(point: str) -> str:
    return point.split("/")[0]
