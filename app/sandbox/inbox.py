"""A mail server that keeps what it gets, so that people and tests can read what customers were told."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import Any
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from app.providers.messages import Security
from app.sandbox.store import Mail, Store


class Inbox:
    """Keeps each mail once a recipient and Message-ID, as Dovecot's duplicate suppression (RFC 7352) does."""

    def __init__(self, store: Store, pipelining: bool = True) -> None:
        self._store = store
        self._pipelining = pipelining

    async def handle_EHLO(  # noqa: N802, aiosmtpd's name
        self, server: SMTP, session: Any, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Say also that commands may come in groups: aiosmtpd reads them one after the other, and does not say so."""
        session.host_name = hostname
        return [responses[0], *(["250-PIPELINING"] if self._pipelining else []), *responses[1:]]

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802, aiosmtpd's name
        """Take one mail."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content)  # the newer policies parse each header, which takes far longer
        subject, name = _subject(message), message["Message-ID"]
        for recipient in envelope.rcpt_tos:
            self._store.add_mail(name and str(name).strip(), Mail(recipient, subject, _text(message)))
        return "250 OK"


@dataclass(frozen=True)
class Demands:
    """What the inbox asks of whoever brings mail, such as encryption and a user; nothing, as on one's own machine."""

    security: Security = "none"
    certificate: Path | None = None
    key: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    utf8: bool = True
    """Whether addresses may have characters beyond ASCII (RFC 6531)."""
    pipelining: bool = True
    """Whether it says that commands may come in groups (RFC 2920)."""

    def context(self) -> ssl.SSLContext | None:
        """The certificate that is shown."""
        if self.security == "none":
            return None
        assert self.certificate is not None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def conversation(self, store: Store, context: ssl.SSLContext | None) -> SMTP:
        """A conversation with one who brings mail."""
        with warnings.catch_warnings():
            # It knows of no encryption but its own STARTTLS, and warns where all is encrypted from the start.
            warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")
            return self._conversation(store, context)

    def _conversation(self, store: Store, context: ssl.SSLContext | None) -> SMTP:
        return SMTP(
            Inbox(store, self.pipelining),
            hostname="sandbox",
            enable_SMTPUTF8=self.utf8,
            tls_context=context if self.security == "starttls" else None,
            require_starttls=self.security == "starttls",
            auth_required=bool(self.user),
            auth_require_tls=self.security == "starttls",
            authenticator=self._known,
        )

    def _known(self, server: SMTP, session: Any, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        expected = (self.user.encode(), self.password.encode())
        return AuthResult(success=isinstance(given, LoginPassword) and (given.login, given.password) == expected)


@asynccontextmanager
async def listening(store: Store, host: str, port: int, demands: Demands) -> AsyncIterator[None]:
    """Take mail while in here."""
    conversations = WeakSet[SMTP]()
    context = demands.context()

    def converse() -> SMTP:
        conversation = demands.conversation(store, context)
        conversations.add(conversation)
        return conversation

    encrypted = context if demands.security == "tls" else None
    server = await asyncio.get_running_loop().create_server(converse, host, port, ssl=encrypted)
    try:
        yield
    finally:
        server.close()
        for conversation in conversations:
            if conversation.transport is not None:
                conversation.transport.close()
        await server.wait_closed()


def _subject(message: Message) -> str:
    given = message["Subject"] or ""
    try:
        parts = decode_header(given)
    except HeaderParseError:
        return str(given)
    readable = [
        (part if isinstance(part, str) else _decoded(part, charset or "ascii"), charset and "utf-8")
        for part, charset in parts
    ]
    return str(make_header(readable))  # which knows where the space between two parts is none


def _text(message: Message) -> str:
    plain = next((part for part in message.walk() if part.get_content_type() == "text/plain"), None)
    content = None if plain is None else plain.get_payload(decode=True)
    if plain is None or not isinstance(content, bytes):
        return ""
    return _decoded(content, plain.get_content_charset("utf-8")).replace("\r\n", "\n").removesuffix("\n")


def _decoded(content: bytes, charset: str) -> str:
    """The text of these bytes, whatever they are: a mail that cannot be read is kept, so that somebody sees it."""
    try:
        text = content.decode(charset, errors="replace")
    except (LookupError, ValueError):  # nobody knows that charset, or it decodes nothing
        text = content.decode("ascii", errors="replace")
    return text.encode("utf-8", errors="replace").decode()  # halves of characters cannot be stored
