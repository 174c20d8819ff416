"""Real servers on free ports for a test: the sandbox, and someone who hears its webhooks."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve as serve_http
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.server import serve
from tests.helpers.ports import free_ports
from tests.helpers.waiting import healthy

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
