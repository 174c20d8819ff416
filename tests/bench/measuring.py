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

Body = dict[str, object] | None
Request = tuple[str, Body] | tuple[str, Body, dict[str, str]]
"""A path, or an address of something else than the ingress; a body; and perhaps headers."""
FLOOR = "no-op Virtual Object"
REQUESTS_A_ROUND = {1: 60, 16: 320, 64: 640}
WARM_UP_ROUNDS = 1
PAUSE_SECONDS = 1.0
"""Between rounds, so that what one sent one way does not burden the next."""

run_id = uuid4().hex[:8]
numbers = itertools.count()


def fresh() -> str:
    """A name that nobody has used."""
    return f"{run_id}-{next(numbers)}"


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
    """One round of one flow: latencies in milliseconds, and answers a second."""

    p50: float
    p99: float
    rate: float


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


async def ask(client: aiohttp.ClientSession, path: str, body: Body, more: Mapping[str, str] | None = None) -> None:
    """One request; an answer that is not 200 ends the benchmark."""
    headers = {**({} if body is None else {"content-type": "application/json"}), **(more or {})}
    url = path if "://" in path else f"/{path}"
    async with client.post(url, data=None if body is None else json.dumps(body), headers=headers) as answer:
        text = await answer.text()
        if answer.status != 200:
            raise click.ClickException(f"{path} answered {answer.status}: {text}")


async def one_round(client: aiohttp.ClientSession, flow: Callable[[], Request], clients: int, count: int) -> Round:
    """So many requests by so many clients, each asking again as soon as it is answered."""
    latencies: list[float] = []
    left = iter(range(count))

    async def customer() -> None:
        for _ in left:
            started = time.perf_counter()
            await ask(client, *flow())
            latencies.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(customer() for _ in range(clients)))
    rate = count / (time.perf_counter() - started)
    return Round(statistics.median(latencies), statistics.quantiles(latencies, n=100)[98], rate)


async def measure(
    ingress: str, flows: Mapping[str, Callable[[], Request]], rounds: int, all_clients: Sequence[int]
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
                        await asyncio.sleep(PAUSE_SECONDS)
                        result = await one_round(client, flow, clients, count)
                        if number >= WARM_UP_ROUNDS:
                            measured[name].append(result)
                        progress.advance(work)
                results += summed_up(measured, clients)
    return results


def summed_up(measured: dict[str, list[Round]], clients: int) -> list[Result]:
    """The medians over the rounds."""
    medians = {
        name: Round(*(statistics.median(values) for values in zip(*map(_tuple, rounds), strict=True)))
        for name, rounds in measured.items()
    }
    floor = medians[FLOOR]
    return [
        Result(name, clients, own.p50, own.p99, own.rate, own.p50 / floor.p50, own.rate / floor.rate)
        for name, own in medians.items()
    ]


def _tuple(one: Round) -> tuple[float, float, float]:
    return one.p50, one.p99, one.rate


def table(results: list[Result]) -> Table:
    """What was measured, for people."""
    shown = Table("flow")
    for name in ("clients", "p50 ms", "p99 ms", "a second", "p50 x", "rate x"):
        shown.add_column(name, justify="right")
    for result in results:
        values = (result.p50_ms, result.p99_ms, result.per_second, result.p50_to_floor, result.rate_to_floor)
        shown.add_row(
            result.flow, str(result.clients), *(f"{value:.3g}" if value < 10 else f"{value:.0f}" for value in values)
        )
    return shown
