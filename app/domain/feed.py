"""Market feed: records from Kafka, each validated strictly and applied in order of arrival.

The key of a record is the id of its market, so that Kafka keeps the order of a market's records. A repeated record is
recognised by its offset, so that reading a topic again from the beginning does not bring back old prices. A record that
failed and is retried later must not undo the changes of newer records.

New prices wait for a moment, because each change of a market is told to all its shards: those that wait together are
applied as one change, with the newest price of each selection. If the market refuses that change, it is asked for each
half of it, until exactly the records that it refuses are left over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, cast

from pydantic import BaseModel, Field, JsonValue, ValidationError

from app.domain.model import Moment, PublicRequest, State, Wire, is_empty, read_json
from app.domain.odds import Price
from app.domain.refusals import Refusal, Refused, invalid_request

MAX_RECORD_BYTES = 65_536
"""The maximum size of a record. The result of the largest market needs less than half of it."""
MAX_PLACES = 16
"""The number of partitions whose newest offset a market stores. In each topic, a market uses only one partition."""

MAX_WAITING = 32
"""The number of records of a market that wait for the same change. Fewer than a quarantine has room for."""
MAX_WAITING_BYTES = MAX_RECORD_BYTES
"""The size of those records, all together: each record that waits is stored with all that wait already."""
CANCELLED = "cancelled"
"""The reason of a record whose change somebody cancelled or killed by hand. It is no refusal of the market."""
OF_ALL_RECORDS = {CANCELLED, Refusal.UNKNOWN_MARKET.value, Refusal.MARKET_NOT_OPEN.value}
"""Reasons that have nothing to do with the content of a change of prices: each record of it has the same by itself."""


class RecordType(StrEnum):
    """The operation of a record: the name of the market's public handler."""

    OPEN = "open"
    SET_PRICES = "setPrices"
    SUSPEND = "suspend"
    RESUME = "resume"
    CLOSE = "close"
    WITHDRAW = "withdraw"
    SETTLE = "settle"


class Envelope(PublicRequest):
    """The content of a record: the operation and the request for its handler."""

    type: RecordType
    content: dict[str, JsonValue] = Field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A valid record."""

    type: RecordType
    request: BaseModel

    @property
    def aspects(self) -> frozenset[str]:
        """What the record sets and a newer record may replace: prices of selections, or the status of the market.

        A result is not included, because its version decides which one is newer. An opening and a withdrawal are not
        included, because each happens only once.
        """
        match self.type:
            case RecordType.SET_PRICES:
                return frozenset(map(_price_of, _prices(self)))
            case RecordType.SUSPEND | RecordType.RESUME | RecordType.CLOSE:
                return frozenset({"status"})
            case RecordType.OPEN | RecordType.WITHDRAW | RecordType.SETTLE:
                return frozenset()


Requests = Mapping[RecordType, type[BaseModel]]
"""The request model of each market handler."""


class Origin(State):
    """The position of a record in Kafka, and when it was produced."""

    topic: str
    partition: int
    offset: int
    timestamp: Moment


class Rejection(Wire):
    """Why a record was not applied: a refusal, perhaps one of a newer version, or `cancelled` by an operator."""

    reason: str
    message: str


class Waiting(State):
    """A record of new prices that waits, to be applied together with those that arrive next."""

    number: int
    """Its position among the market's records, from 1."""
    text: str
    origin: Origin | None = None


class Feed(State):
    """The state of a market's feed: the number of records, and the number of the newest one applied to each aspect."""

    records: int = 0
    newest: dict[str, int] = Field(default_factory=dict)
    places: dict[str, Origin] = Field(default_factory=dict)
    """For each topic and partition, the position of the newest record."""
    waiting: list[Waiting] = Field(default_factory=list, exclude_if=is_empty)
    """New prices to be applied as one change, in the order of arrival. They are counted, and in `places`, already."""


def origin_of(headers: Mapping[str, str]) -> Origin | None:
    """Read a record's position from Restate's headers; None if the record did not come from Kafka."""
    names = ("topic", "partition", "offset", "timestamp")
    try:
        return Origin.model_validate({name: headers.get(f"kafka.{name}") for name in names})
    except ValidationError:
        return None


def read_record(body: bytes, requests: Requests) -> Record | Refused:
    """Parse a record as strictly as a public request. Refuses with `invalid_request` and names each wrong field."""
    if len(body) > MAX_RECORD_BYTES:
        message = f"body: {len(body)} bytes, of which at most {MAX_RECORD_BYTES} are read"
        return Refused(reason=Refusal.INVALID_REQUEST, message=message)
    try:
        envelope = read_json(Envelope, body)
    except ValidationError as error:
        return invalid_request(error)
    try:
        return Record(envelope.type, requests[envelope.type].model_validate(envelope.content))
    except ValidationError as error:
        return invalid_request(error, "content")


def was_read(feed: Feed, origin: Origin | None) -> bool:
    """Whether a record was read before: neither its offset nor its time is greater than the newest of its partition.

    A later record at a lower offset is not a repetition: its topic was deleted and created again.
    """
    if origin is None or (furthest := feed.places.get(_place(origin))) is None:
        return False
    return origin.offset <= furthest.offset and origin.timestamp <= furthest.timestamp


def arrived(feed: Feed, origin: Origin | None) -> Feed:
    """Count a record. The new count is the number of the record."""
    counted = feed.model_copy(update={"records": feed.records + 1})
    if origin is None:
        return counted
    others = {place: furthest for place, furthest in feed.places.items() if place != _place(origin)}
    kept = dict(list(others.items())[1 - MAX_PLACES :])
    return counted.model_copy(update={"places": {**kept, _place(origin): origin}})


def refuse_overtaken(feed: Feed, record: Record, number: int) -> Refused | None:
    """Refuse a record with `overtaken` if a newer record has been applied to one of its aspects."""
    newer = sorted(aspect for aspect in record.aspects if feed.newest.get(aspect, 0) > number)
    if not newer:
        return None
    return Refused(reason=Refusal.OVERTAKEN, message=f"a newer record has been applied to {', '.join(newer)}")


def applied(feed: Feed, record: Record, number: int) -> Feed:
    """Note that a record was applied. What a newer one has set stays that one's."""
    newest = {aspect: max(number, feed.newest.get(aspect, 0)) for aspect in record.aspects}
    return feed.model_copy(update={"newest": {**feed.newest, **newest}})


def can_wait(record: Record | Refused) -> bool:
    """Whether a record is one of new prices, which may be applied together with later ones."""
    return isinstance(record, Record) and record.type is RecordType.SET_PRICES


def has_room(feed: Feed, body: bytes) -> bool:
    """Whether one more record can wait. The first always can."""
    size = len(body) + sum(len(one.text.encode()) for one in feed.waiting)
    return not feed.waiting or (len(feed.waiting) < MAX_WAITING and size <= MAX_WAITING_BYTES)


def wait(feed: Feed, body: bytes, origin: Origin | None) -> Feed:
    """Let the record that was counted last wait. It must be one that can wait, and therefore valid text."""
    one = Waiting(number=feed.records, text=body.decode(), origin=origin)
    return feed.model_copy(update={"waiting": [*feed.waiting, one]})


def is_waiting(feed: Feed, number: int) -> bool:
    """Whether the record of this number still waits."""
    return any(one.number == number for one in feed.waiting)


Batch = tuple[tuple[Waiting, Record], ...]
"""Records to be applied as one change, in their order."""


@dataclass(frozen=True)
class Conflation:
    """What waited, being applied: the feed with what the market has taken, what it is still to be asked, what is left.

    It is asked for `change` as long as there is one, and `answered` says what becomes of its answer.
    """

    feed: Feed
    batches: tuple[Batch, ...] = ()
    rejected: tuple[tuple[Waiting, Rejection], ...] = ()
    """What the market did not take, in the order of arrival, each with the reason that it has by itself."""
    changes: int = 0
    """The number of changes that the market has taken."""
    taken: int = 0
    """The number of records in these changes."""

    @property
    def change(self) -> Record | None:
        """The next change to ask the market for: the newest price of each selection. None if nothing is left."""
        return _merged(self.feed, self.batches[0]) if self.batches else None

    def answered(self, rejection: Rejection | None) -> "Conflation":
        """Go on after the market's answer to `change`.

        A market takes a change exactly if it takes every record of it, so one that it refuses is asked again in halves.
        A change is not asked again if the refusal is of the market whatever the prices, or if somebody has cancelled
        it, who wants the feed to move on.
        """
        batch, *rest = self.batches
        if rejection is None:
            feed = self.feed
            for one, record in batch:
                feed = applied(feed, record, one.number)
            taken = self.taken + len(batch)
            return replace(self, feed=feed, batches=tuple(rest), changes=self.changes + 1, taken=taken)
        if len(batch) > 1 and rejection.reason not in OF_ALL_RECORDS:
            middle = len(batch) // 2
            return replace(self, batches=(batch[:middle], batch[middle:], *rest))
        rejected = (*self.rejected, *((one, rejection) for one, _ in batch))
        in_order = tuple(sorted(rejected, key=lambda left: left[0].number))
        return replace(self, batches=tuple(rest), rejected=in_order)


def apply_waiting(feed: Feed, requests: Requests) -> Conflation:
    """Begin to apply all that waits, as one change.

    An earlier version leaves alone what waits, and may have applied newer prices meanwhile, or these very ones. What is
    left of a record then are the prices that no such record has set.
    """
    known = [(one, read_record(one.text.encode(), requests)) for one in feed.waiting]
    batch = tuple(
        (one, record) for one, record in known if isinstance(record, Record) and _prices_left(feed, one, record)
    )
    unreadable = tuple(
        (one, Rejection(reason=record.reason.value, message=record.message))
        for one, record in known
        if isinstance(record, Refused)
    )
    rest = feed.model_copy(update={"waiting": []})
    return Conflation(rest, batches=(batch,) if batch else (), rejected=unreadable)


class _NewPrices(Protocol):
    """The content of a record of new prices."""

    prices: Mapping[str, Price]


def _prices(record: Record) -> Mapping[str, Price]:
    assert record.type is RecordType.SET_PRICES
    return cast(_NewPrices, record.request).prices


def _price_of(selection_id: str) -> str:
    return f"price/{selection_id}"


def _prices_left(feed: Feed, one: Waiting, record: Record) -> Iterable[str]:
    """The selections of a record whose price is not from it or from a newer one already."""
    return [name for name in _prices(record) if feed.newest.get(_price_of(name), 0) < one.number]


def _merged(feed: Feed, batch: Batch) -> Record:
    prices = {name: _prices(record)[name] for one, record in batch for name in _prices_left(feed, one, record)}
    newest = batch[-1][1]
    return Record(newest.type, newest.request.model_copy(update={"prices": prices}))


def _place(origin: Origin) -> str:
    return f"{origin.topic}/{origin.partition}"
