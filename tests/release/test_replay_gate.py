"""The messages of a replay: what is asked, and what an answer says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.release.gates.protocol import HEADER, Entry, Kind, UnknownEntryError, messages, request
from app.release.gates.replay import OUTSIDE_STEP, Replayed, ended


def text(field: int, value: str) -> bytes:
    return bytes((field << 3 | 2, len(value))) + value.encode()


MISMATCH = b"\x08\xba\x04" + text(2, "Found a mismatch") + text(5, "look")
"""Code 570, with a message and the name of a command."""
BROKEN = b"\x08\xf4\x03" + text(2, "no such field\nTraceback")
REFUSED = b"\x08\xf4\x03" + text(2, "a rehearsal does not charge d1")
IN_STEP = REFUSED + b"\x30\x91\x08"
"""The same, of a command of the type Run."""


@pytest.mark.parametrize(
    ("kind", "content", "ends"),
    [
        (Kind.SUSPENSION, b"", Replayed()),
        (Kind.COMMAND, b"", Replayed()),
        (Kind.RUN_PROPOSAL, b"", Replayed()),
        (Kind.END, b"", Replayed()),
        (Kind.ERROR, MISMATCH, Replayed("takes other steps: look: Found a mismatch")),
        (Kind.ERROR, BROKEN, Replayed("fails: no such field")),
        (Kind.ERROR, IN_STEP, Replayed()),
        (Kind.ERROR, REFUSED, Replayed(skipped=OUTSIDE_STEP)),
    ],
    ids=[
        "waits",
        "next step",
        "a step is done",
        "ended",
        "mismatch",
        "fails",
        "wanted the world in a step",
        "wanted the world at once",
    ],
)
def test_an_attempt_ends_as_its_first_message_says(kind: Kind, content: bytes, ends: Replayed) -> None:
    assert ended(kind, content) == ends


@given(st.lists(st.tuples(st.sampled_from(["Command: Run", "Notification: Run", "Command: Input"]), st.binary())))
def test_a_request_has_the_journal_as_it_is(journal: list[tuple[str, bytes]]) -> None:
    body = request("inv_1", "ann", {b"state": b"x" * 300}, [Entry(*entry) for entry in journal], seed=1)

    sent = list(messages(body))

    assert sent[0][0] == Kind.START
    assert [content for _, content in sent[1:]] == [raw for _, raw in journal]


def test_what_has_come_in_part_is_no_message_yet() -> None:
    whole = HEADER.pack(Kind.ERROR, 0, len(MISMATCH)) + MISMATCH

    assert [list(messages(whole[:cut])) for cut in range(len(whole))] == [[]] * len(whole)
    assert list(messages(whole)) == [(Kind.ERROR, MISMATCH)]


@pytest.mark.parametrize("kind", ["Command: Dance", "Notification: Dance", "Event: Paused"])
def test_an_entry_that_is_not_known_is_told(kind: str) -> None:
    with pytest.raises(UnknownEntryError):
        request("inv_1", "", {}, [Entry(kind, b"")], seed=1)
