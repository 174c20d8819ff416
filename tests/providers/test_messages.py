import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from app.domain.messages import Message
from app.providers.messages import SmtpMailer, compose
from tests.sandbox.running import Address, free_ports, sandbox

SENDER = "betting@example.com"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def mailer(address: Address) -> AsyncIterator[SmtpMailer]:
    async with SmtpMailer("127.0.0.1", address.smtp, SENDER) as mailer:
        yield mailer


def message(to: str, message_id: str = "deposit:d-1@x", **changes: str) -> Message:
    return Message(message_id=message_id, to=to, **({"subject": "Deposit", "text": "100 EUR"} | changes))


async def inbox(address: Address, to: str) -> list[dict[str, str]]:
    async with httpx.AsyncClient(trust_env=False) as client:
        mails: list[dict[str, str]] = (await client.get(f"{address.url}/mails", params={"to": to})).json()
    return mails


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("plain@example.com", "100 EUR"),
        ("beyond.ascii@example.com", "Für Sie: 100 €"),
        ("dots@example.com", ".\n..\n."),
        ("long@example.com", "x" * 5000),
        ("lines@example.com", "two\n\nlines"),
        ("from@example.com", "From me"),
        ("empty@example.com", ""),
    ],
)
async def test_a_message_arrives_as_it_was_written(mailer: SmtpMailer, address: Address, to: str, text: str) -> None:
    await mailer.send(message(to, subject="Geld für Sie", text=text))

    assert await inbox(address, to) == [{"to": to, "subject": "Geld für Sie", "text": text}]


async def test_a_repeated_message_arrives_once(mailer: SmtpMailer, address: Address) -> None:
    long_id = "deposit:" + "@:" * 60
    for message_id in (long_id, long_id, long_id + "x"):
        await mailer.send(message("once@example.com", message_id))

    assert len(await inbox(address, "once@example.com")) == 2


def test_a_message_tells_who_when_and_which() -> None:
    mail = compose(message("ann@example.com"), SENDER, AT)

    assert {name: str(said) for name, said in mail.items()} == {
        "Message-ID": "<deposit%3Ad-1%40x@betting>",
        "Date": "Sun, 01 Mar 2026 12:00:00 +0000",
        "From": SENDER,
        "To": "ann@example.com",
        "Subject": "Deposit",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }


@pytest.mark.parametrize(
    "to",
    [
        "ann@example.com\nBcc: eve@example.com",
        "ann@example.com, eve@example.com",
        "ann@example.com\r",
        "ann",
        "",
        "a b",
    ],
)
async def test_what_is_not_one_address_is_never_sent(mailer: SmtpMailer, to: str) -> None:
    with pytest.raises(ValueError, match="not an e-mail address"):
        await mailer.send(message(to))


@pytest.mark.parametrize("subject", ["Paid\nBcc: eve@example.com", "Paid\r\n\r\nbody"])
async def test_a_subject_cannot_add_headers(mailer: SmtpMailer, address: Address, subject: str) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        await mailer.send(message("headers@example.com", subject=subject))
    await mailer.send(message("headers@example.com"))

    assert [mail["subject"] for mail in await inbox(address, "headers@example.com")] == ["Deposit"]


async def test_messages_sent_at_once_all_arrive(mailer: SmtpMailer, address: Address) -> None:
    await asyncio.gather(*(mailer.send(message("many@example.com", f"m-{n}")) for n in range(20)))

    assert len(await inbox(address, "many@example.com")) == 20


async def test_a_mail_server_that_is_not_there_is_an_error() -> None:
    async with SmtpMailer("127.0.0.1", free_ports(1)[0], SENDER) as mailer:
        for _ in range(2):
            with pytest.raises(aiosmtplib.SMTPException):
                await mailer.send(message("ann@example.com"))


class MailServer:
    """A mail server that can fall silent in the middle of a mail, or hang up when a second one begins."""

    def __init__(self, silent: bool = False, forgetful: bool = False) -> None:
        self.silent = silent
        self.forgetful = forgetful
        self.fell_silent = asyncio.Event()
        self.connections = 0
        self.mails = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        mails_before = self.mails
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line.startswith(b"MAIL") and self.silent:
                self.fell_silent.set()
                await reader.read()
                break
            if line.startswith(b"MAIL") and self.forgetful and self.mails > mails_before:
                break
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                self.mails += 1
            writer.write(b"250 fine\r\n")
        writer.close()

    @asynccontextmanager
    async def mailer(self, timeout_seconds: float = 10) -> AsyncIterator[SmtpMailer]:
        async with (
            await asyncio.start_server(self.converse, "127.0.0.1", 0) as server,
            SmtpMailer("127.0.0.1", server.sockets[0].getsockname()[1], SENDER, timeout_seconds) as mailer,
        ):
            yield mailer


@pytest.mark.parametrize(("forgetful", "connections"), [(False, 1), (True, 3)])
async def test_one_connection_carries_all_messages_unless_the_server_hangs_up(
    forgetful: bool, connections: int
) -> None:
    server = MailServer(forgetful=forgetful)
    async with server.mailer() as mailer:
        for n in range(3):
            await mailer.send(message("ann@example.com", f"m-{n}"))

    assert (server.mails, server.connections) == (3, connections)


async def test_a_server_that_falls_silent_is_given_up_on_and_called_again() -> None:
    server = MailServer(silent=True)
    async with server.mailer(timeout_seconds=0.3) as mailer:
        with pytest.raises((TimeoutError, aiosmtplib.SMTPException)):
            await mailer.send(message("ann@example.com"))
        server.silent = False
        await mailer.send(message("ann@example.com"))

    assert server.mails == 1


async def test_a_cancelled_sending_leaves_the_mailer_usable() -> None:
    server = MailServer(silent=True)
    async with server.mailer() as mailer:
        sending = asyncio.create_task(mailer.send(message("ann@example.com")))
        await server.fell_silent.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        server.silent = False
        await mailer.send(message("ann@example.com"))

    assert server.mails == 1


async def test_a_mail_server_that_restarts_is_found_again(tmp_path: Path) -> None:
    address = Address(*free_ports(2))
    async with SmtpMailer("127.0.0.1", address.smtp, SENDER) as mailer:
        for message_id in ("m-1", "m-2"):
            async with sandbox(tmp_path / "sandbox.db", address=address):
                await mailer.send(message("ann@example.com", message_id))
                mails = await inbox(address, "ann@example.com")

    assert len(mails) == 2
