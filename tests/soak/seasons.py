"""Seasons of `betting simulate`, one after the other, on one system."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from app.simulation.model import Terms
from app.simulation.plan import Purse, Size
from app.simulation.run import Target, simulate
from tests.running import System

CLIENTS = 16
TERMS, IN_YEN = Terms(5, 100_000_000), Terms(5, 15_000_000_000)
"""Those of `betting dev`, as are the amounts that players may deposit."""
DEPOSIT_LIMIT, YEN = 10_000, Purse("JPY", 1_500_000)
BETS = ("single", "multiple", "system")


@dataclass(frozen=True)
class Played:
    """A season: bets and deposits that were asked for, and medians in milliseconds while all was under way."""

    seed: int
    seconds: float
    bets: int
    deposits: int
    bet: float
    deposit: float
    disagreements: tuple[str, ...]


def size_of(players: int, markets: int, bets: int) -> Size:
    """How much happens in a season."""
    return Size(players, markets, bets, DEPOSIT_LIMIT, YEN)


async def season(system: System, size: Size, seed: int) -> Played:
    """Play one, check every penny of it, and tell how it went."""
    target = Target(system.ingress, system.sandbox, TERMS, IN_YEN)
    report = await simulate(target, size, seed, CLIENTS, Console(quiet=True))
    deeds: Mapping[str, Mapping[str, Any]] = report.deeds
    return Played(
        seed,
        report.seconds,
        sum(deeds[kind]["asked"] for kind in BETS if kind in deeds),
        deeds["deposit"]["asked"],
        deeds["single"]["medianMs"],
        deeds["deposit"]["medianMs"],
        tuple(report.disagreements),
    )
