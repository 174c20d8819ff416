"""Play seasons on a system of its own for a while, look at it after each, and say what grew.

python -m tests.soak [--minutes 30] [--bets 600] [--players 60] [--markets 20] [--seed 1] [--set NAME=VALUE]
                     [--output json]
"""

import asyncio
import json
import os
import platform
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import aiohttp
import click
from rich.console import Console
from rich.table import Table

from app.bookkeeper.run import Target
from app.providers.configured import provider_of
from app.release.restate_admin import RestateAdmin
from app.settings import Settings
from app.simulation.plan import Size
from tests.bench.__main__ import pairs
from tests.bench.costs import Meter
from tests.running import WEBHOOK_SECRET, System, running
from tests.soak.looking import MEASURES, MIB, Look, Looker, Measure
from tests.soak.regulars import Regulars
from tests.soak.seasons import season, size_of
from tests.soak.verdict import LEAST, Judged, Verdict, judge

COMPRESSED = {
    "BETTING_BOOKS_SECONDS": "86400",  # the bookkeeper that looks is ours, which is timed
    # What is kept for hours, or a day, is kept for a minute here, so that what is forgotten must balance what is new.
    "BETTING_IDEMPOTENCY_SECONDS": "60",
    "RESTATE_DEFAULT_JOURNAL_RETENTION": "60s",
    "RESTATE_WORKER__CLEANUP_INTERVAL": "20s",
    "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "256MiB",
}


@dataclass
class Soak:
    """What has been seen so far; whoever ends it early has this."""

    looks: list[Look] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False

    def judged(self) -> list[tuple[Measure, Judged]]:
        """Each number, and what became of it."""
        return [(measure, judge(measure.values(self.looks), measure.may)) for measure in MEASURES]

    @property
    def level(self) -> bool:
        """Whether there was enough to see, nothing grew, and nothing was wrong."""
        return not self.problems and all(one.verdict in (Verdict.LEVEL, Verdict.FELL) for _, one in self.judged())


async def soak(system: System, minutes: float, size: Size, seed: int, seen: Soak) -> None:
    """Season after season, each with a look after it, until the time is over, something is wrong, or Ctrl-C."""
    end_on_interrupt(seen)
    settings = Settings(webhook_secret=(WEBHOOK_SECRET,), unsigned_calls="allowed", require_identity=False)
    books = Target(
        system.admin,
        system.ingress,
        timedelta(seconds=25),
        timedelta(seconds=60),
        repair=False,
        provider=partial(provider_of, settings, system.sandbox),
        reconcile_after=timedelta(seconds=60),
        forget_after=timedelta(days=90),
    )
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        client = await stack.enter_async_context(
            aiohttp.ClientSession(system.ingress, connector=connector, skip_auto_headers=["Content-Type"])
        )
        regulars = Regulars(client)
        admin = stack.enter_context(RestateAdmin(system.admin))
        looker = Looker(system, client, regulars, admin, await stack.enter_async_context(books.connect()))
        click.echo("a few regular players bet until each has a history ...", err=True)
        await regulars.begin(Meter(system, {}))
        started = time.monotonic()
        while (spent := time.monotonic() - started) < minutes * 60:
            played = await season(system, size, seed + len(seen.looks))
            seen.problems += [f"season {played.seed}: {one}" for one in played.disagreements]
            seen.problems += [f"{name} ended, and was started again" for name in looker.started_again()]
            if seen.problems:
                return
            seen.looks.append(look := await looker.look(played))
            click.echo(line(look, spent / 60, minutes), err=True)


def end_on_interrupt(seen: Soak) -> None:
    """Let Ctrl-C cancel what this task does. It also stops the system, which is noted before the system is missed."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def interrupt(*_: object) -> None:
        seen.interrupted = True
        loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGINT, interrupt)


def line(look: Look, spent: float, minutes: float) -> str:
    """What a look saw, in a line."""
    return (
        f"{spent:4.1f} of {minutes:g} min, season {look.season.seed}: bet p99 {look.bet.p99:.0f} ms, "
        f"deposit p99 {look.deposit.p99:.0f} ms; restate-server {look.resident['restate'] / MIB:.0f} MiB, "
        f"disk {look.disk / MIB:.0f} MiB; {look.players:,} players, {look.state:,} rows of state"
    )


def table(seen: Soak) -> Table:
    """What became of each number, for people."""
    shown = Table("what", "unit", title=f"{len(seen.looks)} seasons; medians of the first and the last third")
    for name in ("first", "last", "change", "may be"):
        shown.add_column(name, justify="right")
    shown.add_column("verdict")
    for measure, judged in seen.judged():
        numbers = ["-", "-", "-", "-"]
        if judged.first is not None and judged.last is not None:
            change = f"{100 * (judged.last / judged.first - 1):+.0f} %" if judged.first else "-"
            numbers = [measure.shown.format(judged.first), measure.shown.format(judged.last), change]
            numbers.append(measure.shown.format(measure.may.become(judged.first)))
        style = "bold red" if judged.verdict == Verdict.GREW else None
        shown.add_row(measure.name, measure.unit, *numbers, judged.verdict, style=style)
    return shown


def conclusion(seen: Soak) -> list[str]:
    """The last lines."""
    grew = [measure.name for measure, judged in seen.judged() if judged.verdict == Verdict.GREW]
    least = LEAST + 1  # the first look only says what was there before
    if len(seen.looks) < least:
        return [*seen.problems, f"nothing can be said after {len(seen.looks)} seasons: it takes {least}; see --minutes"]
    return [*seen.problems, *([f"grew: {', '.join(grew)}"] if grew else ["nothing grew"])]


def as_json(seen: Soak, minutes: float, environment: Mapping[str, str]) -> dict[str, object]:
    """What was seen and what became of it, for programs."""
    return {
        "level": seen.level,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.machine()},
        "minutes": minutes,
        "interrupted": seen.interrupted,
        "settings": dict(environment),
        "problems": seen.problems,
        "numbers": [
            {"name": measure.name, "unit": measure.unit, **asdict(measure.may), **asdict(judged)}
            for measure, judged in seen.judged()
        ],
        "looks": [asdict(look) for look in seen.looks],
    }


@click.command()
@click.option(
    "--minutes",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0, max=10_000, min_open=True),
    help="How long new seasons begin.",
)
@click.option("--bets", default=600, show_default=True, type=click.IntRange(50, 1_000_000), help="Of a season.")
@click.option("--players", default=60, show_default=True, type=click.IntRange(1, 100_000), help="Of a season.")
@click.option("--markets", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Of a season.")
@click.option("--seed", default=1, show_default=True, help="Of the first season; each further one has the next.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=pairs, help="BETTING_... or RESTATE_..."
)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def main(
    minutes: float, bets: int, players: int, markets: int, seed: int, settings: Mapping[str, str], output: str
) -> None:
    """Play seasons on a system of its own, look at it after each, and say what grew.

    A season has new players and markets; a few regular players bet after each. What grows by design (players, their
    state, what is kept for 90 days) is divided by the number of players. A number grew if the median of the last third
    of the looks is above that of the first by more than may be, and the middle halves of the two do not overlap.

    What the service keeps for hours is kept for a minute here. Ctrl-C ends it with what has been seen so far. The exit
    code is 1 if something grew, a season did not balance, a process ended, or there was too little to see.
    """
    seen, environment = Soak(), {**COMPRESSED, **settings}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), environment) as system:
        try:
            asyncio.run(soak(system, minutes, size_of(players, markets, bets), seed, seen))
        except (Exception, asyncio.CancelledError) as error:
            if not seen.interrupted:
                traceback.print_exc()
                seen.problems.append(f"ended early: {error!r}")
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if output == "json":
        click.echo(json.dumps(as_json(seen, minutes, environment), indent=2))
    else:
        Console(width=120).print(table(seen))
        click.echo("\n".join(conclusion(seen)))
    sys.exit(0 if seen.level else 1)


if __name__ == "__main__":
    main()
