"""Market feed: records from Kafka, each validated strictly and applied in order of arrival.

The key of a record is the id of its market, so that Kafka keeps the order of a market's records. A repeated record is
recognised by its offset, so that reading a topic again from the beginning does not bring back old prices. A record that
failed and is retried later must not undo the changes of newer records.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, Field, JsonValue, ValidationError

from app.domain.model import Moment, PublicRequest, State, Wire, read_json
from app.domain.refusals import Refusal, Refused, invalid_request

MAX_RECORD_BYTES = 65_536
"""The maximum size of a record. The result of the largest market needs less than half of it."""
MAX_PLACES = 16
"""The number of partitions whose newest offset a market stores. In each topic, a market uses only one partition."""


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
                return frozenset(f"price/{selection_id}" for selection_id in self.request.model_dump()["prices"])
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


class Feed(State):
    """The state of a market's feed: the number of records, and the number of the newest one applied to each aspect."""

    records: int = 0
    newest: dict[str, int] = Field(default_factory=dict)
    places: dict[str, Origin] = Field(default_factory=dict)
    """For each topic and partition, the position of the newest record."""


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
    """Note that a record was applied."""
    return feed.model_copy(update={"newest": {**feed.newest, **dict.fromkeys(record.aspects, number)}})


def _place(origin: Origin) -> str:
    return f"{origin.topic}/{origin.partition}"
