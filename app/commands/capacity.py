"""`betting capacity`: what a load needs."""

import json
from typing import Any

import click

from app.options import Number

RATE = Number(0, 10**12)
"""As much of anything as is counted with."""


def _rate(what: str, default: str) -> dict[str, Any]:
    return {"type": RATE, "metavar": "N", "help": f"{what}.  [default: {default}]"}


@click.command()
@click.option(
    "--bets-per-second",
    "bets",
    default=(100.0,),
    show_default="100",
    multiple=True,
    metavar="N",
    type=RATE,
    help="At the busiest time of the day; several are several loads.",
)
@click.option(
    "--players",
    default=(100_000,),
    show_default="100000",
    multiple=True,
    metavar="N",
    type=click.IntRange(0, 10**10),
    help="Who have an account; several are several loads.",
)
@click.option("--settlements-per-second", **_rate("Bets that are settled", "as many as bets"))
@click.option("--deposits-per-second", **_rate("Deposits", "a twentieth of bets"))
@click.option("--withdrawals-per-second", **_rate("Withdrawals", "a hundredth of bets"))
@click.option("--price-changes-per-second", **_rate("Changes of prices", "a tenth of bets"))
@click.option("--reads-per-second", **_rate("Reads of accounts", "twice the bets"))
@click.option("--markets-a-day", **_rate("Markets that are opened", "one for a thousand bets"))
@click.option(
    "--days",
    default=90.0,
    show_default=True,
    type=RATE,
    metavar="N",
    help="For how long what is stored for ever has to fit.",
)
@click.option("--nodes", type=click.Choice(["1", "3"]), default="3", show_default=True, help="Of Restate.")
@click.option("--constants", is_flag=True, help="Print the constants instead, with where each is from.")
@click.option("--bases", is_flag=True, help="Print where each number is from instead.")
@click.option("--output", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
def capacity(
    bets: tuple[float, ...],
    players: tuple[int, ...],
    days: float,
    nodes: str,
    constants: bool,
    bases: bool,
    output: str,
    **others: float | None,
) -> None:
    """Say what a load needs: pods, cores, partitions, memory and volumes; docs/capacity.md explains it.

    It multiplies constants, of which some were measured, and others extrapolated or assumed: it says of each number
    which. Nothing of the size of a cluster was measured. Measure your own before you buy.
    """
    from dataclasses import replace

    from app.capacity import report
    from app.capacity.needs import usual_load

    given = {name.removesuffix("_per_second"): rate for name, rate in others.items() if rate is not None}
    loads = [replace(usual_load(rate, many, days), **given) for rate in bets for many in players]
    if output == "json":
        click.echo(json.dumps(report.as_json(loads, int(nodes)), indent=2))
        return
    if constants and bases:
        raise click.UsageError("--constants and --bases are two tables: ask for one of them")
    if constants:
        heading, rows = report.constants()
    elif bases:
        heading, rows = report.bases()
    elif len(loads) == 1 and output == "table":
        heading, rows = report.numbers_of(loads[0], int(nodes))
    else:
        heading, rows = report.table_of(loads, int(nodes))
    warnings = () if constants or bases else report.warnings(loads, int(nodes))
    if output == "markdown":
        click.echo("\n\n".join([report.as_markdown(heading, rows), *warnings]))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table(*heading)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    for warning in warnings:
        click.echo(warning)
