"""Records of a feed about markets, as Kafka brings them: each is read strictly and applied in the order of its arrival.

Records of one market have its id as their key, so that Kafka keeps their order. A record that was read before is
recognised by its place in the topic: when a topic is read again from its beginning, prices of the past stay past. One
that could not be applied and is tried again later must not undo what newer ones have done since.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, Field, JsonValue, ValidationError

from app.domain.model import Moment, PublicRequest, State, Wire
from app.domain.refusals import Refusal, Refused, invalid_request

MAX_RECORD_BYTES = 65_536
"""Larger records are not read. A result of the largest market has less than half of it."""
MAX_PLACES = 16
"""Of how many topics' partitions a market remembers where it is; one market is in one partition of a topic."""


class RecordType(StrEnum):
    """What a record does with its market: the market's public handler of this name."""

    OPEN = "open"
    SET_PRICES = "setPrices"
    SUSPEND = "suspend"
    RESUME = "resume"
    CLOSE = "close"
    WITHDRAW = "withdraw"
    SETTLE = "settle"


class Envelope(PublicRequest):
    """A record: what to do, and the request of the handler that does it."""

    type: RecordType
    content: dict[str, JsonValue] = Field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A record that could be read."""

    type: RecordType
    request: BaseModel

    @property
    def aspects(self) -> frozenset[str]:
        """What a newer record replaces: a selection's price, or whether the market takes bets.

        A result is none of it, since its version says which is newer; nor is what there is once: an opening, and the
        withdrawal of a selection.
        """
        match self.type:
            case RecordType.SET_PRICES:
                return frozenset(f"price/{selection_id}" for selection_id in self.request.model_dump()["prices"])
            case RecordType.SUSPEND | RecordType.RESUME | RecordType.CLOSE:
                return frozenset({"status"})
            case RecordType.OPEN | RecordType.WITHDRAW | RecordType.SETTLE:
                return frozenset()


Requests = Mapping[RecordType, type[BaseModel]]
"""The request of each market handler."""


class Origin(State):
    """Where a record is in Kafka, and when it was produced."""

    topic: str
    partition: int
    offset: int
    timestamp: Moment


class Rejection(Wire):
    """Why a record was not applied: one of our refusals, or of a newer version's, or `cancelled` by an operator."""

    reason: str
    message: str


class Feed(State):
    """What a market's feed remembers: how many records came, and the number of the newest applied to each aspect."""

    records: int = 0
    newest: dict[str, int] = Field(default_factory=dict)
    places: dict[str, Origin] = Field(default_factory=dict)
    """For each topic and partition, the furthest record."""


def origin_of(headers: Mapping[str, str]) -> Origin | None:
    """Where Restate says that a record is from; nothing for one that came another way."""
    names = ("topic", "partition", "offset", "timestamp")
    try:
        return Origin.model_validate({name: headers.get(f"kafka.{name}") for name in names})
    except ValidationError:
        return None


def read_record(body: bytes, requests: Requests) -> Record | Refused:
    """Read a record as strictly as a public request, and say what is wrong with it."""
    if len(body) > MAX_RECORD_BYTES:
        message = f"body: {len(body)} bytes, of which at most {MAX_RECORD_BYTES} are read"
        return Refused(reason=Refusal.INVALID_REQUEST, message=message)
    try:
        envelope = Envelope.model_validate_json(body)
    except ValidationError as error:
        return invalid_request(error)
    try:
        return Record(envelope.type, requests[envelope.type].model_validate(envelope.content))
    except ValidationError as error:
        return invalid_request(error, "content")


def was_read(feed: Feed, origin: Origin | None) -> bool:
    """Whether a record came before: it is no further in its partition than we are, and no younger.

    A younger one at a lower offset is in a topic that was made anew.
    """
    if origin is None or (furthest := feed.places.get(_place(origin))) is None:
        return False
    return origin.offset <= furthest.offset and origin.timestamp <= furthest.timestamp


def arrived(feed: Feed, origin: Origin | None) -> Feed:
    """Count a record; its number is how many came until it."""
    counted = feed.model_copy(update={"records": feed.records + 1})
    if origin is None:
        return counted
    others = {place: furthest for place, furthest in feed.places.items() if place != _place(origin)}
    kept = dict(list(others.items())[1 - MAX_PLACES :])
    return counted.model_copy(update={"places": {**kept, _place(origin): origin}})


def refuse_overtaken(feed: Feed, record: Record, number: int) -> Refused | None:
    """Refuse to apply a record after a newer one to the same."""
    newer = sorted(aspect for aspect in record.aspects if feed.newest.get(aspect, 0) > number)
    if not newer:
        return None
    return Refused(reason=Refusal.OVERTAKEN, message=f"a newer record has been applied to {', '.join(newer)}")


def applied(feed: Feed, record: Record, number: int) -> Feed:
    """Remember that the market took a record."""
    return feed.model_copy(update={"newest": {**feed.newest, **dict.fromkeys(record.aspects, number)}})


def _place(origin: Origin) -> str:
    return f"{origin.topic}/{origin.partition}"
