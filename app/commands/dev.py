"""`betting dev` and `betting token`: everything on this machine, and who may ask it."""

from pathlib import Path

import click

from app.commands.door import description, routes
from app.commands.given import read_settings


@click.command()
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
    read_settings()
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    ports = Ports.plan(port_base)
    ports.require_free(LET_GO_SECONDS, with_edge=edge)
    door = Door(envoy(), routes(), description()) if edge else None
    with suppress(asyncio.CancelledError):
        asyncio.run(run(Folder(data), fresh, ports, ready_file, restate_server(), door))


@click.command()
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
