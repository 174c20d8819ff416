"""Which versions the watch finds bad: one row for each situation."""

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import comb

import pytest

from app.release.watching import (
    ALPHA,
    WINDOWS_TO_WAIT,
    Books,
    Evidence,
    Handled,
    Judgement,
    Outcome,
    Troubled,
    Window,
    fisher,
    judge,
)

LIVE = 1_000.0
WINDOW = Window(since=LIVE, seconds=120, balanced_before=True)
BET = "PlayerService/placeBet"
DURING, AFTER = LIVE + 30, LIVE + 121


def handled(attempts: int, failed: int = 0) -> Mapping[str, Handled]:
    return {BET: Handled(attempts, failed)}


def took(*counts: int) -> Mapping[str, Handled]:
    """How many took up to 0.01, 0.1, 0.25, 1 second, or longer."""
    bounds, sums = (0.01, 0.1, 0.25, 1.0, math.inf), [sum(counts[: n + 1]) for n in range(5)]
    return {BET: Handled(sums[-1], 0, dict(zip(bounds, sums, strict=True)))}


def evenly(now: Mapping[str, Handled], looks: int = 4) -> tuple[Mapping[str, Handled], ...]:
    """What earlier looks had seen of it, if it came in so many parts."""

    def part(number: int) -> Handled:
        return Handled(within={bound: count * number // looks for bound, count in now[BET].within.items()})

    return tuple({BET: part(number)} for number in range(1, looks))


CALM = Evidence(handled(400), handled(2_000), (), (), Books(True, DURING))
LOOKED = replace(CALM, books=Books(True, LIVE + 120))
"""The same, when the bookkeeper has looked again after the window."""


def judged(evidence: Evidence, now: float = DURING, window: Window = WINDOW) -> Judgement:
    return judge(window, evidence, now)


@pytest.mark.parametrize(
    ("candidate", "before"),
    [
        (handled(100, 20), handled(2_000)),
        (handled(400, 80), handled(2_000, 20)),
        (handled(200, 40), {}),
        (handled(60, 30), handled(5)),
        (handled(1_000, 30), handled(100_000, 100)),
    ],
    ids=["every fifth", "every fifth of many", "with nothing to compare", "half of few", "three in a hundred"],
)
def test_a_version_that_fails_more_often_is_found(
    candidate: Mapping[str, Handled], before: Mapping[str, Handled]
) -> None:
    found = judged(replace(CALM, candidate=candidate, before=before))

    assert found.outcome is Outcome.BAD
    assert found.because[0].startswith(f"{BET}: {candidate[BET].failed} of {candidate[BET].attempts} attempts failed")


@pytest.mark.parametrize(
    ("candidate", "before"),
    [
        (handled(400), handled(2_000)),
        (handled(4, 4), handled(2_000)),
        (handled(10, 3), handled(5)),
        (handled(400, 80), handled(2_000, 400)),
        (handled(400, 3), handled(2_000)),
        (handled(50, 5), {}),
    ],
    ids=["no failure", "four of four", "too few to tell", "as often as before", "a few", "nobody knows how it was"],
)
def test_a_version_that_may_be_as_good_is_left_alone(
    candidate: Mapping[str, Handled], before: Mapping[str, Handled]
) -> None:
    assert judged(replace(CALM, candidate=candidate, before=before)) == Judgement(Outcome.WATCHING)


def test_one_invocation_that_fails_again_and_again_counts_once() -> None:
    failing = replace(CALM, candidate=handled(430, 30))
    again = (Troubled(BET, "backing-off", count=1, attempts=30),)

    assert judged(failing).outcome is Outcome.BAD
    assert judged(replace(failing, troubled=again)).outcome is Outcome.WATCHING


@pytest.mark.parametrize(
    ("troubled", "said"),
    [
        (Troubled(BET, "paused", 2, 0), f"{BET}: 2 of its invocations used up their retries and are paused"),
        (Troubled(BET, "backing-off", 1, 3, "RT0016"), f"{BET}: 1 of its invocations failed with RT0016"),
        (Troubled(BET, "running", 1, 3, "RT0011"), f"{BET}: 1 of its invocations failed with RT0011"),
        (Troubled(BET, "backing-off", 1, 3, "RT0007"), ""),
        (Troubled(BET, "paused", 2, 0, own=False), ""),
        (Troubled(BET, "backing-off", 1, 3, "RT0016", own=False), ""),
    ],
    ids=["paused", "other steps", "not there", "an error of the code", "paused, made before", "rescued, does not fit"],
)
def test_work_that_only_a_person_can_help_is_one_proof_enough(troubled: Troubled, said: str) -> None:
    assert judged(replace(CALM, troubled=(troubled,))).because == ((said,) if said else ())


def test_a_pod_that_crashes_again_and_again_decides_though_it_gives_no_numbers() -> None:
    silent = replace(CALM, candidate=None, crashing=("pod v2-a has crashed 3 times",), silence=("no numbers",))

    assert judged(silent) == Judgement(Outcome.BAD, ("pod v2-a has crashed 3 times",))


@pytest.mark.parametrize(
    ("now", "before", "found"),
    [
        (took(0, 0, 300, 0, 0), took(2_000, 0, 0, 0, 0), "225 of 225 took longer than 0.1 s"),
        (took(200, 0, 0, 0, 20), took(2_000, 5, 0, 0, 0), "15 of 165 took longer than 0.1 s"),
        (took(0, 300, 0, 0, 0), took(2_000, 0, 0, 0, 0), ""),
        (took(0, 0, 300, 0, 0), took(0, 2_000, 0, 0, 0), ""),
        (took(0, 0, 0, 0, 300), took(0, 2_000, 0, 0, 0), "225 of 225 took longer than 1 s"),
        (took(0, 0, 0, 0, 4), took(2_000, 0, 0, 0, 0), ""),
        (took(0, 0, 0, 0, 10), took(19, 0, 0, 0, 0), ""),
        (took(0, 0, 0, 0, 300), {}, ""),
    ],
    ids=[
        "half",
        "the slowest",
        "not noticed",
        "not three times",
        "ten times",
        "too few",
        "too few before",
        "nobody knows",
    ],
)
def test_a_version_that_is_much_slower_is_found(
    now: Mapping[str, Handled], before: Mapping[str, Handled], found: str
) -> None:
    judgement = judged(replace(CALM, candidate=now, before=before, earlier=evenly(now)))

    assert [found in reason for reason in judgement.because] == ([True] if found else [])


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ((), False),
        ((took(300, 0, 0, 0, 0), took(300, 0, 0, 0, 40)), False),
        ((took(100, 0, 0, 0, 0), took(200, 0, 0, 0, 20)), True),
        ((took(0, 0, 0, 0, 40), took(300, 0, 0, 0, 40)), False),
    ],
    ids=["the loop has just started", "one stand-still", "again and again", "a stand-still at the start"],
)
def test_what_was_slow_all_at_once_proves_nothing(looks: tuple[Mapping[str, Handled], ...], found: bool) -> None:
    seen = replace(CALM, candidate=took(400, 0, 0, 0, 40), before=took(2_000, 0, 0, 0, 0), earlier=looks)

    assert (judged(seen).outcome is Outcome.BAD) is found


def test_a_pod_that_takes_its_numbers_with_it_breaks_no_judgement() -> None:
    seen = replace(
        CALM, candidate=took(0, 0, 0, 0, 40), before=took(2_000, 0, 0, 0, 0), earlier=(took(70, 0, 0, 0, 30),)
    )

    assert judged(seen).outcome is Outcome.BAD


@pytest.mark.parametrize(
    ("balanced_before", "books", "bad"),
    [
        (True, Books(False, DURING), True),
        (True, Books(False, LIVE - 1), False),
        (False, Books(False, DURING), False),
        (None, Books(False, DURING), False),
        (True, Books(True, DURING), False),
        (True, None, False),
    ],
    ids=["since", "not since", "before too", "nobody knows how it was", "they balance", "nobody asks"],
)
def test_books_that_no_longer_balance_are_the_new_versions(
    balanced_before: bool | None, books: Books | None, bad: bool
) -> None:
    judgement = judged(replace(CALM, books=books), window=replace(WINDOW, balanced_before=balanced_before))

    assert (judgement.outcome is Outcome.BAD) is bad


def test_a_version_is_good_when_its_window_is_over_and_everything_is_known() -> None:
    silent = replace(LOOKED, before=None, silence=("no numbers",))

    assert judged(CALM, now=LIVE + 119) == Judgement(Outcome.WATCHING)
    assert judged(CALM, now=AFTER) == Judgement(
        Outcome.WATCHING, ("the bookkeeper has not looked since the window ended",)
    )
    assert judged(replace(CALM, books=None), now=AFTER).outcome is Outcome.GOOD
    assert judged(LOOKED, now=AFTER) == Judgement(Outcome.GOOD, ("400 attempts, and nothing worse than before",))
    assert judged(silent, now=AFTER) == Judgement(Outcome.WATCHING, ("no numbers",))
    assert judged(silent, now=LIVE + WINDOWS_TO_WAIT * 120).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("known", ["candidate", "before", "troubled"])
def test_failures_are_compared_only_with_everything_that_it_takes(known: str) -> None:
    failing = replace(CALM, candidate=handled(400, 80))

    assert judged(failing).outcome is Outcome.BAD
    unknown = replace(failing, silence=("x",), **{known: None})  # type: ignore[arg-type]
    assert judged(unknown).outcome is Outcome.WATCHING


def test_the_chance_is_that_of_fishers_exact_test() -> None:
    assert fisher(3, 4, 1, 4) == pytest.approx(17 / 70)  # the lady who tastes tea
    for total, before in product((1, 4, 9), repeat=2):
        for bad, bad_before in product(range(total + 1), range(before + 1)):
            all_bad, everything = bad + bad_before, total + before
            if bad * everything > all_bad * total:
                exact = sum(
                    Fraction(comb(total, n) * comb(before, all_bad - n), comb(everything, all_bad))
                    for n in range(bad, min(total, all_bad) + 1)
                )
                assert fisher(bad, total, bad_before, before) == pytest.approx(float(exact))


def test_the_chance_can_be_worked_out_of_a_years_attempts() -> None:
    assert fisher(300_000, 1_000_000, 1_000_000, 100_000_000) < ALPHA
    assert fisher(10_000, 1_000_000, 1_000_000, 100_000_000) == 1.0
