"""Real servers on free ports for a test: the sandbox, and someone who hears its webhooks."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from hypercorn.asyncio import serve as serve_http
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.server import serve

SECRET = "a webhook secret"


@dataclass(frozen=True)
class Address:
    http: int
    smtp: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"


@dataclass
class Listener:
    """Hears webhooks; answers as told, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    heard: asyncio.Queue[tuple[str, bytes, str]] = field(default_factory=asyncio.Queue)

    async def hear(self, request: Request) -> Response:
        await self.heard.put((request.url.path, await request.body(), request.headers["Webhook-Signature"]))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Return as soon as a condition that only looking can tell holds."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110, it holds in another process
            await asyncio.sleep(0.02)


async def healthy(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def answers() -> bool:
            try:
                return (await client.get(f"{url}/health")).is_success
            except httpx.TransportError:
                return False

        await until(answers)


@asynccontextmanager
async def sandbox(
    database: Path, webhook_base: str = "http://127.0.0.1:9", address: Address | None = None, **demands: Any
) -> AsyncIterator[Address]:
    address = address or Address(*free_ports(2))
    stop = asyncio.Event()
    running = asyncio.create_task(
        serve("127.0.0.1", address.http, address.smtp, database, webhook_base, SECRET, stop=stop, **demands)
    )
    try:
        await healthy(address.url)
        yield address
    finally:
        stop.set()
        await running


@asynccontextmanager
async def listener(statuses: Iterable[int] = (), port: int | None = None) -> AsyncIterator[Listener]:
    port = port or free_ports(1)[0]
    listening = Listener(f"http://127.0.0.1:{port}", list(statuses))
    app = Starlette(
        routes=[
            Route("/health", lambda request: Response()),
            Route("/{path:path}", listening.hear, methods=["POST"]),
        ]
    )
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    stop = asyncio.Event()
    running = asyncio.create_task(serve_http(app, config, shutdown_trigger=stop.wait, mode="asgi"))  # type: ignore[arg-type]
    try:
        await healthy(listening.url)
        yield listening
    finally:
        stop.set()
        await running
