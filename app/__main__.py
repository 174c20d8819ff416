"""The `betting` command."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import __version__

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from app.bookkeeper.run import Target
    from app.edge.routes import Route
    from app.settings import Settings

NOT_SEEN = 3
"""The exit code of `betting books --once` that says nothing of the books."""
STRANDED = 4
"""The one that says that the books balance, and that something in them is left behind."""

MOST = 10**12
"""The most of anything that `betting capacity` counts with."""

SHOWN_CHARACTERS = 200
"""How much of a wrong value is repeated."""

# Imports are inside the commands, so that each loads only what it needs and --help answers at once.


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="betting")
def betting() -> None:
    """Run a durable betting back office on Restate."""


@betting.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    default=Path(".betting"),
    show_default=".betting",
    help="Folder that keeps the state between runs.",
)
@click.option("--edge", is_flag=True, help="Add the door: Envoy, which wants a token; `betting token` signs one.")
@click.option("--fresh", is_flag=True, help="Forget the state of earlier runs first.")
@click.option(
    "--port-base",
    type=click.IntRange(1_000, 64_400),
    metavar="N",
    help="Use ports N+80 (ingress), N+1070 (admin), N+1080 (service), N+1090 (sandbox), N+1025 (its SMTP), "
    "N+1122 (Restate's node), N+1095 (metrics), N+1101 (the bookkeeper's), N+81 (the door) and N+1102 (its metrics) "
    "instead of the usual 8080, 9070, 9080, 9090, 1025, 5122, 9095, 9101, 8081 and 9902.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path, resolve_path=True),
    help="Write addresses and process ids here, as JSON, when all is ready.",
)
def dev(data: Path, edge: bool, fresh: bool, port_base: int | None, ready_file: Path | None) -> None:
    """Run everything on this machine: a real restate-server, the sandbox, the service and the bookkeeper.

    What ends by itself is started again. Ctrl-C or SIGTERM stops all of it.
    """
    import asyncio
    import signal
    from contextlib import suppress

    from app.dev.binaries import envoy, restate_server
    from app.dev.folder import LET_GO_SECONDS, Folder
    from app.dev.plan import Door
    from app.dev.ports import Ports
    from app.dev.system import run

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a fetch too cleans up behind it
    _settings()
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    ports = Ports.plan(port_base)
    ports.require_free(LET_GO_SECONDS, with_edge=edge)
    door = Door(envoy(), _routes(), _openapi()) if edge else None
    with suppress(asyncio.CancelledError):
        asyncio.run(run(Folder(data), fresh, ports, ready_file, restate_server(), door))


def _routes() -> "list[Route]":
    from app.composition import SERVICES
    from app.edge.routes import Route
    from app.services.shell.access import public_handlers

    return [Route(one.service, one.access.needs_token, one.handler, one.keyed) for one in public_handlers(SERVICES)]


def _openapi() -> str:
    from app.composition import SERVICES
    from app.openapi.document import as_text, document
    from app.services.shell.access import public_handlers

    return as_text(document(public_handlers(SERVICES), __version__))


@betting.command()
def openapi() -> None:
    """Print the description of the API, as an OpenAPI 3.1 document: of what the door lets through.

    The door itself answers GET /openapi.json with it, without a token. Clients are generated from it.
    """
    click.echo(_openapi(), nl=False)


@betting.command()
@click.option("--issuer", help="Who issues the tokens, as their claim `iss` says.")
@click.option("--audience", default="betting", show_default=True, help="Whom they are for, as their claim `aud` says.")
@click.option("--jwks-uri", help="Where the issuer publishes its keys.")
@click.option(
    "--jwks",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the issuer's keys, in the place of --jwks-uri.",
)
@click.option("--roles-claim", default="roles", show_default=True, help="The claim with roles; dots lead inside.")
@click.option("--origin", "origins", multiple=True, help="A web page's origin that may call from browsers.")
@click.option(
    "--openapi",
    type=click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True),
    help="File that GET /openapi.json answers with: what `betting openapi` printed.",
)
@click.option("--restate", default="127.0.0.1:8080", show_default=True, help="Restate's ingress: host and port.")
@click.option("--port", default=8081, show_default=True, type=click.IntRange(1, 65_535), help="Where the door is.")
@click.option(
    "--metrics-port",
    default=9902,
    show_default=True,
    type=click.IntRange(1, 65_535),
    help="Where /ready and /stats/prometheus are.",
)
@click.option("--chart", is_flag=True, help="Print the chart's template instead, which Helm fills in.")
@click.option("--chart-tls", is_flag=True, help="Print the chart's file that names the door's certificate instead.")
@click.option(
    "--for",
    "gateway",
    type=click.Choice(["envoy", "envoy-gateway"]),
    default="envoy",
    show_default=True,
    help="Who stands at the door: an Envoy, or Envoy Gateway, for whom Kubernetes resources are printed.",
)
@click.option("--namespace", default="default", show_default=True, help="Where those resources are, and Restate.")
def edge(
    issuer: str | None,
    audience: str,
    jwks_uri: str | None,
    jwks: Path | None,
    roles_claim: str,
    origins: tuple[str, ...],
    openapi: Path | None,
    restate: str,
    port: int,
    metrics_port: int,
    chart: bool,
    chart_tls: bool,
    gateway: str,
    namespace: str,
) -> None:
    """Print the configuration of the door: of an Envoy that lets in whom the public handlers are for.

    It is made from what the handlers declare, so that it never lets through what they do not.
    """
    from app.edge.bootstrap import bootstrap, certificate
    from app.edge.chart import IN_CHART
    from app.edge.gateway import resources
    from app.edge.settings import EdgeSettings, KeyServer, either_origin
    from app.edge.template import as_yaml

    if chart:
        click.echo(as_yaml(bootstrap(_routes(), IN_CHART)), nl=False)
        return
    if chart_tls:
        click.echo(as_yaml(certificate(IN_CHART)), nl=False)
        return
    if not issuer or bool(jwks_uri) == (jwks is not None):
        raise click.UsageError("--issuer is needed, and one of --jwks-uri and --jwks")
    host, _, restate_port = restate.rpartition(":")
    if not host or not restate_port.isdecimal():
        raise click.BadParameter("must be host:port", param_hint="--restate")
    try:
        key_server = KeyServer.at(jwks_uri) if jwks_uri else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--jwks-uri") from None
    if gateway == "envoy-gateway" and origins:
        raise click.UsageError("--origin is not among what is made for Envoy Gateway")
    settings = EdgeSettings(
        issuer=issuer,
        audience=audience,
        restate_host=host,
        restate_port=int(restate_port),
        jwks=jwks.read_text() if jwks else None,
        key_server=key_server,
        roles_claim=roles_claim,
        origins=either_origin(origins),
        has_origins=bool(origins),
        openapi=str(openapi) if openapi else None,
        port=port,
        metrics_port=metrics_port,
    )
    if gateway == "envoy-gateway":
        click.echo(resources(_routes(), settings, namespace), nl=False)
        return
    click.echo(as_yaml(bootstrap(_routes(), settings)), nl=False)


@betting.command()
@click.argument("user")
@click.option("--role", "roles", multiple=True, help="A role of an operator; several are several options.")
@click.option("--minutes", default=60, show_default=True, type=click.IntRange(1, 525_600), help="How long it holds.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    default=Path(".betting"),
    show_default=".betting",
    help="Folder of the system that it is for.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="BETTING_TOKEN_KEY",
    show_envvar=True,
    help="File with the key to sign with, in the place of the folder's; the chart's sandbox has one.",
)
def token(user: str, roles: tuple[str, ...], minutes: int, data: Path, key: Path | None) -> None:
    """Print a token for USER that the door of `betting dev --edge` takes, or that of the chart's sandbox.

    Everybody is a player of their own; operators have roles besides.
    """
    from app.dev.folder import Folder
    from app.domain.access import GRANTED
    from app.domain.model import is_id
    from app.sandbox import identity

    if not is_id(user):
        raise click.BadParameter("must be 1 to 64 of the characters A-Z a-z 0-9 . _ : @ -", param_hint="USER")
    if unknown := set(roles) - GRANTED:
        known = ", ".join(sorted(GRANTED))
        raise click.BadParameter(f"{min(unknown)} is none of {known}", param_hint="--role")
    if key is None:
        data.mkdir(parents=True, exist_ok=True)
        key = identity.signing_key(Folder(data).identity_key)
    click.echo(identity.token(key, user, roles, minutes))


@betting.command()
def serve() -> None:
    """Run the service alone, for a Restate elsewhere; `betting settings` lists what it reads."""
    import uvloop

    from app.telemetry.folder import metrics_folder

    settings = _settings()
    if problems := [f"BETTING_{name.upper()}: {problem}" for name, problem in settings.missing()]:
        raise click.ClickException("\n".join(problems))
    _require_free(settings.host, settings.port, "BETTING_PORT")
    if settings.metrics_port:
        _require_free(settings.host, settings.metrics_port, "BETTING_METRICS_PORT")
    with metrics_folder(settings.metrics_dir):
        from app.composition import serve

        uvloop.run(serve(settings))


@betting.command()
def rehearse() -> None:
    """Serve this code to the gates of a release, without reaching anything; `betting settings` lists what it reads."""
    import uvloop

    from app.telemetry.folder import metrics_folder

    settings = _settings()
    _require_free(settings.host, settings.port, "BETTING_PORT")
    with metrics_folder(settings.metrics_dir):
        from app.rehearsal import rehearse

        uvloop.run(rehearse(settings))


@betting.command()
@click.option("--host", default="127.0.0.1", envvar="SANDBOX_HOST", show_default=True, show_envvar=True)
@click.option(
    "--port", default=9090, type=click.IntRange(1, 65_535), envvar="SANDBOX_PORT", show_default=True, show_envvar=True
)
@click.option(
    "--smtp-port",
    default=1025,
    type=click.IntRange(1, 65_535),
    envvar="SANDBOX_SMTP_PORT",
    show_default=True,
    show_envvar=True,
)
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("sandbox.sqlite"),
    envvar="SANDBOX_DATABASE",
    show_default=True,
    show_envvar=True,
    help="File that remembers charges, payouts and mails.",
)
@click.option(
    "--webhook-base",
    default="http://127.0.0.1:8080",
    envvar="SANDBOX_WEBHOOK_BASE",
    show_default=True,
    show_envvar=True,
    help="Restate's ingress, where webhooks go.",
)
@click.option(
    "--smtp-certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="SANDBOX_SMTP_CERTIFICATE",
    show_envvar=True,
    help="File with the inbox's certificate, for BETTING_SMTP_SECURITY other than none.",
)
@click.option(
    "--smtp-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="SANDBOX_SMTP_KEY",
    show_envvar=True,
    help="File with the certificate's key, unless it is in the same file.",
)
def sandbox(
    host: str,
    port: int,
    smtp_port: int,
    database: Path,
    webhook_base: str,
    smtp_certificate: Path | None,
    smtp_key: Path | None,
) -> None:
    """Run a payment provider and a mail inbox to develop and demonstrate against.

    It demands what the service is told to give: BETTING_PROVIDER_KEY, and BETTING_SMTP_SECURITY, _USER and _PASSWORD.
    """
    import uvloop

    from app.sandbox.inbox import Demands
    from app.sandbox.server import serve

    settings = _settings()
    if not settings.webhook_secret:
        raise click.ClickException("BETTING_WEBHOOK_SECRET: not set; set it to the secret that the service has")
    _require_free(host, port, "--port")
    _require_free(host, smtp_port, "--smtp-port")
    if settings.smtp_security != "none" and smtp_certificate is None:
        raise click.ClickException(f"BETTING_SMTP_SECURITY={settings.smtp_security}: needs --smtp-certificate")
    demands = Demands(settings.smtp_security, smtp_certificate, smtp_key, settings.smtp_user, settings.smtp_password)
    uvloop.run(
        serve(
            host,
            port,
            smtp_port,
            database,
            webhook_base,
            settings.webhook_secret[0],
            provider_key=settings.provider_key,
            provider_key_header=settings.provider_key_header,
            demands=demands,
        )
    )


@betting.command()
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

    settings = _settings()
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


@betting.command()
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
    type=click.FloatRange(min=1),
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
    type=click.FloatRange(min=0),
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
    type=click.FloatRange(min=0),
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
    type=click.FloatRange(min=0, max=36_500),
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

    With --once, the exit code is 1 if anything does not balance or agree, 3 if not everything could be seen, and 4 if
    all balances and something is stranded in the end. How long a deposit waits for its provider is read from the same
    variable as there.
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
    settings = _settings()
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
    if seen.balanced and provider and seen.reconciled is None:
        sys.exit(NOT_SEEN)
    sys.exit(1 if not seen.balanced else STRANDED if seen.stranded.count else 0)


def _keep_books(target: "Target", host: str, port: int, every: float, sample: int) -> None:
    """Export what the bookkeeper sees until a signal asks to stop."""
    import asyncio
    from contextlib import suppress

    from prometheus_client import REGISTRY, start_http_server

    from app.bookkeeper.metrics import Exported
    from app.bookkeeper.run import keep, once_each, until_signalled

    _require_free(host, port, "--port")
    exported = Exported()
    REGISTRY.register(exported)
    start_http_server(port, host)
    with suppress(asyncio.CancelledError):
        asyncio.run(until_signalled(keep(target, sample, every, exported, once_each())))


def _rates(context: click.Context, parameter: click.Parameter, given: Any) -> Any:
    """Refuse what is no number of things: less than none, endless or none at all."""
    import math

    for rate in given if isinstance(given, tuple) else (given,):
        if rate is not None and not 0 <= rate <= MOST:
            shown = "no number" if math.isnan(rate) else f"{rate:g}"
            raise click.BadParameter(f"{shown}; give a number from 0 to {MOST:,}", param=parameter, ctx=context)
    return given


def _rate(what: str, default: str) -> dict[str, Any]:
    return {"type": click.FLOAT, "metavar": "N", "callback": _rates, "help": f"{what}.  [default: {default}]"}


@betting.command()
@click.option(
    "--bets-per-second",
    "bets",
    default=(100.0,),
    show_default="100",
    multiple=True,
    metavar="N",
    callback=_rates,
    type=click.FLOAT,
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
    callback=_rates,
    type=click.FLOAT,
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
    if output == "markdown":
        click.echo(report.as_markdown(heading, rows))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table(*heading)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    for warning in () if constants or bases else report.warnings(loads, int(nodes)):
        click.echo(warning)


@betting.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def release(arguments: tuple[str, ...]) -> None:
    """Ship versions side by side on Kubernetes; `betting release --help` lists its commands."""
    from app.release.cli import main

    main(arguments or ["--help"], prog_name="betting release", standalone_mode=False)


@betting.command()
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def settings(output: str) -> None:
    """List every setting: its environment variable, default, unit and value."""
    rows = _rows(_settings())
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return

    from rich.console import Console
    from rich.table import Column, Table

    table = Table(Column("Variable", no_wrap=True), "Default", "What it is", "Value")
    for row in rows:
        changed = row["value"] != row["default"]
        table.add_row(*(str(row[column]) for column in row), style="bold" if changed else None)
    Console().print(table)


def _rows(settings: "Settings") -> list[dict[str, str]]:
    return [
        {
            "variable": f"BETTING_{name.upper()}",
            "default": _text(field.default),
            "description": field.description or "",
            "value": _shown(settings, name),
        }
        for name, field in type(settings).model_fields.items()
    ]


def _shown(settings: "Settings", name: str) -> str:
    """A value in force; of a secret, only that there is one."""
    value = _text(getattr(settings, name))
    return "(hidden)" if value and settings.is_secret(name) else value


def _text(value: object) -> str:
    """A value as one writes it in the environment."""
    if isinstance(value, tuple | frozenset | list):
        return ",".join(map(_text, value))
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _settings() -> "Settings":
    """Read the settings; a value that is none ends the command with the variable's name."""
    from pydantic import ValidationError

    from app.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        problems = [
            _problem(str(problem["loc"][0]), problem) if problem["loc"] else problem["msg"]
            for problem in error.errors(include_url=False)
        ]
        cure = "correct or unset these variables; `betting settings` lists them with defaults and units:"
        # The cause comes last: of a pod that crashes, Kubernetes and `release status` show the last line.
        raise click.ClickException("\n".join([cure, *problems])) from None


def _problem(name: str, problem: "ErrorDetails") -> str:
    from app.settings import Settings

    given = "(hidden)" if Settings.is_secret(name) else _text(problem["input"])[:SHOWN_CHARACTERS]
    return f"BETTING_{name.upper()}={given}: {problem['msg']}"


def _require_free(host: str, port: int, setting: str) -> None:
    """End the command with the setting that chooses another port, where this one cannot be had."""
    import socket

    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port} ({error.strerror}). Stop what listens there, or set {setting}."
        ) from None


def main() -> None:
    """Run the command, ending with 2 for wrong usage, 1 for a failure and 130 for Ctrl-C."""
    try:
        sys.exit(betting(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"Error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
