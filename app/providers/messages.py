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


class SmtpMailer:
    """Hands messages to an SMTP server, one after the other, over one connection that stays open."""

    def __init__(self, host: str, port: int, sender: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._turn = asyncio.Lock()
        self._server = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            local_hostname="betting",  # the default asks the name server
            timeout=timeout_seconds,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection to the mail server."""
        async with self._turn:
            self._server.close()

    async def send(self, message: Message) -> None:
        """Hand over one message.

        Raises ValueError if it can never be sent, and SMTPException, OSError or TimeoutError if it may be next time.
        """
        mail = compose(message, self._sender, datetime.now(UTC))
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await self._hand_over(mail)
            except BaseException:
                self._server.close()  # whatever went wrong, the next message starts on a connection that is in step
                raise

    async def _hand_over(self, mail: EmailMessage) -> None:
        """Send over the open connection, or over a new one if there is none or the server has hung up meanwhile."""
        if self._server.is_connected:
            try:
                await self._server.send_message(mail)
            except (aiosmtplib.SMTPServerDisconnected, ConnectionError):
                self._server.close()
            else:
                return
        await self._server.connect()
        await self._server.send_message(mail)


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
