"""Quarantine: records that could not be applied to their market, stored until an operator retries or discards them.

A market's quarantine is bounded. When it is full, the oldest records stay, because the first failure usually causes the
later ones. Records that find no room are counted, and the Kafka positions of the first and the last are stored.
"""

from pydantic import Field

from app.domain.feed import MAX_RECORD_BYTES, Origin, Rejection
from app.domain.model import Moment, State, Wire, spelled_out
from app.domain.refusals import Refusal, Refused

MAX_PARKED = 50
"""The maximum number of records in one market's quarantine."""
EXCERPT = 1_000
"""The number of characters that are stored of a key or record that is too large."""
MAX_MESSAGE = 1_000
"""The maximum length of a stored error message, in characters."""
NO_MARKET = "~"
"""The key of the quarantine for records whose key is not a market id. No market can have this id."""


class Parked(State):
    """A record that could not be applied."""

    key: str
    text: str
    is_whole: bool
    """Whether `text` is the complete record, so that it can be retried."""
    number: int
    """The number of the record in its market's feed, from 1; 0 if there is no market."""
    reason: str
    message: str
    parked_at: Moment
    origin: Origin | None = None
    tries: int = 1


class Quarantine(State):
    """The quarantined records of a market by id, in order of arrival."""

    parked: dict[str, Parked] = Field(default_factory=dict)
    count: int = 0
    """The number of records that were ever parked. It gives the ids, so that none is used twice."""
    dropped: int = 0
    dropped_from: Origin | None = None
    dropped_to: Origin | None = None


class ParkedView(Wire):
    """A parked record as `list` shows it."""

    record_id: str
    key: str
    text: str
    reason: str
    message: str
    parked_at: Moment
    origin: Origin | None
    tries: int


class QuarantineView(Wire):
    """The answer to `list`."""

    records: list[ParkedView]
    dropped: int
    dropped_from: Origin | None
    dropped_to: Origin | None


def record_to_park(
    key: str, body: bytes, number: int, rejection: Rejection, origin: Origin | None, now: Moment
) -> Parked:
    """Build the entry for a record. If it is too large or not valid text, store only enough to recognise it."""
    text = body.decode(errors="replace")
    is_whole = len(body) <= MAX_RECORD_BYTES
    return Parked(
        key=key[:EXCERPT],
        text=text if is_whole else text[:EXCERPT],
        is_whole=is_whole and text.encode() == body,
        number=number,
        reason=rejection.reason,
        message=rejection.message[:MAX_MESSAGE],
        parked_at=now,
        origin=origin,
    )


def park(quarantine: Quarantine, record: Parked) -> Quarantine:
    """Store a record if there is room; otherwise count it as dropped. A record that is stored already is ignored."""
    if record.origin is not None and any(known.origin == record.origin for known in quarantine.parked.values()):
        return quarantine
    if len(quarantine.parked) >= MAX_PARKED:
        first = record.origin if quarantine.dropped == 0 else quarantine.dropped_from
        changes = {"dropped": quarantine.dropped + 1, "dropped_from": first, "dropped_to": record.origin}
        return quarantine.model_copy(update=changes)
    count = quarantine.count + 1
    return quarantine.model_copy(update={"count": count, "parked": {**quarantine.parked, str(count): record}})


def find(quarantine: Quarantine, record_id: str) -> Parked | Refused:
    """Find a parked record by its id. Refuses with `unknown_record` if there is none."""
    if (record := quarantine.parked.get(record_id)) is not None:
        return record
    return Refused(reason=Refusal.UNKNOWN_RECORD, message=f"recordId: there is no record {record_id}")


def cannot_be_tried(record: Parked) -> Rejection | None:
    """Why a record cannot be retried, only discarded; None if it can be retried."""
    if record.number == 0:
        return Rejection(reason=Refusal.INVALID_REQUEST.value, message="this record is for no market")
    if not record.is_whole:
        return Rejection(reason=Refusal.INVALID_REQUEST.value, message="not all of this record could be kept")
    return None


def tried(quarantine: Quarantine, record_id: str, rejection: Rejection | None) -> Quarantine:
    """Remove a record whose retry was applied. Otherwise store the reason of the last rejection with it."""
    if rejection is None:
        return discard(quarantine, record_id)
    record = quarantine.parked[record_id]
    changes = {"reason": rejection.reason, "message": rejection.message[:MAX_MESSAGE], "tries": record.tries + 1}
    changed = {**quarantine.parked, record_id: record.model_copy(update=changes)}
    return quarantine.model_copy(update={"parked": changed})


def discard(quarantine: Quarantine, record_id: str) -> Quarantine:
    """Remove a record."""
    left = {name: record for name, record in quarantine.parked.items() if name != record_id}
    return quarantine.model_copy(update={"parked": left})


def _parked_view(record_id: str, record: Parked) -> ParkedView:
    shown = {"key": spelled_out(record.key), "text": spelled_out(record.text)}
    fields = record.model_dump(include=set(ParkedView.model_fields), by_alias=False)
    return ParkedView(record_id=record_id, **(fields | shown))


def quarantine_view(quarantine: Quarantine) -> QuarantineView:
    """The quarantine as operators see it, with the codes of characters that would not show."""
    return QuarantineView(
        records=[_parked_view(record_id, record) for record_id, record in quarantine.parked.items()],
        dropped=quarantine.dropped,
        dropped_from=quarantine.dropped_from,
        dropped_to=quarantine.dropped_to,
    )
