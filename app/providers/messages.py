"""Customer messages, as the services see them."""

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address, AddressHeader, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from types import TracebackType
from typing import Literal, Protocol, Self
from urllib.parse import quote

import aiosmtplib

from app.domain.messages import Message
from app.providers import pipelining


class Mailer(Protocol):
    """Hands messages to a mail server."""

    async def send(self, message: Message) -> None:
        """Hand over one message; raises when the mail server did not take it."""


TIMEOUT_SECONDS = 10
"""How long handing over one message may take."""


MOST_CONNECTIONS = 16
"""Handing over takes two to four round trips; on one connection, a busy hour's messages would queue up."""


ABOUT_US = frozenset({530, 534, 535, 538})
"""Replies that are about our own access, whatever they answer: with other settings the same message would be taken."""

Security = Literal["none", "starttls", "tls"]

_HEADERS = HeaderRegistry()
_PLAIN_TEXT = re.compile(r"[ -~]{0,78}(\n[ -~]{0,78})*")
_PLAIN_ID = re.compile(r"[A-Za-z0-9._:@/-]{1,300}")
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_PLAIN_SUBJECT = re.compile(r"(?!.*=\?)[!-~]+( [!-~]+)*")
_LONGEST_LINE = 78
"""In characters (RFC 5322, 2.1.1); a longer header would have to be folded."""
_PLAIN_HEADERS = 'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\nMIME-Version: 1.0\r\n'


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


@dataclass(frozen=True)
class Mail:
    """An e-mail as it goes to the mail server."""

    sender: str
    recipient: str
    content: bytes


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
        self._sender = sender_of(sender)
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


async def _hand_over(connection: aiosmtplib.SMTP, mail: Mail) -> None:
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


async def _send(connection: aiosmtplib.SMTP, mail: Mail) -> None:
    """Send over an open connection; what the message itself makes impossible is told apart from all else."""
    try:
        if connection.last_ehlo_response is None:  # after a new connection without encryption or password
            await connection.ehlo()
        options = _options(connection, mail)
        if pipelining.takes_groups(connection):
            await pipelining.hand_over(connection, mail.sender, mail.recipient, mail.content, options)
        else:
            await connection.sendmail(mail.sender, [mail.recipient], mail.content, mail_options=options)
    except aiosmtplib.SMTPException as error:
        if _for_good(error):
            raise UndeliverableError(f"the mail server refuses this message for good: {error}") from error
        raise


def _options(connection: aiosmtplib.SMTP, mail: Mail) -> list[str]:
    """What a mail to an address beyond ASCII needs (RFC 6531)."""
    if mail.recipient.isascii():
        return []
    if not connection.supports_extension("smtputf8"):
        raise UndeliverableError(f"the mail server cannot take this address: {mail.recipient!r}")
    return ["SMTPUTF8", "BODY=8BITMIME"]


def _for_good(error: aiosmtplib.SMTPException) -> bool:
    """Whether a no is permanent and about this message: a 5xx reply to its recipient or content (RFC 5321, 4.2.1).

    A 5xx reply to anything else, such as our sender or our password, is about us: once that is mended, all is sent.
    """
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(_for_good(refused) for refused in error.recipients)
    if not isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError):
        return False
    return 500 <= error.code < 600 and error.code not in ABOUT_US


@dataclass(frozen=True)
class Sender:
    """We, as the sender of every mail. It is parsed once, because that takes as long as much of the rest of a mail."""

    address: str
    header: AddressHeader
    line: str
    """The header as it stands in a mail."""


def sender_of(text: str) -> Sender:
    """Read our address, with or without a name."""
    header = _HEADERS("From", text)
    assert isinstance(header, AddressHeader), "the registry reads From as addresses"
    return Sender(header.addresses[0].addr_spec, header, header.fold(policy=SMTP))


def compose(message: Message, sender: Sender, at: datetime) -> Mail:
    """The e-mail of a message; its Message-ID is the same each time, so that mail servers can drop repetitions.

    Raises UndeliverableError if the address is not exactly one, or a header would hold a line break, or a text what is
    no character.
    """
    if (plain := _plain_mail(message, sender, at)) is not None:
        return plain
    try:
        recipient = _address(message.to)
        mail = _composed(message, sender, recipient, at)
        policy = SMTP if recipient.addr_spec.isascii() else SMTPUTF8
        return Mail(sender.address, recipient.addr_spec, mail.as_bytes(policy=policy))
    except UndeliverableError:
        raise
    except Exception as error:  # the parser and the generator raise what they stumble over, IndexError for one
        raise UndeliverableError(f"not to be sent as a mail: {type(error).__name__}: {error}") from error


def _plain_mail(message: Message, sender: Sender, at: datetime) -> Mail | None:
    """The mail as the library would write it, in a hundredth of the time, if nothing needs encoding or folding."""
    to, subject = f"To: {message.to}", f"Subject: {message.subject}"
    is_plain = (
        _PLAIN_ID.fullmatch(message.message_id)
        and _PLAIN_ADDRESS.fullmatch(message.to)
        and _PLAIN_SUBJECT.fullmatch(message.subject)
        and _PLAIN_TEXT.fullmatch(message.text)
        and max(len(to), len(subject)) <= _LONGEST_LINE
    )
    if not is_plain:
        return None
    text = message.text.removesuffix("\n").replace("\n", "\r\n")  # one ends the text in any case
    headers = f"Message-ID: {_id_of(message)}\r\nDate: {format_datetime(at)}\r\n{sender.line}{to}\r\n{subject}\r\n"
    return Mail(sender.address, message.to, f"{headers}{_PLAIN_HEADERS}\r\n{text}\r\n".encode())


def _id_of(message: Message) -> str:
    return f"<{quote(message.message_id, safe='')}@betting>"


def _composed(message: Message, sender: Sender, recipient: Address, at: datetime) -> EmailMessage:
    mail = EmailMessage()
    mail["Message-ID"] = _id_of(message)
    mail["Date"] = at
    mail["From"] = sender.header
    mail["To"] = recipient
    mail["Subject"] = message.subject
    mail.set_content(message.text)
    return mail


def _address(text: str) -> Address:
    try:
        return Address(addr_spec=text)
    except Exception as error:  # the parser raises what it stumbles over, IndexError for one
        raise UndeliverableError(f"not an e-mail address: {text!r}") from error
