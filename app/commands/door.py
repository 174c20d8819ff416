"""`betting openapi` and `betting edge`: the public API, described and let through, as the handlers declare it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app import __version__

if TYPE_CHECKING:
    from app.edge.routes import Route


@click.command()
def openapi() -> None:
    """Print the description of the API, as an OpenAPI 3.1 document: of what the door lets through.

    The door itself answers GET /openapi.json with it, without a token. Clients are generated from it.
    """
    click.echo(description(), nl=False)


@click.command()
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
        click.echo(as_yaml(bootstrap(routes(), IN_CHART)), nl=False)
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
        click.echo(resources(routes(), settings, namespace), nl=False)
        return
    click.echo(as_yaml(bootstrap(routes(), settings)), nl=False)


def routes() -> "list[Route]":
    """What the door lets through: each public handler."""
    from app.composition import SERVICES
    from app.edge.routes import Route
    from app.services.shell.access import public_handlers

    return [Route(one.service, one.access.needs_token, one.handler, one.keyed) for one in public_handlers(SERVICES)]


def description() -> str:
    """The OpenAPI document of the public API, as text."""
    from app.composition import SERVICES
    from app.openapi.document import as_text, document
    from app.services.shell.access import public_handlers

    return as_text(document(public_handlers(SERVICES), __version__))
