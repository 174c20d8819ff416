"""Serves a version's code for the gates of a release: the same handlers, and nothing of it reaches the world.

What a handler would do outside, it does through the provider and the mailer, and these refuse. Nobody's signature is
asked for, because no answer of a rehearsal has an effect: who asks is not Restate, and keeps nothing.
"""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from typing import Any, NoReturn

from hypercorn.asyncio import serve as serve_asgi
from restate.server import install_shutdown_hook
from restate.server_types import RestateAppT

from app.composition import build_app, dependencies_of, server_config
from app.domain.messages import Message
from app.domain.payments import ChargeRequest, MovementPage, PaymentEvent, PaymentOutcome, PayoutRequest
from app.domain.provider_events import UnknownEvent
from app.domain.refusals import Refused
from app.services.rehearsal_documents import documents_app
from app.services.shell.dependencies import connect
from app.settings import Settings
from app.telemetry.counts import Counts
from app.telemetry.folder import current_folder
from app.telemetry.logs import log_to_stderr

DOCUMENTS = "/documents"


class RehearsalError(Exception):
    """A rehearsed handler wanted to reach the world."""


def _refuse(what: str) -> NoReturn:
    raise RehearsalError(f"a rehearsal does not {what}")


class NoProvider:
    """The payment provider of a rehearsal: it moves nothing and knows nothing."""

    async def charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Refuse."""
        _refuse(f"charge {request.reference}")

    async def find_charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Refuse."""
        _refuse(f"look for the charge {request.reference}")

    async def pay_out(self, request: PayoutRequest) -> PaymentOutcome:
        """Refuse."""
        _refuse(f"pay out {request.reference}")

    async def find_payout(self, request: PayoutRequest) -> PaymentOutcome:
        """Refuse."""
        _refuse(f"look for the payout {request.reference}")

    async def void_charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Refuse."""
        _refuse(f"void {request.reference}")

    async def refund_charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Refuse."""
        _refuse(f"refund {request.reference}")

    def read_event(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> PaymentEvent | UnknownEvent | Refused:
        """Refuse."""
        del headers, body, now
        _refuse("check a signature")

    async def charges_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        """Refuse."""
        del moment, cursor
        _refuse("list charges")

    async def payouts_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        """Refuse."""
        del moment, cursor
        _refuse("list payouts")


class NoMailer:
    """The mail server of a rehearsal: it takes no message."""

    async def send(self, message: Message) -> None:
        """Refuse."""
        _refuse(f"send the message {message.message_id}")


def rehearsal_app(settings: Settings) -> Any:
    """The ASGI application of a rehearsal: handlers as Restate calls them, and `POST /documents`."""
    handlers: RestateAppT = build_app(settings.model_copy(update={"identity_keys": ()}))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        called = documents_app if scope["type"] == "http" and scope["path"] == DOCUMENTS else handlers
        await called(scope, receive, send)

    return app


async def rehearse(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        install_shutdown_hook(asyncio.get_running_loop(), stop.set, signum)
    log_to_stderr(settings.log_format, settings.secrets)
    with closing(Counts(current_folder())) as counts:
        connect(dependencies_of(settings, NoProvider(), NoMailer(), counts))
        await serve_asgi(rehearsal_app(settings), server_config(settings), shutdown_trigger=stop.wait, mode="asgi")
