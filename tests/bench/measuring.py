"""Rounds of requests, medians over them, and ratios to the least that Restate can do."""

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from uuid import uuid4

import aiohttp
import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.bench.costs import Cost, Meter

Body = dict[str, object] | None
Request = tuple[str, Body] | tuple[str, Body, dict[str, str]]
"""A path, or an address of something else than the ingress; a body; and perhaps headers."""
FLOOR = "no-op Virtual Object"
REQUESTS_A_ROUND = {1: 60, 16: 320, 64: 640}
WARM_UP_ROUNDS = 1
PAUSE_SECONDS = 1.0
"""Before and after a round: what is sent one way belongs to the round that sent it."""

run_id = uuid4().hex[:8]
numbers = itertools.count()


def fresh() -> str:
    """A name that nobody has used."""
    return f"{run_id}-{next(numbers)}"


def in_order() -> str:
    """A name that sorts after all that came before it, as a UUIDv7 or a ULID does."""
    return f"{time.time_ns():016x}-{next(numbers)}"


def no_op() -> Request:
    """An exclusive handler that does nothing, over many keys."""
    return f"BenchFloor/{fresh()}/nothing", None


@runtime_checkable
class Prepared(Protocol):
    """A flow that needs something to be there before each round, which does not count."""

    async def prepare(self, client: aiohttp.ClientSession, count: int) -> None:
        """Get ready for so many requests."""


@dataclass(frozen=True)
class Round:
    """One round of one flow: latencies in milliseconds, answers a second, and what a request cost."""

    p50: float
    p99: float
    rate: float
    cost: Cost


@dataclass(frozen=True)
class Result:
    """The medians of a flow's rounds, and how they stand to the floor's."""

    flow: str
    clients: int
    p50_ms: float
    p99_ms: float
    per_second: float
    p50_to_floor: float
    rate_to_floor: float
    cpu_ms: Mapping[str, float]
    """CPU milliseconds a request, by process."""
    invocations: float
    entries: float
    """Entries of journals, a request."""

    @property
    def all_cpu_ms(self) -> float:
        """CPU milliseconds a request, of all processes together."""
        return sum(self.cpu_ms.values())


async def ask(client: aiohttp.ClientSession, path: str, body: Body, more: Mapping[str, str] | None = None) -> None:
    """One request; an answer that is not 200 ends the benchmark."""
    headers = {**({} if body is None else {"content-type": "application/json"}), **(more or {})}
    url = path if "://" in path else f"/{path}"
    async with client.post(url, data=None if body is None else json.dumps(body), headers=headers) as answer:
        text = await answer.text()
        if answer.status != 200:
            raise click.ClickException(f"{path} answered {answer.status}: {text}")


async def one_round(
    client: aiohttp.ClientSession, flow: Callable[[], Request], clients: int, count: int, meter: Meter
) -> Round:
    """So many requests by so many clients, each asking again as soon as it is answered."""
    latencies: list[float] = []
    left = iter(range(count))

    async def customer() -> None:
        for _ in left:
            started = time.perf_counter()
            await ask(client, *flow())
            latencies.append((time.perf_counter() - started) * 1000)

    await asyncio.sleep(PAUSE_SECONDS)
    before, started = meter.read(), time.perf_counter()
    await asyncio.gather(*(customer() for _ in range(clients)))
    rate = count / (time.perf_counter() - started)
    await asyncio.sleep(PAUSE_SECONDS)
    cost = meter.read().since(before).a_request(count, meter.idle, time.perf_counter() - started)
    return Round(statistics.median(latencies), statistics.quantiles(latencies, n=100)[98], rate, cost)


async def measure(
    ingress: str, flows: Mapping[str, Callable[[], Request]], rounds: int, all_clients: Sequence[int], meter: Meter
) -> list[Result]:
    """All flows, round by round in turn, so that whatever else the machine does meets all of them."""
    results = []
    connector = aiohttp.TCPConnector(limit=0)
    with Progress(console=Console(stderr=True)) as progress:
        work = progress.add_task("measuring", total=len(all_clients) * (rounds + WARM_UP_ROUNDS) * len(flows))
        async with aiohttp.ClientSession(ingress, connector=connector, skip_auto_headers=["Content-Type"]) as client:
            for clients in all_clients:
                count = REQUESTS_A_ROUND.get(clients, 10 * clients)
                measured: dict[str, list[Round]] = {name: [] for name in flows}
                for number in range(rounds + WARM_UP_ROUNDS):
                    for name, flow in flows.items():
                        if isinstance(flow, Prepared):
                            await flow.prepare(client, count)
                        result = await one_round(client, flow, clients, count, meter)
                        if number >= WARM_UP_ROUNDS:
                            measured[name].append(result)
                        progress.advance(work)
                results += summed_up(measured, clients)
    return results


def summed_up(measured: dict[str, list[Round]], clients: int) -> list[Result]:
    """The medians over the rounds."""
    medians = {name: _median(rounds) for name, rounds in measured.items()}
    floor = medians[FLOOR]
    return [
        Result(
            name,
            clients,
            own.p50,
            own.p99,
            own.rate,
            own.p50 / floor.p50,
            own.rate / floor.rate,
            own.cost.cpu,
            own.cost.invocations,
            own.cost.entries,
        )
        for name, own in medians.items()
    ]


def _median(rounds: Sequence[Round]) -> Round:
    def of(what: Callable[[Round], float]) -> float:
        return statistics.median(map(what, rounds))

    cpu = {name: of(lambda one, name=name: one.cost.cpu[name]) for name in rounds[0].cost.cpu}  # type: ignore[misc]
    cost = Cost(cpu, of(lambda one: one.cost.invocations), of(lambda one: one.cost.entries))
    return Round(of(lambda one: one.p50), of(lambda one: one.p99), of(lambda one: one.rate), cost)


def table(results: list[Result]) -> Table:
    """What was measured, for people."""
    shown = Table("flow")
    for name in ("clients", "p50 ms", "p99 ms", "a second", "p50 x", "rate x", "CPU ms", "calls", "entries"):
        shown.add_column(name, justify="right")
    for result in results:
        values = (
            *(result.p50_ms, result.p99_ms, result.per_second, result.p50_to_floor, result.rate_to_floor),
            *(result.all_cpu_ms, result.invocations, result.entries),
        )
        shown.add_row(
            result.flow, str(result.clients), *(f"{value:.3g}" if value < 10 else f"{value:.0f}" for value in values)
        )
    return shown
