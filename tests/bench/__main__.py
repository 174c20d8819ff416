"""Measure flows side by side in one run: rounds in turn, medians, and ratios to the least that Restate can do.

python -m tests.bench [--rounds 5] [--clients 1,16,64] [--output build/bench.json]
"""

import asyncio
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp
import click
import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.running import System, clean_environment, free_port_base, running

Request = tuple[str, dict[str, object] | None]
FLOOR = "no-op Virtual Object"
REQUESTS_A_ROUND = {1: 60, 16: 320, 64: 640}
WARM_UP_ROUNDS = 1
PAUSE_SECONDS = 1.0
"""Between rounds, so that what one sent one way does not burden the next."""

run_id = uuid4().hex[:8]
numbers = itertools.count()


def no_op() -> Request:
    """An exclusive handler that does nothing, over many keys."""
    return f"BenchFloor/{run_id}-{next(numbers)}/nothing", None


def get_account() -> Request:
    """Read a player."""
    return f"PlayerService/{run_id}-{next(numbers)}/getAccount", None


def three_steps() -> Request:
    """A workflow of three durable steps."""
    return f"BenchSteps/{run_id}-{next(numbers)}/run", None


def deposit() -> Request:
    """A first deposit: reserve, charge, credit, message."""
    name = f"{run_id}-{next(numbers)}"
    body = {"walletId": "w", "userId": name, "email": "a@example.com", "amount": 100, "paymentMethod": "creditCard"}
    return "PaymentService/deposit", {**body, "depositId": name}


class Withdrawals:
    """Withdrawals without review, from players who have just had a deposit."""

    def __init__(self) -> None:
        self.players: list[str] = []

    async def prepare(self, client: aiohttp.ClientSession, count: int) -> None:
        """Give so many players something to withdraw."""
        for _ in range(count):
            path, body = deposit()
            assert body is not None
            await ask(client, path, body)
            self.players.append(str(body["userId"]))

    def __call__(self) -> Request:
        """The next player's withdrawal."""
        body: dict[str, object] = {"walletId": "w", "userId": self.players.pop(), "amount": 100, "destination": "bank"}
        return "PaymentService/withdraw", body


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


async def ask(client: aiohttp.ClientSession, path: str, body: dict[str, object] | None) -> None:
    """One request; an answer that is not 200 ends the benchmark."""
    headers = {} if body is None else {"content-type": "application/json"}
    async with client.post(f"/{path}", data=None if body is None else json.dumps(body), headers=headers) as answer:
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


async def measure(ingress: str, rounds: int, all_clients: list[int]) -> list[Result]:
    """All flows, round by round in turn, so that whatever else the machine does meets all of them."""
    withdrawals = Withdrawals()
    flows: dict[str, Callable[[], Request]] = {
        FLOOR: no_op,
        "getAccount": get_account,
        "3-step workflow": three_steps,
        "withdrawal": withdrawals,
        "deposit": deposit,
    }
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
                        if flow is withdrawals:
                            await withdrawals.prepare(client, count)
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


@contextmanager
def compared(system: System) -> Iterator[None]:
    """The services to compare with, served as ours are, by a process of their own."""
    port = free_port_base() + 1080
    service = subprocess.Popen([sys.executable, "-m", "tests.bench.services", str(port)], env=clean_environment())
    url = f"http://127.0.0.1:{port}"
    try:
        System.eventually(lambda: httpx.get(f"{url}/health").is_success)
        httpx.post(f"{system.admin}/deployments", json={"uri": url, "force": True}, timeout=30).raise_for_status()
        System.eventually(lambda: system.call("BenchFloor", "nothing", key="warm").is_success)
        yield
    finally:
        service.terminate()
        service.wait()


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100), help="Rounds that count.")
@click.option("--clients", default="1,16,64", show_default=True, help="Clients at once, separated by commas.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("build/bench.json"), show_default=True
)
def main(rounds: int, clients: str, output: Path) -> None:
    """Measure deposits, withdrawals and reads beside a no-op invocation, on a system of its own."""
    unhurried = {"BETTING_CHARGE_WAIT_SECONDS": "25", "BETTING_PROVIDER_TIMEOUT_SECONDS": "10"}
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), environment=unhurried) as system,
        compared(system),
    ):
        results = asyncio.run(measure(system.ingress, rounds, [int(number) for number in clients.split(",")]))
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.machine()}
    output.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine, "rounds": rounds, "results": [asdict(result) for result in results]}
    output.write_text(json.dumps(report, indent=2) + "\n")
    Console(width=100).print(table(results))
    click.echo(f"as JSON: {output}")


if __name__ == "__main__":
    main()
