import pytest

from app.domain.feed import MAX_RECORD_BYTES, Origin, Rejection
from app.domain.model import is_id
from app.domain.quarantine import (
    EXCERPT,
    MAX_MESSAGE,
    MAX_PARKED,
    NO_MARKET,
    Parked,
    Quarantine,
    cannot_be_tried,
    discard,
    find,
    park,
    quarantine_view,
    record_to_park,
    tried,
)
from app.domain.refusals import Refusal, Refused
from tests.strategies import START

NO = Rejection(reason="market_not_open", message="this market is closed")


def parked(body: bytes = b'{"type": "resume"}', number: int = 3, offset: int | None = 7, key: str = "m-1") -> Parked:
    origin = None if offset is None else Origin(topic="markets", partition=0, offset=offset, timestamp=START)
    return record_to_park(key, body, number, NO, origin, START)


def full() -> Quarantine:
    quarantine = Quarantine()
    for offset in range(MAX_PARKED):
        quarantine = park(quarantine, parked(offset=offset))
    return quarantine


def test_what_does_not_show_is_spelled_out_in_the_list_and_kept_as_it_came() -> None:
    body = '{"type": "open", "name": "\u202eone"}'.encode()
    quarantine = park(Quarantine(), parked(body, key="m\u202e1"))

    [shown] = quarantine_view(quarantine).records

    assert (shown.key, shown.text) == ("m\\u202e1", '{"type": "open", "name": "\\u202eone"}')
    assert quarantine.parked["1"].text == body.decode()


def test_a_record_is_kept_as_it_came_with_the_reason_and_where_it_is_from() -> None:
    quarantine = park(Quarantine(), parked())

    assert quarantine_view(quarantine).model_dump(mode="json") == {
        "records": [
            {
                "recordId": "1",
                "key": "m-1",
                "text": '{"type": "resume"}',
                "reason": "market_not_open",
                "message": "this market is closed",
                "parkedAt": "2026-01-01T00:00:00.000Z",
                "origin": {
                    "topic": "markets",
                    "partition": 0,
                    "offset": 7,
                    "timestamp": "2026-01-01T00:00:00.000Z",
                },
                "tries": 1,
            }
        ],
        "dropped": 0,
        "droppedFrom": None,
        "droppedTo": None,
    }


def test_a_record_delivered_again_is_parked_once() -> None:
    quarantine = park(Quarantine(), parked())

    assert park(quarantine, parked(number=4)) is quarantine
    assert len(park(quarantine, parked(offset=8)).parked) == 2
    assert len(park(park(Quarantine(), parked(offset=None)), parked(offset=None)).parked) == 2


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (parked(), None),
        (parked(b"x" * MAX_RECORD_BYTES), None),
        (parked(b"x" * (MAX_RECORD_BYTES + 1)), "not all of this record could be kept"),
        (parked('{"type": "öffnen"}'.encode("latin-1")), "not all of this record could be kept"),
        (parked(number=0, key=""), "this record is for no market"),
    ],
)
def test_what_was_not_kept_whole_or_is_for_no_market_can_only_be_discarded(record: Parked, message: str | None) -> None:
    rejection = cannot_be_tried(record)

    assert (rejection and rejection.message) == message
    quarantine = tried(park(Quarantine(), record), "1", rejection)
    assert list(quarantine.parked) == ([] if message is None else ["1"])


def test_what_is_kept_of_a_record_is_bounded() -> None:
    long = Rejection(reason="invalid_request", message="y" * 5_000)

    record = record_to_park("k" * 5_000, b"x" * (MAX_RECORD_BYTES + 1), 1, long, None, START)

    assert (len(record.key), len(record.text), len(record.message)) == (EXCERPT, EXCERPT, MAX_MESSAGE)
    again = tried(park(Quarantine(), record), "1", long).parked["1"]
    assert len(again.message) == MAX_MESSAGE


def test_a_full_quarantine_keeps_the_oldest_and_counts_what_it_cannot_keep() -> None:
    quarantine = full()
    for offset in (60, 70, 80):
        quarantine = park(quarantine, parked(offset=offset))

    assert quarantine.parked == full().parked
    assert quarantine.dropped == 3
    assert quarantine.dropped_from is not None
    assert quarantine.dropped_to is not None
    assert (quarantine.dropped_from.offset, quarantine.dropped_to.offset) == (60, 80)


def test_a_record_that_is_refused_again_stays_with_the_new_reason() -> None:
    again = Rejection(reason="overtaken", message="a newer record has been applied to status")

    quarantine = tried(park(park(Quarantine(), parked()), parked(offset=8)), "1", again)

    assert list(quarantine.parked) == ["1", "2"]
    changed = quarantine.parked["1"]
    assert (changed.reason, changed.message, changed.tries) == ("overtaken", again.message, 2)
    assert quarantine.parked["2"] == parked(offset=8)


def test_an_id_is_never_used_again() -> None:
    quarantine = discard(tried(park(park(Quarantine(), parked(offset=1)), parked(offset=2)), "1", None), "2")
    assert quarantine.parked == {}

    assert list(park(quarantine, parked(offset=3)).parked) == ["3"]
    unknown = find(quarantine, "1")
    assert isinstance(unknown, Refused)
    assert unknown.reason is Refusal.UNKNOWN_RECORD


def test_there_is_room_again_when_a_record_has_left() -> None:
    quarantine = park(discard(full(), "1"), parked(offset=60))

    assert list(quarantine.parked)[-1] == str(MAX_PARKED + 1)
    assert (len(quarantine.parked), quarantine.dropped) == (MAX_PARKED, 0)


def test_no_market_can_have_the_name_of_the_quarantine_of_records_without_one() -> None:
    assert not is_id(NO_MARKET)
