import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from app.domain import markets
from app.domain.feed import (
    CANCELLED,
    MAX_PLACES,
    MAX_RECORD_BYTES,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    Conflation,
    Feed,
    Origin,
    Record,
    RecordType,
    Rejection,
    applied,
    apply_waiting,
    arrived,
    can_wait,
    has_room,
    is_waiting,
    origin_of,
    read_record,
    refuse_overtaken,
    wait,
    was_read,
)
from app.domain.markets import Market, OpenMarket, WithdrawSelection
from app.domain.model import State
from app.domain.quarantine import MAX_PARKED
from app.domain.refusals import Refusal, Refused
from app.services.markets.feed import REQUESTS
from app.services.markets.markets import PricesRequest
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


def rejection(reason: str = "market_not_open") -> Rejection:
    return Rejection(reason=reason, message="no")


def set_prices(**of_selections: str) -> bytes:
    return json.dumps({"type": "setPrices", "content": {"prices": of_selections}}).encode()


def waiting(*bodies: bytes) -> Feed:
    """A feed where these records wait."""
    feed = Feed()
    for offset, body in enumerate(bodies):
        feed = wait(arrived(feed, origin(offset, seconds=offset)), body, origin(offset, seconds=offset))
    return feed


def asked(conflation: Conflation) -> dict[str, str] | None:
    """The prices that the market is asked to take next."""
    change = conflation.change
    return None if change is None else change.request.model_dump(mode="json")["prices"]


def test_prices_that_wait_together_are_one_change_with_the_newest_of_each_selection() -> None:
    feed = waiting(set_prices(home="3.00", away="1.50"), set_prices(draw="4.00"), set_prices(home="3.20"))

    conflation = apply_waiting(feed, REQUESTS)
    done = conflation.answered(None)

    assert asked(conflation) == {"home": "3.20", "away": "1.50", "draw": "4.00"}
    assert (done.change, done.rejected, done.changes, done.taken) == (None, (), 1, 3)
    assert done.feed.newest == {"price/home": 3, "price/away": 1, "price/draw": 2}
    assert (done.feed.waiting, done.feed.records, done.feed.places) == ([], 3, feed.places)


def test_a_refused_change_is_asked_again_in_halves_until_the_bad_record_is_alone() -> None:
    feed = waiting(*(set_prices(**{selection: "2.00"}) for selection in ("home", "away", "ghost", "draw")))
    conflation, asks = apply_waiting(feed, REQUESTS), []

    while (prices_asked := asked(conflation)) is not None:
        asks.append(list(prices_asked))
        conflation = conflation.answered(rejection("unknown_selection") if "ghost" in prices_asked else None)

    assert asks == [["home", "away", "ghost", "draw"], ["home", "away"], ["ghost", "draw"], ["ghost"], ["draw"]]
    assert [(one.number, one.text, one.origin) for one, _ in conflation.rejected] == [
        (3, feed.waiting[2].text, origin(2, seconds=2))
    ]
    assert (conflation.changes, conflation.taken) == (2, 3)


@pytest.mark.parametrize("reason", [CANCELLED, "market_not_open", "unknown_market"])
def test_a_change_that_fails_whatever_its_prices_is_not_asked_again_and_all_its_records_are_left(reason: str) -> None:
    conflation = apply_waiting(waiting(set_prices(home="3.00"), set_prices(away="2.00")), REQUESTS)

    stopped = conflation.answered(rejection(reason))

    assert stopped.change is None
    assert [(one.number, why.reason) for one, why in stopped.rejected] == [(1, reason), (2, reason)]
    assert stopped.feed.newest == {}


def test_only_new_prices_wait() -> None:
    assert [kind for kind in CONTENTS if can_wait(record(kind))] == ["setPrices"]
    assert not can_wait(read(b"{"))


def test_what_waits_is_bounded_in_number_and_size_and_one_record_always_can() -> None:
    longest = set_prices(home="2.00").ljust(MAX_RECORD_BYTES)
    few = waiting(*[set_prices(home="2.00")] * (MAX_WAITING - 1))

    assert has_room(few, set_prices(home="2.00"))
    assert not has_room(wait(arrived(few, None), set_prices(home="2.00"), None), set_prices(home="2.00"))
    assert has_room(Feed(), longest)
    assert not has_room(waiting(longest), set_prices(home="2.00"))
    assert len(longest) <= MAX_WAITING_BYTES
    assert MAX_WAITING <= MAX_PARKED, "a change that is cancelled fits into an empty quarantine"


def test_what_an_earlier_version_did_meanwhile_is_not_done_again_nor_undone() -> None:
    """It tries each waiting record by itself, may refuse it, and applies newer ones."""
    feed = waiting(set_prices(home="3.00", away="1.50"), set_prices(draw="4.00"), set_prices(away="1.60"))
    by_itself = applied(feed, prices("draw"), 2)
    overtaken = applied(by_itself.model_copy(update={"records": 4}), prices("home"), 4)

    conflation = apply_waiting(overtaken, REQUESTS)
    done = conflation.answered(None).feed

    assert asked(conflation) == {"away": "1.60"}
    assert done.newest == {"price/home": 4, "price/draw": 2, "price/away": 3}
    assert not any(is_waiting(done, number) for number in (1, 2, 3))


class EarlierFeed(State):
    """The model of versions that apply each record at once."""

    records: int = 0
    newest: dict[str, int] = Field(default_factory=dict)
    places: dict[str, Origin] = Field(default_factory=dict)


def test_an_earlier_version_keeps_what_waits() -> None:
    feed = waiting(set_prices(home="3.00"))

    stored = EarlierFeed.model_validate_json(feed.model_dump_json()).model_copy(update={"records": 2})

    assert Feed.model_validate_json(stored.model_dump_json()) == feed.model_copy(update={"records": 2})


SELECTIONS = ("home", "away", "draw", "ghost")
PRICE = st.sampled_from(["2.00", "3.00", "4.00"])
GOOD_PRICES = st.dictionaries(st.sampled_from(SELECTIONS[:2]), PRICE, min_size=1).map(lambda new: set_prices(**new))
SOME_BAD = st.dictionaries(st.sampled_from(SELECTIONS), PRICE, min_size=1).map(lambda new: set_prices(**new))
"""Of a selection that there is not, or that has been withdrawn by then."""
OTHERS = st.sampled_from(
    [
        b"{",
        set_prices(home="1"),
        b'{"type": "suspend"}',
        b'{"type": "resume"}',
        b'{"type": "close"}',
        json.dumps({"type": "withdraw", "content": {"selectionId": "draw", "deduction": 0}}).encode(),
    ]
)
STATUS_CHANGES: dict[RecordType, Callable[[Market], Market | Refused]] = {
    RecordType.SUSPEND: markets.suspend,
    RecordType.RESUME: markets.resume,
    RecordType.CLOSE: markets.close,
}
RECORD = st.sampled_from([GOOD_PRICES] * 6 + [SOME_BAD, OTHERS]).flatmap(lambda of_a_kind: of_a_kind)
IN_ONE_OF = 6
"""What waits is applied after one record of so many, and before each that cannot wait."""
RECORDS = st.lists(
    st.tuples(RECORD, st.integers(1, IN_ONE_OF).map(lambda drawn: drawn == IN_ONE_OF)), max_size=2 * MAX_WAITING
)


class Side:
    """A market with its feed, and what was parked."""

    def __init__(self) -> None:
        selections = [{"selection_id": name, "name": name, "price": "2.50"} for name in SELECTIONS[:3]]
        opened = markets.open_market(None, "m-1", OpenMarket.model_validate({"name": "x", "selections": selections}))
        assert isinstance(opened, Market)
        self.market, self.feed = opened, Feed()
        self.parked: list[tuple[int, str, str, str, Origin | None]] = []
        self.changes = 0

    def ask(self, asked: Record) -> Rejection | None:
        """What the market answers to one record, or to several as one change."""
        after = self._changed(asked)
        if isinstance(after, Refused):
            return Rejection(reason=after.reason.value, message=after.message)
        self.changes += asked.type is RecordType.SET_PRICES
        self.market = after
        return None

    def _changed(self, asked: Record) -> Market | Refused:
        match asked.request:
            case PricesRequest(prices=new_prices):
                return markets.set_prices(self.market, new_prices)
            case WithdrawSelection() as withdrawal:
                return markets.withdraw(self.market, withdrawal)
            case _:
                return STATUS_CHANGES[asked.type](self.market)

    def park(self, number: int, body: bytes, why: Rejection, where: Origin | None) -> None:
        self.parked.append((number, body.decode(), why.reason, why.message, where))

    def take(self, body: bytes, where: Origin) -> None:
        """Apply a record by itself."""
        self.take_counted(arrived(self.feed, where), body, where)

    def take_counted(self, counted: Feed, body: bytes, where: Origin) -> None:
        self.feed, known = counted, read(body)
        why = (
            Rejection(reason=known.reason.value, message=known.message)
            if isinstance(known, Refused)
            else self.ask(known)
        )
        if why is not None:
            self.park(counted.records, body, why, where)
        elif isinstance(known, Record):
            self.feed = applied(self.feed, known, counted.records)

    def let_wait(self, body: bytes, where: Origin) -> None:
        """Let a record wait, or apply what waits and then the record."""
        counted = arrived(self.feed, where)
        waits = can_wait(read(body))
        if not (waits and has_room(counted, body)):
            counted = self.apply_waiting(counted)
        if waits:
            self.feed = wait(counted, body, where)
        else:
            self.take_counted(counted, body, where)

    def apply_waiting(self, feed: Feed) -> Feed:
        conflation = apply_waiting(feed, REQUESTS)
        while (change := conflation.change) is not None:
            conflation = conflation.answered(self.ask(change))
        for one, why in conflation.rejected:
            self.park(one.number, one.text.encode(), why, one.origin)
        return conflation.feed


@given(RECORDS)
def test_records_that_wait_end_as_if_each_had_been_applied_by_itself(records: list[tuple[bytes, bool]]) -> None:
    """Whatever the records, and whenever what waits is applied. Only the market's revision counts fewer changes."""
    alone, together = Side(), Side()
    for offset, (body, then_applied) in enumerate(records):
        alone.take(body, origin(offset))
        together.let_wait(body, origin(offset))
        if then_applied:
            together.feed = together.apply_waiting(together.feed)
    together.feed = together.apply_waiting(together.feed)

    assert together.feed == alone.feed
    assert together.parked == alone.parked
    assert together.market.prices == alone.market.prices
    assert together.market.terms.model_copy(update={"revision": 0}) == alone.market.terms.model_copy(
        update={"revision": 0}
    )
    assert together.changes <= alone.changes


@given(st.integers(min_value=1, max_value=4 * MAX_WAITING))
def test_a_burst_is_no_more_changes_than_it_has_to_be(count: int) -> None:
    side = Side()
    for offset in range(count):
        side.let_wait(set_prices(home="3.00"), origin(offset))
    side.feed = side.apply_waiting(side.feed)

    assert side.changes == -(-count // MAX_WAITING)


def test_every_type_has_a_request() -> None:
    assert REQUESTS.keys() == set(RecordType)
    assert all(issubclass(request, BaseModel) for request in REQUESTS.values())
