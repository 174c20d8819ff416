"""Where the service's time goes in one flow: the functions that take most of it, and the layers that they are in.

python -m tests.bench.profile bet
"""

import asyncio
import contextlib
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import click
from rich.console import Console
from rich.table import Table

from tests.bench import payments
from tests.bench.bets import bet, names
from tests.bench.costs import Meter
from tests.bench.measuring import Prepared, Request, one_round
from tests.bench.planting import Planted, market_with_bets, plant, rich_player
from tests.running import System, running

CLIENTS = 8
PER_SECOND = 200
"""How often the service is looked at."""
SHOWN = 30
IDLE = ("select", "poll", "wait")
"""Functions in which a thread only waits."""
FLOWS = ("bet", "deposit", "withdrawal", "getAccount")


@dataclass(frozen=True)
class Sample:
    """One stack, outermost function first, and how often it was seen."""

    stack: tuple[str, ...]
    count: int

    @property
    def layer(self) -> str:
        """The package, or the folder of ours, that the innermost function of it or of ours is in."""
        file = self.stack[-1].partition("(")[2].rstrip(")")
        parts = file.split("/")
        return "/".join(parts[:2]) if parts[0] == "app" else parts[0]


def samples(raw: str) -> Iterator[Sample]:
    """The stacks that py-spy wrote, without threads that wait."""
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        functions = tuple(function.rpartition(":")[0] + ")" for function in stack.split(";"))
        if not functions[-1].startswith(IDLE) and not functions[-1].startswith("_PollLikeSelector"):
            yield Sample(functions, int(count))


def shares(seen: list[Sample], of: Callable[[Sample], set[str]]) -> list[tuple[str, float]]:
    """What takes most of the time, in percent."""
    found: Counter[str] = Counter()
    for sample in seen:
        for name in of(sample):
            found[name] += sample.count
    total = sum(sample.count for sample in seen)
    return [(name, 100 * count / total) for name, count in found.most_common(SHOWN)]


def table(title: str, rows: list[tuple[str, float]]) -> Table:
    """What was seen, for people."""
    shown = Table(title, "%")
    for name, share in rows:
        shown.add_row(name, f"{share:.1f}")
    return shown


async def flow_of(system: System, name: str) -> Callable[[], Request]:
    """The requests of a flow, once all that it needs is there."""
    if name != "bet":
        return payments.flows()[name]
    players, markets = names("u", 64), names("m", 64)
    planted: list[Planted] = [("PlayerService", user_id, {"player": rich_player(user_id)}) for user_id in players]
    for market_id in markets:
        planted += market_with_bets(market_id, [])
    await plant(system.admin, planted)
    return partial(bet, players, markets)


async def watched(system: System, name: str, count: int, output: Path) -> None:
    """Send a flow's requests while py-spy looks at the service."""
    meter, flow = Meter(system, {}), await flow_of(system, name)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(system.ingress, connector=connector, skip_auto_headers=["Content-Type"]) as client:
        if isinstance(flow, Prepared):
            await flow.prepare(client, 2 * count)
        await one_round(client, flow, CLIENTS, count, meter)  # until everything is warm
        service = str(system.facts()["pids"]["service"])
        command = ["py-spy", "record", "--rate", str(PER_SECOND), "--format", "raw", "--output", str(output)]
        quiet = asyncio.subprocess.DEVNULL
        watching = await asyncio.create_subprocess_exec(*command, "--pid", service, stdout=quiet, stderr=quiet)
        try:
            await one_round(client, flow, CLIENTS, count, meter)
        finally:
            watching.send_signal(signal.SIGINT)  # upon which it writes down what it saw
            await watching.wait()


@click.command()
@click.argument("flow", type=click.Choice(FLOWS))
@click.option("--requests", default=800, show_default=True, type=click.IntRange(10, 100_000), help="How many to send.")
def main(flow: str, requests: int) -> None:
    """Show where the service's CPU time goes in one FLOW."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        system = stack.enter_context(running(Path(folder)))
        output = Path(folder) / "stacks"
        asyncio.run(watched(system, flow, requests, output))
        seen = list(samples(output.read_text()))
    console = Console(width=110)
    console.print(table("layer, of the innermost function", shares(seen, lambda sample: {sample.layer})))
    console.print(table("function itself", shares(seen, lambda sample: {sample.stack[-1]})))
    console.print(table("function with all that it calls", shares(seen, lambda sample: set(sample.stack))))


if __name__ == "__main__":
    main()
