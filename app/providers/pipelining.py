"""Hands a mail over in two round trips, instead of four, to a mail server that takes commands in groups (RFC 2920)."""

import asyncio
import re
from collections.abc import Sequence
from typing import cast

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponse,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from aiosmtplib.email import quote_address

LONGEST_REPLIES = 32_768
"""The most bytes of replies to one group of commands."""

_OK, _WILL_FORWARD, _GO_ON = 250, 251, 354
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LEADING_DOT = re.compile(rb"(?m)^\.")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def takes_groups(connection: SMTP) -> bool:
    """Whether the server takes commands in groups, by its reply to EHLO."""
    return connection.supports_extension("pipelining")


async def hand_over(connection: SMTP, sender: str, recipient: str, content: bytes, options: Sequence[str]) -> None:
    """Hand over one mail: its sender, its recipient and the wish to send in one group, then its content.

    Raises SMTPException as `SMTP.sendmail` does. The connection must then be closed. The server may be waiting for the
    content of a mail whose recipient it refused, and only a closed connection tells it that there is none.
    """
    content = _as_data(content)
    if connection.supports_extension("size"):
        options = [f"SIZE={len(content)}", *options]
    group = (" ".join([f"MAIL FROM:{quote_address(sender)}", *options]), f"RCPT TO:{quote_address(recipient)}", "DATA")
    encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
    replies = _replies_on(connection)
    asked, received, begun = await replies.to(b"".join(_command(text, encoding) for text in group), len(group))
    if asked.code != _OK:
        raise SMTPSenderRefused(asked.code, asked.message, sender)
    if received.code not in (_OK, _WILL_FORWARD):
        raise SMTPRecipientsRefused([SMTPRecipientRefused(received.code, received.message, recipient)])
    if begun.code != _GO_ON:
        raise SMTPDataError(begun.code, begun.message)
    [taken] = await replies.to(_LEADING_DOT.sub(b"..", content) + b".\r\n", 1)
    if taken.code != _OK:
        raise SMTPDataError(taken.code, taken.message)


class _Replies(asyncio.Protocol):
    """Reads the replies on a connection that aiosmtplib has opened, which awaits a single reply at a time."""

    def __init__(self, opened_by: asyncio.BaseProtocol, transport: asyncio.WriteTransport) -> None:
        self._opened_by = opened_by
        self._transport = transport
        self._unread = bytearray()
        self._read: list[SMTPResponse] = []
        self._awaited = 0
        self._arrived: asyncio.Future[None] | None = None

    async def to(self, commands: bytes, count: int) -> list[SMTPResponse]:
        """Send a group of commands, and return as many replies.

        Raises SMTPServerDisconnected if the server hangs up before, and SMTPResponseException for what is no reply.
        """
        if self._transport.is_closing():
            raise SMTPServerDisconnected("the server has hung up")
        self._unread.clear()
        self._read, self._awaited = [], count
        self._arrived = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(commands)
            await self._arrived
        finally:
            self._arrived = None
        return self._read

    def data_received(self, data: bytes) -> None:
        """Read the replies that were awaited. What a server says unasked, such as that it will hang up, is none."""
        if self._arrived is None or self._arrived.done():
            return
        self._unread += data
        try:
            self._read += _replies_in(self._unread)
        except SMTPResponseException as error:
            self._arrived.set_exception(error)
            return
        if len(self._read) >= self._awaited:
            del self._read[self._awaited :]
            self._arrived.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is awaited. A refusal that came before the end still counts, for all that it makes pointless."""
        if self._arrived is not None and not self._arrived.done():
            refused = next((reply for reply in self._read if reply.code >= 400), None)
            if refused is None:
                self._arrived.set_exception(SMTPServerDisconnected("the server has hung up"))
            else:
                self._read += [refused] * (self._awaited - len(self._read))
                self._arrived.set_result(None)
        self._opened_by.connection_lost(exc)


def _replies_on(connection: SMTP) -> _Replies:
    transport = cast(asyncio.Transport | None, connection.transport)
    if transport is None:
        raise SMTPServerDisconnected("the connection is not open")
    protocol = transport.get_protocol()
    if not isinstance(protocol, _Replies):
        protocol = _Replies(protocol, transport)
        transport.set_protocol(protocol)
    return protocol


def _replies_in(unread: bytearray) -> list[SMTPResponse]:
    """Take the complete replies out of what was received; a reply may have several lines (RFC 5321, 4.2.1)."""
    found, begin, words = [], 0, []
    end = unread.find(b"\n")
    taken = 0
    while end != -1:
        line = bytes(unread[begin : end + 1])
        if not line[:3].isdigit():
            raise SMTPResponseException(-1, f"not a reply: {line[:80]!r}")
        words.append(line[4:].strip().decode(errors="replace"))
        begin = end + 1
        if line[3:4] != b"-":
            found.append(SMTPResponse(int(line[:3]), "\n".join(words)))
            words, taken = [], begin
        end = unread.find(b"\n", begin)
    del unread[:taken]
    if len(unread) > LONGEST_REPLIES:
        raise SMTPResponseException(-1, "a reply without an end")
    return found


def _command(text: str, encoding: str) -> bytes:
    if _CONTROL.search(text):
        raise ValueError("a command must not hold a control character")
    return f"{text}\r\n".encode(encoding)


def _as_data(content: bytes) -> bytes:
    """The content with the line ends that SMTP wants, and one at its end."""
    content = _LINE_END.sub(b"\r\n", content)
    return content if content.endswith(b"\r\n") else content + b"\r\n"
