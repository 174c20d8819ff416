"""What a provider's bytes mean, and never an error that would be repeated for ever."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.payments import EventKind, EventStatus, PaymentEvent
from app.domain.provider_events import UnknownEvent, is_of_payout, of_payout
from app.domain.refusals import Refusal, Refused
from app.providers.webhooks import MAX_EVENT_BYTES, read_event

EVENT = {
    "reference": "d-1",
    "status": "done",
    "userId": "u-1",
    "walletId": "w-1",
    "amount": 100,
    "currency": "EUR",
}


def body(**fields: object) -> bytes:
    return json.dumps({**EVENT, **fields}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"null",
        b"[]",
        b"[" * 200_000,
        b"[" * 60_000,
        b'{"a":' * 10_000,
        body(userId="x").replace(b'"x"', b'"\\ud800"'),
        body(extra="x").replace(b'"x"', b'"\\ud800"'),
        body(amount=1).replace(b"1,", b"NaN,"),
        body(extra=1).replace(b"1}", b"Infinity}"),
        body(amount=1).replace(b" 1,", b" " + b"9" * 5_000 + b","),
        body(extra=1).replace(b" 1}", b" " + b"9" * 5_000 + b"}"),
        body(amount=10**30),
        body(amount=100.5),
        body(amount="100"),
        body(amount=-1),
        body(amount=True),
        body(userId="a/b"),
        body(userId=None),
        body(reference=".." * 40),
        body(currency="euro"),
        body(status=None),
        body(status=["done"]),
        body() + b" {}",
        body().replace(b'"d-1"', b'"d-1", "reference": "d-2"'),
        body().replace(b"u-1", b"\xff\xfe"),
        body().replace(b"u-1", b"u\x00"),
        body(extra="x" * MAX_EVENT_BYTES),
        json.dumps({"status": "done"}).encode(),
    ],
    ids=range(30),
)
def test_bytes_that_are_no_event_are_refused(content: bytes) -> None:
    read = read_event(content)

    assert isinstance(read, Refused)
    assert read.reason is Refusal.INVALID_REQUEST


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_raise(content: bytes) -> None:
    assert isinstance(read_event(content), Refused | UnknownEvent)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"status": "disputeOpened"}, "disputeOpened"),
        ({"kind": "subscription"}, "subscription"),
        ({"kind": "charge", "status": "paid"}, "paid"),
        ({"kind": "payout", "status": "chargeback"}, "chargeback"),
        ({"status": "actionRequired"}, "actionRequired"),
        ({"kind": "dispute", "status": {"code": 7}}, "dispute"),
        ({"type": "customer.updated", "status": None, "data": {}}, "customer.updated"),
        ({"kind": "balance", "amount": "a lot", "userId": None}, "balance"),
    ],
)
def test_an_event_of_a_kind_that_we_do_not_know_is_no_error(fields: dict[str, object], kind: str) -> None:
    assert read_event(body(**fields)) == UnknownEvent(kind)


@pytest.mark.parametrize("status", list(EventStatus))
def test_an_event_is_read_with_what_a_later_version_adds(status: EventStatus) -> None:
    event = read_event(body(status=status, eventId="e-1", addedLater={"a": 1}))

    assert event == PaymentEvent(**{**EVENT, "status": status, "event_id": "e-1"})


@pytest.mark.parametrize(
    ("status", "kind", "payout"),
    [
        (EventStatus.DONE, None, None),
        (EventStatus.DECLINED, None, None),
        (EventStatus.DONE, EventKind.PAYOUT, True),
        (EventStatus.DONE, EventKind.CHARGE, False),
        (EventStatus.PAID, None, True),
        (EventStatus.REFUSED, None, True),
        (EventStatus.SENT_BACK, None, True),
        (EventStatus.REFUNDED, None, False),
        (EventStatus.CHARGEBACK, None, False),
        (EventStatus.CHARGEBACK_REVERSED, None, False),
    ],
)
def test_an_event_says_what_it_is_of_where_it_can(
    status: EventStatus, kind: EventKind | None, payout: bool | None
) -> None:
    event = read_event(body(status=status, **({} if kind is None else {"kind": kind})))

    assert isinstance(event, PaymentEvent)
    assert is_of_payout(event) is payout


def test_done_and_declined_of_a_payout_are_paid_and_refused() -> None:
    told = [read_event(body(status=status)) for status in ("done", "declined", "sentBack")]

    assert [of_payout(event).status for event in told if isinstance(event, PaymentEvent)] == [
        EventStatus.PAID,
        EventStatus.REFUSED,
        EventStatus.SENT_BACK,
    ]
