import json
from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.domain.feed import (
    MAX_PLACES,
    MAX_RECORD_BYTES,
    Feed,
    Origin,
    Record,
    RecordType,
    applied,
    arrived,
    origin_of,
    read_record,
    refuse_overtaken,
    was_read,
)
from app.domain.refusals import Refusal, Refused
from app.services.markets.feed import REQUESTS
from tests.strategies import START

OFFER: dict[str, object] = {"name": "A game", "selections": [{"selectionId": "home", "name": "Home", "price": 2.5}]}
CONTENTS: dict[str, dict[str, object]] = {
    "open": OFFER,
    "setPrices": {"prices": {"home": "2.60"}},
    "suspend": {},
    "resume": {},
    "close": {},
    "withdraw": {"selectionId": "home", "deduction": 20},
    "settle": {"version": 1, "outcomes": {"home": {"result": "won", "deadHeat": {"places": 1, "tied": 2}}}},
}


def read(body: object) -> Record | Refused:
    return read_record(body if isinstance(body, bytes) else json.dumps(body).encode(), REQUESTS)


def record(kind: str, **content: object) -> Record:
    read_back = read({"type": kind, "content": content or CONTENTS[kind]})
    assert isinstance(read_back, Record)
    return read_back


def prices(*selections: str) -> Record:
    return record("setPrices", prices=dict.fromkeys(selections, "2.00"))


def origin(offset: int = 7, topic: str = "markets", partition: int = 0, seconds: int = 0) -> Origin:
    return Origin(topic=topic, partition=partition, offset=offset, timestamp=START + timedelta(seconds=seconds))


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_record_carries_the_request_of_the_handler_of_its_name(kind: str) -> None:
    read_back = read({"type": kind, "content": CONTENTS[kind]})

    assert read_back == Record(RecordType(kind), REQUESTS[RecordType(kind)].model_validate(CONTENTS[kind]))


@pytest.mark.parametrize("kind", ["suspend", "resume", "close"])
def test_a_record_without_content_is_one_with_nothing_in_it(kind: str) -> None:
    assert read({"type": kind}) == record(kind)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: Invalid JSON"),
        (b"{", "body: Invalid JSON"),
        (b"\xff\xfe", "body: Invalid JSON"),
        (b"[" * 10_000, "body: Invalid JSON"),
        (b"null", "body: Input should be an object"),
        (b"[]", "body: Input should be an object"),
        ({}, "type: Field required"),
        (
            {"type": "delete"},
            "type: Input should be 'open', 'setPrices', 'suspend', 'resume', 'close', 'withdraw' or 'settle'",
        ),
        ({"type": "close", "content": []}, "content: Input should be an object"),
        ({"type": "close", "content": {"why": "rain"}}, "content.why: Extra inputs are not permitted"),
        ({"type": "close", "key": "m-1"}, "key: Extra inputs are not permitted"),
        ({"type": "setPrices"}, "content.prices: Field required"),
        ({"type": "setPrices", "content": {"prices": {"home": "1"}}}, "content.prices.home: Value error, a price is"),
        ({"type": "open", "content": {**OFFER, "maxStake": "10"}}, "content.maxStake: Input should be a valid integer"),
        ({"type": "settle", "content": {"version": True, "outcomes": {}}}, "content.version: Input should be a valid"),
        (b'{"type": "close"}'.ljust(MAX_RECORD_BYTES + 1), f"body: {MAX_RECORD_BYTES + 1} bytes"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused_with_what_is_wrong(body: object, message: str) -> None:
    refused = read(body)

    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.INVALID_REQUEST
    assert refused.message.startswith(message)


@given(st.binary(max_size=300))
def test_no_body_is_an_error(body: bytes) -> None:
    assert isinstance(read(body), Refused)


def test_restate_says_where_a_record_is_from() -> None:
    headers = {
        "kafka.topic": "markets",
        "kafka.partition": "0",
        "kafka.offset": "7",
        "kafka.timestamp": "1767225600000",
        "kafka.key": "bS0x",
        "restate.subscription.id": "sub_1",
    }

    assert origin_of(headers) == origin()
    assert origin_of({}) is None
    for name in ("kafka.partition", "kafka.offset", "kafka.timestamp"):
        assert origin_of({**headers, name: "no number"}) is None


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        (origin(7), origin(7), True),
        (origin(7), origin(6), True),
        (origin(7), origin(8), False),
        (origin(7), origin(6, seconds=1), False),
        (origin(7), origin(7, topic="others"), False),
        (origin(7), origin(7, partition=1), False),
        (origin(7), None, False),
        (None, origin(7), False),
    ],
)
def test_a_record_that_came_before_is_recognised(first: Origin | None, then: Origin | None, expected: bool) -> None:
    feed = arrived(Feed(), first)

    assert was_read(feed, then) is expected
    assert feed.records == 1


def test_a_topic_read_again_from_its_beginning_tells_nothing_new() -> None:
    feed = Feed()
    for offset in range(10):
        feed = arrived(feed, origin(offset, seconds=offset))

    assert all(was_read(feed, origin(offset, seconds=offset)) for offset in range(10))


def test_a_market_remembers_its_place_in_the_topics_that_it_heard_of_last() -> None:
    feed = Feed()
    for partition in range(MAX_PLACES + 1):
        feed = arrived(feed, origin(partition=partition))

    assert [was_read(feed, origin(partition=partition)) for partition in (0, 1, MAX_PLACES)] == [False, True, True]
    assert len(feed.places) == MAX_PLACES


Steps = Sequence[tuple[Record, int]]


@pytest.mark.parametrize(
    ("done", "retried", "expected"),
    [
        ([(prices("home"), 2)], prices("home"), "price/home"),
        ([(prices("home", "away"), 2)], prices("draw", "home", "away"), "price/away, price/home"),
        ([(prices("away"), 2)], prices("home"), None),
        ([(prices("home"), 1)], prices("home"), None),
        ([(record("suspend"), 2)], record("resume"), "status"),
        ([(record("suspend"), 3), (record("resume"), 4)], record("suspend"), "status"),
        ([(record("close"), 2)], record("suspend"), "status"),
        ([(record("suspend"), 2)], prices("home"), None),
        ([(prices("home"), 2), (record("close"), 3)], record("settle"), None),
        ([(record("settle"), 2)], record("settle"), None),
        ([(prices("home"), 2)], record("open"), None),
    ],
)
def test_a_record_tried_again_never_undoes_a_newer_one(done: Steps, retried: Record, expected: str | None) -> None:
    feed = Feed()
    for newer, number in done:
        feed = applied(feed, newer, number)

    refused = refuse_overtaken(feed, retried, 1)

    if expected is None:
        assert refused is None
    else:
        assert refused is not None
        assert refused.reason is Refusal.OVERTAKEN
        assert refused.message == f"a newer record has been applied to {expected}"


@given(
    st.lists(st.tuples(st.sampled_from(["home", "away", "draw"]), st.booleans()), max_size=12),
    st.randoms(use_true_random=False),
)
def test_prices_end_as_the_newest_in_whatever_order_parked_ones_are_retried(
    records: list[tuple[str, bool]], random: Random
) -> None:
    feed, parked = Feed(), []
    current: dict[str, int] = {}
    for selection, accepted in records:
        feed = arrived(feed, None)
        if accepted:
            feed, current[selection] = applied(feed, prices(selection), feed.records), feed.records
        else:
            parked.append((selection, feed.records))
    random.shuffle(parked)
    for selection, number in parked:
        if refuse_overtaken(feed, prices(selection), number) is None:
            feed, current[selection] = applied(feed, prices(selection), number), number

    newest: dict[str, int] = {}
    for number, (selection, _) in enumerate(records, start=1):
        newest[selection] = number
    assert current == newest


def test_every_type_has_a_request() -> None:
    assert REQUESTS.keys() == set(RecordType)
    assert all(issubclass(request, BaseModel) for request in REQUESTS.values())
