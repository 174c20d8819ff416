import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import aiosmtplib
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.dev.certificate import certificate
from app.domain.messages import Message
from app.providers import messages
from app.providers.messages import Access, Security, SmtpMailer, UndeliverableError, compose, sender_of
from app.sandbox.inbox import Demands
from tests.helpers.ports import free_ports
from tests.sandbox.running import Address, sandbox

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
    mail = compose(message("ann@example.com"), sender_of(f"The House <{SENDER}>"), AT)

    assert (mail.sender, mail.recipient) == (SENDER, "ann@example.com")
    assert {name: str(said) for name, said in message_from_bytes(mail.content, policy=default).items()} == {
        "Message-ID": "<deposit%3Ad-1%40x@betting>",
        "Date": "Sun, 01 Mar 2026 12:00:00 +0000",
        "From": f"The House <{SENDER}>",
        "To": "ann@example.com",
        "Subject": "Deposit",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }


PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=90)
PARTS = st.text("ab0_.-+:@/", min_size=1, max_size=30)


@given(
    st.builds(
        Message,
        message_id=PARTS,
        to=st.one_of(PARTS, st.just("ann.lee+1@mail-1.example.com")),
        subject=st.one_of(PLAIN, st.just("Your deposit has arrived")),
        text=st.one_of(PLAIN, st.lists(PLAIN, max_size=3).map("\n".join)),
    )
)
@example(message("ann@example.com", subject="=?utf-8?q?a?="))
@example(message("ann@example.com", subject="x" * 70))
@example(message("a" * 80 + "@example.com"))
@example(message("ann@example.com", text="x" * 79))
@example(message("ann@example.com", text=""))
@example(message("ann@example.com", text="\n"))
@example(message("ann@example.com", text="a\n\n"))
def test_a_plain_mail_is_what_the_library_makes_of_it(told: Message) -> None:
    sender = sender_of(f"The House <{SENDER}>")
    plain = messages._plain_mail(told, sender, AT)

    if plain is not None:
        with patch.object(messages, "_plain_mail", lambda *_: None):
            assert compose(told, sender, AT) == plain


def test_the_mails_of_a_day_are_plain() -> None:
    user_id, deposit_id = uuid4(), uuid4()
    told = message("ann.lee@example.com", f"{user_id}/deposit/d-{deposit_id}/credited")

    assert messages._plain_mail(told, sender_of(SENDER), AT) is not None


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
    with pytest.raises(ValueError, match="not to be sent as a mail"):
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

    def __init__(self, silent: bool = False, forgetful: bool = False, groups: bool = False) -> None:
        self.silent = silent
        self.forgetful = forgetful
        self.greeting = b"250-hello\r\n250 PIPELINING\r\n" if groups else b"250 hello\r\n"
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
            writer.write(self.greeting if line.startswith(b"EHLO") else b"250 fine\r\n")
        writer.close()

    @asynccontextmanager
    async def mailer(self, timeout_seconds: float = 10) -> AsyncIterator[SmtpMailer]:
        async with (
            await asyncio.start_server(self.converse, "127.0.0.1", 0) as server,
            SmtpMailer("127.0.0.1", server.sockets[0].getsockname()[1], SENDER, timeout_seconds) as mailer,
        ):
            yield mailer


groups = pytest.mark.parametrize("groups", [False, True], ids=["one by one", "in groups"])
"""Whether the mail server takes commands in groups."""


@groups
@pytest.mark.parametrize(("forgetful", "connections"), [(False, 1), (True, 3)])
async def test_one_connection_carries_all_messages_unless_the_server_hangs_up(
    forgetful: bool, connections: int, groups: bool
) -> None:
    server = MailServer(forgetful=forgetful, groups=groups)
    async with server.mailer() as mailer:
        for n in range(3):
            await mailer.send(message("ann@example.com", f"m-{n}"))

    assert (server.mails, server.connections) == (3, connections)


@groups
async def test_a_server_that_falls_silent_is_given_up_on_and_called_again(groups: bool) -> None:
    server = MailServer(silent=True, groups=groups)
    async with server.mailer(timeout_seconds=2) as mailer:
        with pytest.raises((TimeoutError, aiosmtplib.SMTPException)):
            await mailer.send(message("ann@example.com"))
        server.silent = False
        await mailer.send(message("ann@example.com"))

    assert server.mails == 1


@groups
async def test_a_cancelled_sending_leaves_the_mailer_usable(groups: bool) -> None:
    server = MailServer(silent=True, groups=groups)
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


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 with its key."""
    return certificate(tmp_path_factory.mktemp("certificates") / "mail.pem")


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mail_goes_encrypted_and_with_our_password(tmp_path: Path, shown: Path, security: Security) -> None:
    demands = Demands(security, shown, user="us", password="s3cret")
    async with (
        sandbox(tmp_path / "s.sqlite", demands=demands) as address,
        SmtpMailer("127.0.0.1", address.smtp, SENDER, 5, Access(security, "us", "s3cret", str(shown))) as mailer,
    ):
        for n in range(2):
            await mailer.send(message("ann@example.com", f"m-{n}"))

        assert len(await inbox(address, "ann@example.com")) == 2


ACCESSES = [
    ("not encrypted", Access()),
    ("encrypted and nobody", Access("starttls", ca_file="shown")),
    ("a wrong password", Access("starttls", "us", "guessed", "shown")),
    ("an unknown user", Access("starttls", "them", "s3cret", "shown")),
    ("not believing the server", Access("starttls", "us", "s3cret")),
    ("encrypted otherwise than the server", Access("tls", "us", "s3cret", "shown")),
]


@pytest.mark.parametrize("access", [case[1] for case in ACCESSES], ids=[case[0] for case in ACCESSES])
async def test_a_mail_server_that_does_not_take_us_loses_no_message(
    tmp_path: Path, shown: Path, access: Access
) -> None:
    """Once the setting is mended, the same message is sent; it is never told undeliverable."""
    access = replace(access, ca_file=access.ca_file and str(shown))
    demands = Demands("starttls", shown, user="us", password="s3cret")
    async with (
        sandbox(tmp_path / "s.sqlite", demands=demands) as address,
        SmtpMailer("127.0.0.1", address.smtp, SENDER, 2, access) as mailer,
    ):
        with pytest.raises((aiosmtplib.SMTPException, OSError)):
            await mailer.send(message("ann@example.com"))

        assert await inbox(address, "ann@example.com") == []


async def test_encryption_is_never_given_up_silently(address: Address, shown: Path) -> None:
    async with SmtpMailer("127.0.0.1", address.smtp, SENDER, 5, Access("starttls", ca_file=str(shown))) as mailer:
        with pytest.raises(aiosmtplib.SMTPException):
            await mailer.send(message("plain.server@example.com"))

    assert await inbox(address, "plain.server@example.com") == []


@pytest.mark.parametrize("to", ["a@münchen.de", "jürgen@example.com"])
async def test_an_address_that_the_mail_server_cannot_take_is_given_up_on(tmp_path: Path, to: str) -> None:
    async with (
        sandbox(tmp_path / "s.sqlite", demands=Demands(utf8=False)) as address,
        SmtpMailer("127.0.0.1", address.smtp, SENDER) as mailer,
    ):
        with pytest.raises((UndeliverableError, aiosmtplib.SMTPException, UnicodeError)) as refused:
            await mailer.send(message(to))
        assert isinstance(refused.value, UndeliverableError)
        await mailer.send(message("next@example.com"))

        assert len(await inbox(address, "next@example.com")) == 1


async def test_an_address_beyond_ascii_is_sent_to_where_the_mail_server_takes_it(
    mailer: SmtpMailer, address: Address
) -> None:
    await mailer.send(message("a@münchen.de"))

    assert len(await inbox(address, "a@münchen.de")) == 1


ODD = ["\ud800", "a\x00b", "\r", "\r\n.\r\n", "x" * 100_000, "\u2028", "=?utf-8?q?=ff?=", "\x85", "\x1c", "\x0b"]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("part", ["to", "subject", "text", "message_id"])
async def test_whatever_a_message_holds_it_is_sent_or_given_up_on(
    mailer: SmtpMailer, address: Address, part: str, odd: str
) -> None:
    told: dict[str, Any] = {"to": "odd@example.com", "message_id": "m", "subject": "s", "text": "t"} | {part: odd}
    if part == "to":
        told["to"] = f"{odd}@example.com"

    with suppress(UndeliverableError):
        await mailer.send(Message.model_construct(**told))
    await mailer.send(message("after.odd@example.com", uuid4().hex))

    assert await inbox(address, "after.odd@example.com")


class Refusing(MailServer):
    """A mail server that answers a command with a no."""

    def __init__(self, command: str, reply: str, groups: bool = False, then_hangs_up: bool = False) -> None:
        super().__init__(groups=groups)
        self.command, self.reply = command.encode(), f"{reply}\r\n".encode()
        self.then_hangs_up = then_hangs_up

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            content = line == b"." + b"\r\n" and self.command == b"."
            if line.startswith(b"DATA") and self.command != b"DATA":
                writer.write(b"354 go on\r\n")
                with suppress(asyncio.IncompleteReadError):  # the client has hung up in the place of a content
                    await reader.readuntil(b"\r\n.\r\n")
                    self.mails += 1
                content = self.command == b"."
            fine = self.greeting if line.startswith(b"EHLO") else b"250 fine\r\n"
            refused = content or line.startswith(self.command)
            writer.write(self.reply if refused else fine)
            if refused and self.then_hangs_up:
                break
        writer.close()


@groups
@pytest.mark.parametrize(
    ("command", "reply", "for_good"),
    [
        ("RCPT", "550 no such mailbox", True),
        ("RCPT", "450 later", False),
        ("RCPT", "530 who are you", False),
        (".", "554 not this", True),
        (".", "451 later", False),
        ("DATA", "554 not this", True),
        ("MAIL", "550 not from you", False),
        ("MAIL", "530 authenticate first", False),
    ],
)
async def test_a_no_is_for_good_where_it_is_about_the_message_and_not_about_us(
    command: str, reply: str, for_good: bool, groups: bool
) -> None:
    async with Refusing(command, reply, groups).mailer(timeout_seconds=2) as mailer:
        with pytest.raises((UndeliverableError, aiosmtplib.SMTPException)) as refused:
            await mailer.send(message("ann@example.com"))

    assert isinstance(refused.value, UndeliverableError) is for_good


async def test_a_server_that_takes_groups_is_asked_in_one() -> None:
    """It replies to nothing before it has read the last command of the group."""
    groups: list[list[bytes]] = []

    class Patient(MailServer):
        async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 hello\r\n")
            await reader.readline()
            writer.write(self.greeting)
            while first := await reader.readline():
                groups.append([first, await reader.readline(), await reader.readline()])
                writer.write(b"250-fine\r\n250 so far\r\n250 fine\r\n354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 fine\r\n250 unasked\r\n")
            writer.close()

    async with Patient(groups=True).mailer(timeout_seconds=2) as mailer:
        for number in range(2):
            await mailer.send(message("ann@example.com", f"m-{number}"))

    assert groups == [[f"MAIL FROM:<{SENDER}>\r\n".encode(), b"RCPT TO:<ann@example.com>\r\n", b"DATA\r\n"]] * 2


async def test_no_content_is_sent_to_a_server_that_refused_the_recipient_and_waits_for_it() -> None:
    server = Refusing("RCPT", "450 later", groups=True)
    async with server.mailer(timeout_seconds=2) as mailer:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await mailer.send(message("ann@example.com"))
        server.command = b"nothing"
        await mailer.send(message("ann@example.com"))

    assert server.mails == 1


async def test_a_no_counts_even_if_the_server_hangs_up_with_it() -> None:
    async with Refusing("RCPT", "550 no such mailbox", groups=True, then_hangs_up=True).mailer() as mailer:
        with pytest.raises(UndeliverableError):
            await mailer.send(message("ann@example.com"))


@pytest.mark.parametrize("said", [b"hello\r\n", b"250-and so on\r\n" * 10_000])
async def test_what_is_no_reply_is_an_error_and_no_mail_is_given_up(said: bytes) -> None:
    async with Refusing("MAIL", said.decode().strip(), groups=True).mailer(timeout_seconds=2) as mailer:
        with pytest.raises(aiosmtplib.SMTPResponseException):
            await mailer.send(message("ann@example.com"))


@pytest.mark.parametrize("text", [".\n..\n.", "two\n\nlines", "Für Sie: 100 €"])
async def test_a_mail_arrives_as_it_was_written_where_commands_are_sent_one_by_one(tmp_path: Path, text: str) -> None:
    async with (
        sandbox(tmp_path / "s.sqlite", demands=Demands(pipelining=False)) as address,
        SmtpMailer("127.0.0.1", address.smtp, SENDER) as mailer,
    ):
        await mailer.send(message("ann@example.com", text=text))

        assert [mail["text"] for mail in await inbox(address, "ann@example.com")] == [text]
