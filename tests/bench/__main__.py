"""Measure flows side by side in one run: rounds in turn, medians, and ratios to the least that Restate can do.

python -m tests.bench [--rounds 5] [--clients 1,16,64] [--only bets] [--flow deposit] [--set NAME=VALUE]
                      [--output build/bench.json]
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
import httpx
from rich.console import Console

from tests.bench import bets, markets, payments, settling, sizes
from tests.bench.costs import Meter
from tests.bench.door import Door, opened
from tests.bench.measuring import FLOOR, Request, Result, measure, table
from tests.helpers.ports import free_port
from tests.running import System, clean_environment, running

SUITES = ("payments", "bets", "markets", "settlement", "sizes")


@contextmanager
def compared(system: System) -> Iterator[int]:
    """The services to compare with, served as ours are, by a process of their own, whose id it gives."""
    port = free_port()
    service = subprocess.Popen([sys.executable, "-m", "tests.bench.services", str(port)], env=clean_environment())
    url = f"http://127.0.0.1:{port}"
    try:
        System.eventually(lambda: httpx.get(f"{url}/health").is_success)
        httpx.post(f"{system.admin}/deployments", json={"uri": url, "force": True}, timeout=30).raise_for_status()
        System.eventually(lambda: system.call("BenchFloor", "nothing", key="warm").is_success)
        yield service.pid
    finally:
        service.terminate()
        service.wait()


async def flows_of(suite: str, system: System, door: Door, named: Sequence[str]) -> dict[str, Callable[[], Request]]:
    """The flows of a suite, after what they need is planted."""
    if suite == "payments":
        return payments.flows()
    if suite == "markets":
        return await markets.flows(system.admin)
    return await bets.flows(system.admin, door, named)


async def measured(
    system: System,
    door: Door,
    meter: Meter,
    suites: Sequence[str],
    named: Sequence[str],
    rounds: int,
    clients: list[int],
) -> list[Result]:
    """Round after round of requests."""
    results = []
    for suite in suites:
        if suite in ("settlement", "sizes"):
            continue
        flows = await flows_of(suite, system, door, named)
        if named:
            flows = {name: flow for name, flow in flows.items() if name in {FLOOR, *named}}
        if flows.keys() != {FLOOR}:
            results += await measure(system.ingress, flows, rounds, clients, meter)
    return results


async def settled(system: System, sizes: list[int]) -> list[settling.Settled]:
    """A settlement whose service and restate-server are killed on the way, and settlements in peace."""
    killed = await settling.settle(system, sizes[0], kill=True)
    return [killed, *[await settling.settle(system, size, kill=False) for size in sizes]]


def whole_numbers(_context: click.Context, _parameter: click.Parameter, value: str) -> list[int]:
    """Numbers separated by commas."""
    try:
        return [int(number) for number in value.split(",")]
    except ValueError:
        raise click.BadParameter("whole numbers, separated by commas") from None


def pairs(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> Mapping[str, str]:
    """Settings as NAME=VALUE."""
    if any("=" not in value for value in values):
        raise click.BadParameter("NAME=VALUE")
    return dict(value.split("=", 1) for value in values)


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100), help="Rounds that count.")
@click.option(
    "--clients", default="1,16,64", show_default=True, callback=whole_numbers, help="Clients at once, by commas."
)
@click.option(
    "--settle", default="10000,100000", show_default=True, callback=whole_numbers, help="Bets to settle, by commas."
)
@click.option("--only", "suites", type=click.Choice(SUITES), multiple=True, default=SUITES, help="Measure these alone.")
@click.option("--flow", "named", multiple=True, metavar="NAME", help="Measure this flow alone, beside the no-op.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=pairs, help="BETTING_... or RESTATE_..."
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("build/bench.json"), show_default=True
)
def main(
    rounds: int,
    clients: list[int],
    settle: list[int],
    suites: Sequence[str],
    named: Sequence[str],
    settings: Mapping[str, str],
    output: Path,
) -> None:
    """Measure payments, bets, markets and settlement beside a no-op invocation, on a system of its own.

    The sizes are the constants of `betting capacity`, measured on another system.
    """
    quiet = {
        "BETTING_BOOKS_SECONDS": "86400",  # the bookkeeper would read all that is planted, again and again
    }
    results: list[Result] = []
    settlements: list[settling.Settled] = []
    measured_sizes: sizes.Sizes | None = None
    if set(suites) - {"sizes"}:
        with (
            tempfile.TemporaryDirectory() as folder,
            running(Path(folder), environment={**quiet, **settings}) as system,
            compared(system) as floor,
            opened(system) as door,
        ):
            meter = Meter(system, {"service": [floor], "edge": [door.pid]}).watch_idle()
            results = asyncio.run(measured(system, door, meter, suites, named, rounds, clients))
            settlements = asyncio.run(settled(system, settle)) if "settlement" in suites else []
    if "sizes" in suites and not named:
        with (
            tempfile.TemporaryDirectory() as folder,
            running(Path(folder), environment={**quiet, **sizes.SETTINGS, **settings}) as system,
            opened(system) as door,
        ):
            measured_sizes = asyncio.run(sizes.Sizing(system, door).measured())
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.machine()}
    output.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": machine,
        "rounds": rounds,
        "settings": settings,
        "results": [asdict(result) for result in results],
        "settlements": [asdict(one) for one in settlements],
        "sizes": asdict(measured_sizes) if measured_sizes else None,
    }
    output.write_text(json.dumps(report, indent=2) + "\n")
    console = Console(width=110)
    if results:
        console.print(table(results))
    if settlements:
        console.print(settling.table(settlements))
    if measured_sizes:
        console.print(sizes.table(measured_sizes))
    click.echo(f"as JSON: {output}")


if __name__ == "__main__":
    main()
