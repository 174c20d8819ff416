"""`betting books`: the bookkeeper."""

import json
import sys
from typing import TYPE_CHECKING

import click

from app.commands.given import read_settings, require_free
from app.options import SECONDS, Number

if TYPE_CHECKING:
    from app.bookkeeper.run import Target

NOT_SEEN = 3
"""The exit code of `betting books --once` that says nothing of the books, or not of all of them."""
STRANDED = 4
"""The one that says that the books balance, and that something in them is left behind."""


@click.command()
@click.option(
    "--admin", default="http://127.0.0.1:9070", envvar="BETTING_BOOKS_ADMIN", show_default=True, show_envvar=True
)
@click.option(
    "--ingress", default="http://127.0.0.1:8080", envvar="BETTING_BOOKS_INGRESS", show_default=True, show_envvar=True
)
@click.option("--host", default="127.0.0.1", envvar="BETTING_BOOKS_HOST", show_default=True, show_envvar=True)
@click.option(
    "--port",
    default=9101,
    type=click.IntRange(1, 65_535),
    envvar="BETTING_BOOKS_PORT",
    show_default=True,
    show_envvar=True,
    help="Where Prometheus finds the numbers.",
)
@click.option(
    "--every",
    default=30.0,
    type=Number(1, 86_400),
    envvar="BETTING_BOOKS_SECONDS",
    show_default=True,
    show_envvar=True,
    help="Seconds from look to look; more where a look takes long.",
)
@click.option(
    "--sample",
    default=20,
    type=click.IntRange(1, 1_000),
    envvar="BETTING_BOOKS_SAMPLE",
    show_default=True,
    show_envvar=True,
    help="Players whose movements are added up again in each look, at least: each has a turn within a day.",
)
@click.option(
    "--stranded-after",
    default=60.0,
    type=SECONDS,
    envvar="BETTING_BOOKS_STRANDED_AFTER_SECONDS",
    show_default=True,
    show_envvar=True,
    help="Seconds from which on what nobody works on is stranded.",
)
@click.option(
    "--provider",
    envvar="BETTING_PROVIDER_URL",
    show_envvar=True,
    help="The payment provider, whose movements are compared with the books.  "
    "[default: http://127.0.0.1:9090 without --admin; else none]",
)
@click.option(
    "--reconcile-after",
    default=60.0,
    type=SECONDS,
    envvar="BETTING_BOOKS_RECONCILE_AFTER_SECONDS",
    show_default=True,
    show_envvar=True,
    help="Seconds that both sides have to have had a movement before it is compared.",
)
@click.option(
    "--repair/--no-repair",
    default=False,
    envvar="BETTING_BOOKS_REPAIR",
    show_default=True,
    show_envvar=True,
    help="Send on what is stranded.",
)
@click.option(
    "--forget-after",
    default=90.0,
    type=Number(0, 36_500),
    envvar="BETTING_BOOKS_FORGET_AFTER_DAYS",
    show_default=True,
    show_envvar=True,
    help="Days from which on a deposit's status is not kept, where --repair is on. Late events are heard all the same.",
)
@click.option("--once", is_flag=True, help="Look now, print what is seen, and end.")
@click.option("--output", type=click.Choice(["text", "json"]), help="How --once prints it.  [default: text]")
@click.pass_context
def books(
    context: click.Context,
    admin: str,
    ingress: str,
    host: str,
    port: int,
    every: float,
    sample: int,
    stranded_after: float,
    provider: str | None,
    reconcile_after: float,
    repair: bool,
    forget_after: float,
    once: bool,
    output: str | None,
) -> None:
    """Check the books of all players, and export what they sum to, what is owed and what waits.

    Every wallet's accounts must sum to zero; a sample of players, others in each look, must hold what their movements
    sum to. What the payment provider says it moved must be what the books say. What is reserved, held, or settled in
    part, and nobody works on any more, is stranded: it is named with what mends it, and mended with --repair.

    With --once, the exit code is 1 if anything does not balance or agree, 3 if not everything could be seen, also where
    the document of a player cannot be read, and 4 if all balances and something is stranded in the end. How long a
    deposit waits for its provider is read from the same variable as there.
    """
    import asyncio
    from datetime import timedelta
    from functools import partial

    from click.core import ParameterSource

    from app.bookkeeper.books import as_json, as_text
    from app.bookkeeper.restate import UnknownError
    from app.bookkeeper.run import Target, look_once
    from app.providers.configured import provider_of

    if output is not None and not once:
        raise click.UsageError("--output is for --once")
    settings = read_settings()
    if provider is None and context.get_parameter_source("admin") is ParameterSource.DEFAULT:
        provider = settings.provider_url
    target = Target(
        admin,
        ingress,
        timedelta(seconds=settings.charge_wait_seconds),
        timedelta(seconds=stranded_after),
        repair,
        partial(provider_of, settings, provider) if provider else None,
        timedelta(seconds=reconcile_after),
        timedelta(days=forget_after),
    )
    if not once:
        _keep_books(target, host, port, every, sample)
        return
    try:
        seen = asyncio.run(look_once(target, sample))
    except (UnknownError, TimeoutError) as error:
        cure = "Is the system running? --admin and --ingress say where."
        click.echo(f"Error: not everything could be seen: {error or 'it takes too long'}. {cure}", err=True)
        sys.exit(NOT_SEEN)
    click.echo(json.dumps(as_json(seen, ingress), indent=2) if output == "json" else as_text(seen, ingress))
    if seen.balanced and (seen.unreadable or (provider and seen.reconciled is None)):
        sys.exit(NOT_SEEN)
    sys.exit(1 if not seen.balanced else STRANDED if seen.stranded.count else 0)


def _keep_books(target: "Target", host: str, port: int, every: float, sample: int) -> None:
    """Export what the bookkeeper sees until a signal asks to stop."""
    import asyncio
    from contextlib import suppress

    from prometheus_client import REGISTRY, start_http_server

    from app.bookkeeper.metrics import Exported
    from app.bookkeeper.run import keep, once_each, until_signalled

    require_free(host, port, "--port")
    exported = Exported(compares=target.provider is not None)
    REGISTRY.register(exported)
    start_http_server(port, host)
    with suppress(asyncio.CancelledError):
        asyncio.run(until_signalled(keep(target, sample, every, exported, once_each())))
