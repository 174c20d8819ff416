from email.message import EmailMessage
from uuid import uuid4

import aiosmtplib
import httpx
import pytest

from tests.sandbox.running import Address


def mail(to: str, message_id: str | None, subject: str = "Deposit credited") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "betting@example.com"
    message["To"] = to
    message["Subject"] = subject
    if message_id is not None:
        message["Message-ID"] = message_id
    message.set_content("100 EUR")
    return message


async def deliver(address: Address, *mails: EmailMessage) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=address.smtp, local_hostname="test") as server:
        for one in mails:
            await server.send_message(one)


async def inbox(client: httpx.AsyncClient, to: str) -> list[dict[str, str]]:
    mails: list[dict[str, str]] = (await client.get("/mails", params={"to": to})).json()
    return mails


async def test_the_inbox_keeps_mails_oldest_first(address: Address, client: httpx.AsyncClient) -> None:
    await deliver(address, mail("order@example.com", "<1@t>", "first"), mail("order@example.com", "<2@t>", "second"))

    assert await inbox(client, "order@example.com") == [
        {"to": "order@example.com", "subject": "first", "text": "100 EUR"},
        {"to": "order@example.com", "subject": "second", "text": "100 EUR"},
    ]
    assert len((await client.get("/mails")).json()) >= 2


async def test_a_mail_with_the_same_message_id_is_kept_once(address: Address, client: httpx.AsyncClient) -> None:
    await deliver(address, mail("twice@example.com", "<3@t>"), mail("twice@example.com", "<3@t>"))
    await deliver(address, mail("twice@example.com", "<3@t>"))

    assert len(await inbox(client, "twice@example.com")) == 1


async def test_a_message_id_is_one_recipients_own(address: Address, client: httpx.AsyncClient) -> None:
    await deliver(address, mail("ann@example.com", "<4@t>"), mail("ben@example.com", "<4@t>"))

    assert [len(await inbox(client, to)) for to in ("ann@example.com", "ben@example.com")] == [1, 1]


async def test_mails_without_a_message_id_are_all_kept(address: Address, client: httpx.AsyncClient) -> None:
    await deliver(address, mail("none@example.com", None), mail("none@example.com", None))

    assert len(await inbox(client, "none@example.com")) == 2


async def delivered(
    address: Address, client: httpx.AsyncClient, to: str, headers: bytes, text: bytes
) -> dict[str, str]:
    """What is kept of a mail with these bytes."""
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=address.smtp, local_hostname="test") as server:
        await server.sendmail("betting@example.com", [to], headers + b"\r\n\r\n" + text)
    [kept] = await inbox(client, to)
    return kept


@pytest.mark.parametrize(
    ("charset", "text", "kept"),
    [
        (b"x-ours", b"100 \xe2\x82\xac", "100 \ufffd\ufffd\ufffd"),
        (b"base64", b"MTAw", "MTAw"),
        (b"undefined", b"100", "100"),
        (b"utf-8", b"100 \xff", "100 \ufffd"),
        (b"utf-7", b"100 +2AA-", "100 ?"),
    ],
    ids=["unknown", "no charset", "never decodes", "not its bytes", "half a character"],
)
async def test_a_text_that_cannot_be_read_is_kept_with_replacement_characters(
    charset: bytes, text: bytes, kept: str, address: Address, client: httpx.AsyncClient
) -> None:
    headers = b"Subject: Deposit credited\r\nContent-Type: text/plain; charset=" + charset

    mail = await delivered(address, client, f"{charset.decode()}@example.com", headers, text)

    assert mail["text"] == kept


@pytest.mark.parametrize(
    ("subject", "kept"),
    [
        (b"Deposit =?x-ours?q?=80?= credited", "Deposit \ufffd credited"),
        (b"=?utf-8?q?=e2=82=ac_100?=", "\u20ac 100"),
        (b"=?utf-8?q?=ff_100?=", "\ufffd 100"),
        (b"=?utf-8?b?a?=", "=?utf-8?b?a?="),
        (b"100 \xe2\x82\xac", "100 \ufffd\ufffd\ufffd"),
    ],
    ids=["unknown charset", "known", "not its bytes", "no base64", "raw bytes"],
)
async def test_a_subject_that_cannot_be_read_is_kept_with_replacement_characters(
    subject: bytes, kept: str, address: Address, client: httpx.AsyncClient
) -> None:
    mail = await delivered(address, client, f"{uuid4().hex}@example.com", b"Subject: " + subject, b"100 EUR")

    assert mail == {"to": mail["to"], "subject": kept, "text": "100 EUR"}
