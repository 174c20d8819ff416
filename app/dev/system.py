"""The whole system on this machine: a real restate-server, the sandbox and the service, registered and ready."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import click
import httpx
from click import ClickException

from app.dev.announce import told, welcome
from app.dev.children import POLL_SECONDS, START_SECONDS
from app.dev.folder import Folder
from app.dev.plan import Door, System, plan
from app.dev.ports import Ports

REGISTRATIONS = 3
"""How often Restate is told of the service, where it does not answer in time."""


async def run(
    folder: Folder, fresh: bool, ports: Ports, ready_file: Path | None, restate_server: Path, door: Door | None
) -> None:
    """Run everything until a signal asks to stop; whatever ends in between is started again."""
    with folder.locked() as lock, told(ready_file, ports, door is not None) as tell:
        if fresh:
            folder.forget()
        folder.start_logs()
        system = plan(folder, ports, restate_server, door, lock)
        async with _stopped_in_the_end(system), httpx.AsyncClient(trust_env=False) as client:
            for child in system:
                await child.start()
            for child in system:
                await child.ready(client)
            components = await _register(client, ports)
            if not await _are_known(client, ports, components):
                raise ClickException(f"Restate does not serve what it was told of, see {system.restate.log}")
            tell(system)
            click.echo(welcome(ports, folder, door is not None))

            async def restarted() -> None:
                await _are_known(client, ports, components)  # a Restate that has just started knows none for a moment
                tell(system)

            await _keep(client, system, restarted)


async def _register(client: httpx.AsyncClient, ports: Ports) -> list[str]:
    """Tell Restate where the service is; the names of its components."""
    answer = await _registered(client, ports)
    if answer.is_error:
        raise ClickException(f"Restate does not take the service: {answer.text}")
    return [component["name"] for component in answer.json()["services"]]


async def _registered(client: httpx.AsyncClient, ports: Ports) -> httpx.Response:
    """What Restate says; on a busy machine it may say so only when asked again, which changes nothing."""
    for _ in range(REGISTRATIONS):
        with suppress(httpx.TransportError):
            return await client.post(
                ports.url("admin") + "/deployments",
                json={
                    "uri": ports.url("service"),
                    "force": True,
                    "breaking": True,
                },  # the code changes under one address
                timeout=30,
            )
    raise ClickException("Restate did not answer in time; see its log, and try again")


async def _are_known(client: httpx.AsyncClient, ports: Ports, components: Iterable[str]) -> bool:
    """Wait until Restate's ingress knows every component; whether it did in time."""
    deadline = time.monotonic() + START_SECONDS
    for component in components:
        while await _is_unknown(client, ports, component):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
    return True


async def _is_unknown(client: httpx.AsyncClient, ports: Ports, component: str) -> bool:
    try:
        answer = await client.post(f"{ports.url('ingress')}/{component}/any/noSuchHandler")
    except httpx.TransportError:  # on a busy machine it may be late
        return True
    return f"service '{component}' not found" in answer.text


async def _keep(client: httpx.AsyncClient, system: System, restarted: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for child in system:
                group.create_task(child.keep(client, restarted))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


@asynccontextmanager
async def _stopped_in_the_end(system: System) -> AsyncIterator[None]:
    """A signal stops all processes, in order; a second one does so at once. Either way nothing is left in the end."""
    task = asyncio.current_task()
    assert task is not None
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    try:
        yield
    finally:
        click.echo("Stopping ...")
        try:
            for child in system:
                await child.stop()
        finally:
            for child in system:
                child.kill()
            for child in system:
                await child.gone()
