"""The sandbox: a payment provider and a mail inbox to develop, demonstrate and test against, as real servers."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from hypercorn.asyncio import serve as serve_http
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.providers.payments import BEARER
from app.sandbox.credentials import Demanding
from app.sandbox.inbox import Demands, listening
from app.sandbox.movements import Movements
from app.sandbox.orders import Charge, Payout
from app.sandbox.payments import Desk
from app.sandbox.store import Store
from app.sandbox.three_d_secure import ThreeDSecure
from app.sandbox.webhooks import WebhookSender

GRACE_SECONDS = 1
"""How long requests may go on after the signal to stop."""

KEEP_ALIVE_SECONDS = 120


async def serve(
    host: str,
    port: int,
    smtp_port: int,
    database: Path,
    webhook_base: str,
    webhook_secret: str,
    stop: asyncio.Event | None = None,
    provider_key: str | None = None,
    provider_key_header: str = BEARER,
    demands: Demands = Demands(),  # noqa: B008, it is frozen
) -> None:
    """Run the sandbox until SIGTERM or SIGINT, or until `stop`. The inbox is open before /health answers."""
    store = Store(database)
    stop = stop or _signalled()
    app = Demanding(build_app(store, webhook_base, webhook_secret, stop), provider_key, provider_key_header)
    try:
        async with listening(store, host, smtp_port, demands):
            # Starlette and hypercorn have each their own words for the same ASGI.
            await serve_http(app, _config(host, port), shutdown_trigger=stop.wait, mode="asgi")  # type: ignore[arg-type]
    finally:
        store.close()


def build_app(store: Store, webhook_base: str, webhook_secret: str, stop: asyncio.Event) -> Starlette:
    """The payment provider and the inbox's reading side, as an ASGI application; `stop` ends what never answers."""
    sender = WebhookSender(store, webhook_base, webhook_secret)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with sender:
            yield

    async def mails(request: Request) -> Response:
        return JSONResponse([asdict(mail) for mail in store.mails(request.query_params.get("to"))])

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            *Desk(store, Charge, stop).routes(),
            *Desk(store, Payout, stop).routes(),
            *ThreeDSecure(store, sender).routes(),
            *Movements(store, sender).routes(),
            Route("/mails", mails),
            Route("/health", health),
        ],
        exception_handlers={HTTPException: _say_why, Exception: _say_sorry},
        lifespan=lifespan,
    )


def _signalled() -> asyncio.Event:
    event = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, event.set)
    return event


async def _say_why(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _say_sorry(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the sandbox has a bug, see its log"}, 500)


def _config(host: str, port: int) -> Config:
    config = Config()
    config.bind = [f"{host}:{port}"]
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.keep_alive_max_requests = 1_000_000_000  # the default closes a connection after 1,000 requests
    config.graceful_timeout = GRACE_SECONDS
    return config
