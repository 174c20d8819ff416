"""Plays a season and checks it: what `betting simulate` does."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.simulation.check import Checks
from app.simulation.client import Client
from app.simulation.model import Model, Terms
from app.simulation.plan import Size, plan_season
from app.simulation.play import Play
from app.simulation.report import Report, deeds

FIND_SECONDS = 5.0
"""How long the system may take to answer for the first time."""
PATIENCE_SECONDS = 120.0
"""How long one request is sent again until it has a definite answer."""


@dataclass(frozen=True)
class Target:
    """A running system, and what its operator has decided."""

    ingress: str
    sandbox: str
    terms: Terms
    other_terms: Terms | None = None
    """The same for the other currency that is played in."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """The headers that the sandbox demands of whoever moves money back."""


async def simulate(target: Target, size: Size, seed: int, clients: int, shown: Console | None = None) -> Report:
    """Play a season, so many things at once, wait until all has come to rest, and compare; progress on stderr.

    `shown` is where else the progress is shown.

    Raises `UnreachableError` when the system does not answer.
    """
    season = plan_season(size, seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with Client(target.ingress, target.sandbox, clients, PATIENCE_SECONDS, target.credentials) as client:
        await client.find(FIND_SECONDS)
        others = dict.fromkeys(season.currencies, target.other_terms or target.terms)
        play = Play(client, season, Model(target.terms, others), prefix=f"sim{seed}-{uuid4().hex[:8]}")
        started = time.monotonic()
        with Progress(*columns, console=shown or Console(stderr=True)) as progress:
            playing = progress.add_task("playing", total=len(season.actions))
            await play.play(clients, lambda: progress.advance(playing))
            seconds = time.monotonic() - started
            checks = Checks(client, play, clients)
            checking = progress.add_task("checking", total=checks.steps)
            await checks.check(lambda: progress.advance(checking))
        return Report(
            seed,
            seconds,
            play.checked,
            client.repeated,
            checks.house[None],
            deeds(play.tally, seconds),
            play.wrong,
            {currency: won for currency, won in checks.house.items() if currency is not None},
        )
