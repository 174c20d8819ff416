"""Customer messages, as the services see them."""

import asyncio
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from types import TracebackType
from typing import Protocol, Self
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


class SmtpMailer:
    """Hands messages to an SMTP server over a few connections that stay open."""

    def __init__(self, host: str, port: int, sender: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._connections: asyncio.LifoQueue[aiosmtplib.SMTP] = asyncio.LifoQueue()
        for _ in range(MOST_CONNECTIONS):
            self._connections.put_nowait(
                aiosmtplib.SMTP(
                    hostname=host,
                    port=port,
                    local_hostname="betting",  # the default asks the name server
                    timeout=timeout_seconds,
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

        Raises ValueError if it can never be sent, and SMTPException, OSError or TimeoutError if it may be next time.
        """
        mail = compose(message, self._sender, datetime.now(UTC))
        connection = await self._connections.get()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await _hand_over(connection, mail)
        except aiosmtplib.SMTPException as error:
            connection.close()
            if _for_good(error):
                raise ValueError(f"the mail server refuses this message for good: {error}") from error
            raise
        except BaseException:
            connection.close()  # whatever went wrong, the next message starts on a connection that is in step
            raise
        finally:
            self._connections.put_nowait(connection)


def _for_good(error: aiosmtplib.SMTPException) -> bool:
    """Whether a mail server's no is permanent: a 5xx reply to the message or its one recipient (RFC 5321, 4.2.1)."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(_for_good(refused) for refused in error.recipients)
    return isinstance(error, aiosmtplib.SMTPResponseException) and 500 <= error.code < 600


async def _hand_over(connection: aiosmtplib.SMTP, mail: EmailMessage) -> None:
    """Send over a connection, opened anew if it was not open or the server has hung up meanwhile."""
    if connection.is_connected:
        try:
            await connection.send_message(mail)
        except (aiosmtplib.SMTPServerDisconnected, ConnectionError):
            connection.close()
        else:
            return
    await connection.connect()
    await connection.send_message(mail)


def compose(message: Message, sender: str, at: datetime) -> EmailMessage:
    """The e-mail of a message; its Message-ID is the same each time, so that mail servers can drop repetitions.

    Raises ValueError if the address is not exactly one, or a header would hold a line break.
    """
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
        raise ValueError(f"not an e-mail address: {text!r}") from error
