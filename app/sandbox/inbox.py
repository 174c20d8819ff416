"""A mail server that keeps what it gets, so that people and tests can read what customers were told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, Envelope

from app.sandbox.store import Mail, Store


class Inbox:
    """Keeps each mail once a recipient and Message-ID, as Dovecot's duplicate suppression (RFC 7352) does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802, aiosmtpd's name
        """Take one mail."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, EmailMessage, policy=default)
        for recipient in envelope.rcpt_tos:
            self._store.add_mail(message["Message-ID"], Mail(recipient, message["Subject"] or "", _text(message)))
        return "250 OK"


@asynccontextmanager
async def listening(store: Store, host: str, port: int) -> AsyncIterator[None]:
    """Take mail while in here."""
    conversations = WeakSet[SMTP]()

    def converse() -> SMTP:
        conversation = SMTP(Inbox(store), hostname="sandbox", enable_SMTPUTF8=True)
        conversations.add(conversation)
        return conversation

    server = await asyncio.get_running_loop().create_server(converse, host, port)
    try:
        yield
    finally:
        server.close()
        for conversation in conversations:
            if conversation.transport is not None:
                conversation.transport.close()
        await server.wait_closed()


def _text(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    text = "" if body is None else str(body.get_content())
    return text.replace("\r\n", "\n").removesuffix("\n")
