"""The messages of a replay: what is asked, and what an answer says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.release.gates.findings import BEYOND_BYTES, NO_TIME, Outcome
from app.release.gates.protocol import HEADER, Entry, Kind, UnknownEntryError, messages, request
from app.release.gates.replay import (
    BY_CHANCE,
    ENDED,
    NO_ANSWER,
    OUTSIDE_STEP,
    UNKNOWN_KIND,
    Replayed,
    Work,
    decide,
    ended,
    together,
)


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


def another(step: str, *differences: str) -> Replayed:
    """A mismatch in the SDK's words."""
    lines = [f"- The mismatch happened while executing '{step}' (index '1')", "- Difference:", *differences]
    return Replayed("takes other steps", mismatch="\n".join(["Found a mismatch.", *lines]))


def named(now: str, was: str = "charge d-71c0-4e") -> Replayed:
    return another("run", f"   name: {was} != {now}")


def sends(now: str, was: str = "d-71c0-4e") -> Replayed:
    sent = '\'{{"depositId":"{}","text":"1 != 2: so","reference":"{}"}}\''
    return another("call", f"   parameter: {sent.format(was, was)} != {sent.format(now, now)}")


OTHER_KIND = Replayed("takes other steps", mismatch="Found a mismatch.\n - recorded: 'call'\n - attempts: 'run'")
CHANCE = Replayed(skipped=BY_CHANCE)


@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        (named("charge d-a1b2-4c"), named("charge d-93f7-40"), CHANCE),
        (sends("d-a1b2-4c"), sends("d-93f7-40"), CHANCE),
        (named("charge d-a1b2-4c"), Replayed(), CHANCE),
        (named("look up"), named("look up"), named("look up")),
        (named("check d-a1b2-4c"), named("check d-93f7-40"), named("check d-a1b2-4c")),
        (named("a1b2-4c"), named("93f7-40"), named("a1b2-4c")),
        (sends("d-a1b2-4c", "w-71c0-4e"), sends("d-93f7-40", "w-71c0-4e"), sends("d-a1b2-4c")),
        (
            another("call", "   key: ann != ben", "   parameter: 'd-1' != 'd-2'"),
            another("call", "   key: ann != ben", "   parameter: 'd-1' != 'd-3'"),
            another("call"),
        ),
        (named("charge d-a1b2-4c"), another("call", "   name: charge d-1-2 != charge d-3-4"), named("")),
        (OTHER_KIND, OTHER_KIND, OTHER_KIND),
        (Replayed("fails: <Bet at 0x7f01>"), Replayed("fails: <Bet at 0x7f02>"), Replayed("fails: <Bet at 0x7f01>")),
        (Replayed("fails: at 1"), named("charge d-93f7-40"), Replayed("fails: at 1")),
        (Replayed("fails: at 1"), Replayed(skipped=OUTSIDE_STEP), Replayed("fails: at 1")),
    ],
    ids=[
        "a step named by a random id",
        "a call with a random id in what it sends",
        "goes on with another seed",
        "the same step with both",
        "a new step, named by a random id too",
        "a new step, named by nothing but a random id",
        "a call that sends something else beside",
        "a call of another object beside",
        "another kind of step with each",
        "a step of another kind",
        "fails with another address each time",
        "fails with one, takes another step with the other",
        "fails with one, asks the provider with the other",
    ],
)
def test_what_differs_by_random_numbers_alone_is_by_chance(first: Replayed, second: Replayed, ends: Replayed) -> None:
    assert together([first, second]) == ends


def work(id: str, handler: str = "run", *, paused: bool = False) -> Work:
    return Work(id, "Withdrawal", "w", handler, 6, paused)


NO_RUN = "no journal could be replayed of Withdrawal/run"


@pytest.mark.parametrize(
    ("skipped", "paused", "goes_on", "because"),
    [
        (NO_ANSWER, False, "run", ""),
        (NO_ANSWER, True, "run", "paused work could not be replayed, such as b"),
        (UNKNOWN_KIND, True, "run", "paused work could not be replayed, such as b"),
        (NO_TIME, True, "run", ""),
        (BEYOND_BYTES, True, "run", ""),
        (NO_ANSWER, False, "owner", NO_RUN),
        (UNKNOWN_KIND, False, "owner", NO_RUN),
        (NO_TIME, False, "owner", NO_RUN),
        (NO_ANSWER, True, "owner", NO_RUN),
        (BEYOND_BYTES, False, "owner", ""),
        (BY_CHANCE, False, "owner", ""),
        (OUTSIDE_STEP, False, "owner", ""),
        (ENDED, True, "owner", ""),
    ],
    ids=[
        "another of the handler goes on",
        "paused, no answer",
        "paused, of an unknown kind",
        "paused, no time",
        "paused, too large",
        "a handler without an answer",
        "a handler of an unknown kind",
        "a handler without time",
        "a handler that is paused",
        "a handler too large",
        "a handler by chance",
        "a handler that asks the provider",
        "a handler that ended",
    ],
)
def test_what_goes_on_of_one_handler_says_nothing_of_another(
    skipped: str, paused: bool, goes_on: str, because: str
) -> None:
    answers = {work("a", goes_on): Replayed(), work("b", paused=paused): Replayed(skipped=skipped)}

    answer = decide(answers, beyond=0)

    assert answer.because == because
    assert answer.outcome is (Outcome.NOT_CHECKED if because else Outcome.PASSED)
    assert answer.skipped == {skipped: 1}
