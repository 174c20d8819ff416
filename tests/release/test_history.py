"""What is remembered of a release, and for how long."""

import json
from datetime import UTC, datetime

import pytest

from app.release.history import (
    KEPT,
    KEPT_FINDINGS,
    LONGEST_FINDING,
    Change,
    Entry,
    Event,
    append,
    as_lines,
    followed,
    read,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Kept:
    """A ConfigMap in memory."""

    def __init__(self) -> None:
        self.text = ""

    def change_history(self, change: Change) -> None:
        self.text = change(self.text)

    def history(self) -> str:
        return self.text


def test_an_entry_is_read_as_it_was_written_with_its_time() -> None:
    kept, entry = Kept(), Entry(Event.REFUSED, "v2", "gates", "2 findings", ("MarketService/get: output lost prices",))

    append(kept, entry)

    [found] = read(kept.history())
    assert (found.event, found.version, found.because, found.findings) == (
        entry.event,
        "v2",
        "2 findings",
        entry.findings,
    )
    assert datetime.fromisoformat(found.at).tzinfo == UTC


def test_the_newest_entries_are_kept() -> None:
    kept = Kept()
    for number in range(KEPT + 3):
        append(kept, Entry(Event.LIVE, f"v{number}", "an operator"))

    assert [entry.version for entry in read(kept.text)] == [f"v{number}" for number in range(3, KEPT + 3)]


def test_gates_that_cannot_tell_and_are_asked_again_and_again_leave_what_was_live_when() -> None:
    kept = Kept()
    append(kept, Entry(Event.LIVE, "v1", "an operator"))
    for seconds in range(KEPT):
        append(kept, Entry(Event.REFUSED, "v2", "gates", f"books: not looked for {seconds} s"))

    told = [(entry.event, entry.version, entry.because) for entry in read(kept.text)]
    assert told == [(Event.LIVE, "v1", ""), (Event.REFUSED, "v2", f"books: not looked for {KEPT - 1} s")]


@pytest.mark.parametrize(
    "other",
    [
        Entry(Event.CHECKED, "v2", "gates"),
        Entry(Event.REFUSED, "v3", "gates"),
        Entry(Event.REFUSED, "v2", "gates", findings=("replay: W/run: fails",)),
    ],
    ids=["another event", "another version", "other findings"],
)
def test_what_tells_something_else_is_an_entry_of_its_own(other: Entry) -> None:
    first = Entry(Event.REFUSED, "v2", "gates", at="2026-01-01T12:00:00Z")

    assert followed([first], other) == (first, other)


def test_the_fullest_history_fits_into_a_config_map() -> None:
    kept = Kept()
    for number in range(KEPT):
        append(
            kept,
            Entry(Event.REFUSED, f"{number:02}" + "v" * 18, "gates", "x" * 9_999, ("y" * 9_999,) * (KEPT_FINDINGS + 2)),
        )

    newest = read(kept.text)[-1]
    assert newest.findings[-1] == "and 2 more"
    assert len(newest.because) == LONGEST_FINDING
    assert len(kept.text) < 1_000_000


def test_what_a_newer_version_writes_does_not_stop_an_older_one() -> None:
    newer = [
        {"event": "something new", "version": "v3", "by": "x", "at": "now"},
        {"event": "live", "version": "v2", "by": "an operator", "at": "then", "more": 1},
    ]

    assert read(json.dumps(newer)) == (Entry(Event.LIVE, "v2", "an operator", at="then"),)


def test_people_read_an_entry_a_line_and_its_findings_below() -> None:
    taken = Entry(Event.TAKEN_BACK, "v2", "watch", "back to v1", ("books",), at="2026-01-01T12:00:00Z")

    assert as_lines([taken]) == ["2026-01-01T12:00:00Z  v2  taken back, by watch (back to v1)", "  books"]
    assert as_lines([]) == ["nothing has happened yet"]
