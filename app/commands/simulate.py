"""`betting simulate`: a season, checked to the penny."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from app.commands.given import read_settings

if TYPE_CHECKING:
    from app.settings import Settings


@click.command()
@click.option("--players", default=120, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--markets", default=30, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--bets", default=1_500, show_default=True, type=click.IntRange(0, 1_000_000))
@click.option("--clients", default=32, show_default=True, type=click.IntRange(1, 1_000), help="Requests at once.")
@click.option("--seed", type=int, help="Play this very season again; otherwise a new one.")
@click.option("--ingress", default="http://127.0.0.1:8080", show_default=True, help="Restate's ingress.")
@click.option("--sandbox", default="http://127.0.0.1:9090", show_default=True, help="The payment provider to compare.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def simulate(
    players: int, markets: int, bets: int, clients: int, seed: int | None, ingress: str, sandbox: str, output: str
) -> None:
    """Play a season against a running system, and check every penny of it.

    Markets open, move, and are settled and corrected; players deposit, bet, cash out and withdraw; deposits are
    refunded and charged back, payouts sent back, selections withdrawn. In the end every player's books, the house's
    total and what the sandbox really moved are compared with an independent model. The exit code is 1 if anything
    does not agree. What the operator of the system decided (weekly deposit limit, cash-out
    margin, maximum payout) is read from the same variables as there; where amounts are not set, they are those of
    `betting dev`. A second currency that these name is played in too.
    """
    import asyncio
    import secrets

    from rich.console import Console

    from app.providers.payments import credentials
    from app.simulation.client import UnreachableError
    from app.simulation.model import Terms
    from app.simulation.plan import Purse, Size
    from app.simulation.run import Target
    from app.simulation.run import simulate as play

    settings = read_settings()
    house, *others = _played_in(settings)
    size = Size(players, markets, bets, house[1], Purse(*others[0][:2]) if others else None)
    terms = [Terms(settings.cash_out_margin_percent, max_payout) for _, _, max_payout in (house, *others)]
    known_by = credentials(settings.provider_key, settings.provider_key_header)
    target = Target(ingress, sandbox, terms[0], terms[1] if others else None, known_by)
    chosen = secrets.randbelow(10_000) if seed is None else seed
    try:
        report = asyncio.run(play(target, size, chosen, clients))
    except* UnreachableError as errors:
        cure = "Is the system running? `betting dev` starts one; --ingress and --sandbox say where."
        raise click.ClickException(f"{errors.exceptions[0]}. {cure}") from None
    if output == "json":
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        Console().print(report.as_table())
    sys.exit(0 if report.balanced else 1)


def _played_in(given: "Settings") -> list[tuple[str, int, int]]:
    """The currencies that are accepted, the house's first, each with its weekly deposit limit and maximum payout."""
    from app.dev.plan import amounts

    ours: dict[str, Any] = dict(amounts(given))
    settings = type(given)(**ours)
    house = settings.default_currency
    limits, thresholds, payouts = (
        one.resolved(house).named
        for one in (settings.default_weekly_deposit_limit, settings.review_threshold, settings.max_payout)
    )
    accepted = sorted(limits.keys() & thresholds.keys() & payouts.keys(), key=lambda one: (one != house, one))
    if house not in accepted:
        raise click.ClickException(f"{house} is not accepted: not every setting in minor units names an amount of it")
    return [(currency, limits[currency], payouts[currency]) for currency in accepted]
