"""Customer messages, as the services see them."""

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from types import TracebackType
from typing import Literal, Protocol, Self
from urllib.parse import quote

import aiosmtplib

from app.domain.messages import Message


class Mailer(Protocol):
    """Hands messages to a mail server."""

    async def send(self, message: Message) -> None:
        """Hand over one message; raises when the mail server did not take it."""


TIMEOUT_SECONDS = 10
"""How long handing over one message may take."""


MOST_CONNECTIONS = 16
"""Handing over takes four round trips; on one connection, a busy hour's messages would queue up behind each other."""


ABOUT_US = frozenset({530, 534, 535, 538})
"""Replies that are about our own access, whatever they answer: with other settings the same message would be taken."""

Security = Literal["none", "starttls", "tls"]


@dataclass(frozen=True)
class Access:
    """How a mail server is spoken to, and who we are there."""

    security: Security = "none"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    def context(self) -> ssl.SSLContext | None:
        """Whose certificates are believed; nobody's where nothing is encrypted."""
        return None if self.security == "none" else ssl.create_default_context(cafile=self.ca_file or None)


class UndeliverableError(ValueError):
    """A message that can never be sent, however often it is tried."""


class SmtpMailer:
    """Hands messages to an SMTP server over a few connections that stay open."""

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
        access: Access = Access(),
    ) -> None:
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        context = access.context()
        self._connections: asyncio.LifoQueue[aiosmtplib.SMTP] = asyncio.LifoQueue()
        for _ in range(MOST_CONNECTIONS):
            self._connections.put_nowait(
                aiosmtplib.SMTP(
                    hostname=host,
                    port=port,
                    local_hostname="betting",  # the default asks the name server
                    timeout=timeout_seconds,
                    use_tls=access.security == "tls",
                    start_tls=access.security == "starttls",  # the default would encrypt, and fail, as the server likes
                    tls_context=context,
                    username=access.user or None,
                    password=access.password or None,
                )
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to the mail server, each once its message is handed over."""
        for _ in range(MOST_CONNECTIONS):
            (await self._connections.get()).close()

    async def send(self, message: Message) -> None:
        """Hand over one message.

        Raises UndeliverableError if it can never be sent, and SMTPException, OSError or TimeoutError if it may be next
        time: when the mail server is away, or does not take us.
        """
        mail = compose(message, self._sender, datetime.now(UTC))
        connection = await self._connections.get()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await _hand_over(connection, mail)
        except BaseException:
            connection.close()  # whatever went wrong, the next message starts on a connection that is in step
            raise
        finally:
            self._connections.put_nowait(connection)


async def _hand_over(connection: aiosmtplib.SMTP, mail: EmailMessage) -> None:
    """Send over a connection, opened anew if it was not open or the server has hung up meanwhile."""
    if connection.is_connected:
        try:
            await _send(connection, mail)
        except (aiosmtplib.SMTPServerDisconnected, ConnectionError):
            connection.close()
        else:
            return
    await connection.connect()
    await _send(connection, mail)


async def _send(connection: aiosmtplib.SMTP, mail: EmailMessage) -> None:
    """Send over an open connection; what the message itself makes impossible is told apart from all else."""
    try:
        await connection.send_message(mail)
    except aiosmtplib.SMTPNotSupported as error:  # an address beyond ASCII, at a server that takes none
        raise UndeliverableError(f"the mail server cannot take this address: {error}") from error
    except ValueError as error:  # it cannot be written down as a mail
        raise UndeliverableError(f"not to be sent as a mail: {error}") from error
    except aiosmtplib.SMTPException as error:
        if _for_good(error):
            raise UndeliverableError(f"the mail server refuses this message for good: {error}") from error
        raise


def _for_good(error: aiosmtplib.SMTPException) -> bool:
    """Whether a no is permanent and about this message: a 5xx reply to its recipient or content (RFC 5321, 4.2.1).

    A 5xx reply to anything else, such as our sender or our password, is about us: once that is mended, all is sent.
    """
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(_for_good(refused) for refused in error.recipients)
    if not isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError):
        return False
    return 500 <= error.code < 600 and error.code not in ABOUT_US


def compose(message: Message, sender: str, at: datetime) -> EmailMessage:
    """The e-mail of a message; its Message-ID is the same each time, so that mail servers can drop repetitions.

    Raises UndeliverableError if the address is not exactly one, or a header would hold a line break, or a text what is
    no character.
    """
    try:
        mail = _composed(message, sender, at)
        mail.as_bytes()  # whatever cannot be written is found here, and not at the mail server
    except UndeliverableError:
        raise
    except Exception as error:  # the parser and the generator raise what they stumble over, IndexError for one
        raise UndeliverableError(f"not to be sent as a mail: {type(error).__name__}: {error}") from error
    return mail


def _composed(message: Message, sender: str, at: datetime) -> EmailMessage:
    mail = EmailMessage()
    mail["Message-ID"] = f"<{quote(message.message_id, safe='')}@betting>"
    mail["Date"] = at
    mail["From"] = sender
    mail["To"] = _address(message.to)
    mail["Subject"] = message.subject
    mail.set_content(message.text)
    return mail


def _address(text: str) -> Address:
    try:
        return Address(addr_spec=text)
    except Exception as error:  # the parser raises what it stumbles over, IndexError for one
        raise UndeliverableError(f"not an e-mail address: {text!r}") from error
