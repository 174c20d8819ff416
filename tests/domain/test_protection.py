from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.player import Player
from app.domain.policy import Policy
from app.domain.protection import (
    SetLimit,
    WhichLimit,
    cancel_limit_change,
    confirm_limit,
    limit_of,
    refuse_restricted,
    reinstate_player,
    self_exclude,
    set_limit,
    take_break,
)
from app.domain.refusals import Refusal, Refused
from app.domain.responsible_gambling import (
    MAX_USES,
    LimitKind,
    LimitView,
    Period,
    Use,
    add_months,
    add_use,
    used,
)
from tests.strategies import START, player

POLICY = Policy()
WEEK = WhichLimit(kind=LimitKind.DEPOSIT, period=Period.WEEK)
COOLED = START + POLICY.raise_cooling_off
EXPIRED = COOLED + POLICY.raise_confirm


def ask(amount: int | None, before: Player | None = None, now: datetime = START) -> Player:
    request = SetLimit(kind=WEEK.kind, period=WEEK.period, amount=amount)
    decision = set_limit(before or player(), request, now, POLICY)
    assert isinstance(decision.outcome, LimitView)
    return decision.player


def in_force(document: Player) -> int | None:
    return limit_of(document, WEEK, POLICY).amount


def reason(outcome: object) -> Refusal:
    assert isinstance(outcome, Refused)
    return outcome.reason


@pytest.mark.parametrize(
    ("amounts", "force", "waits"),
    [
        ([5_000], 5_000, False),
        ([0], 0, False),
        ([20_000], 10_000, True),
        ([None], 10_000, True),
        ([5_000, 6_000], 5_000, True),
        ([20_000, 9_000], 9_000, False),
        ([20_000, 10_000], 10_000, False),
        ([20_000, None, 30_000], 10_000, True),
    ],
)
def test_a_cut_works_at_once_and_a_raise_waits(amounts: list[int | None], force: int, waits: bool) -> None:
    document = player()
    for amount in amounts:
        document = ask(amount, document)

    limit = limit_of(document, WEEK, POLICY)
    assert (limit.amount, limit.pending is not None) == (force, waits)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (COOLED - timedelta(milliseconds=1), Refusal.COOLING_OFF),
        (COOLED, 20_000),
        (EXPIRED - timedelta(milliseconds=1), 20_000),
        (EXPIRED, Refusal.CHANGE_EXPIRED),
    ],
)
def test_a_raise_is_confirmed_after_cooling_off_and_before_it_expires(now: datetime, expected: object) -> None:
    before = ask(20_000)

    decision = confirm_limit(before, WEEK, now, POLICY)

    if isinstance(expected, Refusal):
        assert reason(decision.outcome) is expected
        assert decision.player is before
    else:
        assert in_force(decision.player) == expected


def test_a_confirmed_removal_removes_the_default_too() -> None:
    assert in_force(confirm_limit(ask(None), WEEK, COOLED, POLICY).player) is None


def test_asking_again_for_the_same_raise_does_not_restart_its_wait() -> None:
    first = ask(20_000)

    assert ask(20_000, first, START + timedelta(hours=5)) is first


def test_a_cancelled_raise_is_gone() -> None:
    cancelled = cancel_limit_change(ask(20_000), WEEK, START, POLICY).player

    assert in_force(cancelled) == 10_000
    assert reason(confirm_limit(cancelled, WEEK, COOLED, POLICY).outcome) is Refusal.NO_PENDING_CHANGE
    assert reason(cancel_limit_change(cancelled, WEEK, START, POLICY).outcome) is Refusal.NO_PENDING_CHANGE


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        (("break", 5), ("break", 6), None),
        (("break", 5), ("break", 4), Refusal.IRREVOCABLE),
        (("break", 5), ("exclusion", 6), None),
        (("exclusion", 6), ("break", 42), Refusal.IRREVOCABLE),
        (("exclusion", 7), ("exclusion", 6), Refusal.IRREVOCABLE),
        (("exclusion", 6), ("exclusion", 12), None),
    ],
)
def test_a_restriction_is_never_shortened(first, second, refused) -> None:  # type: ignore[no-untyped-def]
    rules = {"break": take_break, "exclusion": self_exclude}
    document = rules[first[0]](player(), first[1], START).player

    decision = rules[second[0]](document, second[1], START)

    if refused is None:
        assert not isinstance(decision.outcome, Refused)
    else:
        assert reason(decision.outcome) is refused
        assert decision.player is document


def test_a_break_ends_by_itself() -> None:
    document = take_break(player(), 1, START).player

    assert refuse_restricted(document, START + timedelta(hours=23)) is not None
    assert refuse_restricted(document, START + timedelta(hours=24)) is None


def test_after_a_self_exclusion_only_a_reinstatement_a_day_old_lets_the_player_back() -> None:
    document = self_exclude(player(), 6, START).player
    end = datetime(2026, 7, 1, tzinfo=UTC)

    assert reason(reinstate_player(document, end - timedelta(seconds=1), POLICY).outcome) is Refusal.IRREVOCABLE
    assert refuse_restricted(document, end + timedelta(days=100)) is not None
    back = reinstate_player(document, end, POLICY).player
    assert refuse_restricted(back, end + timedelta(hours=23)) is not None
    assert reinstate_player(back, end + timedelta(hours=23), POLICY).player is back
    assert refuse_restricted(back, end + timedelta(hours=24)) is None


@pytest.mark.parametrize(
    ("moment", "months", "expected"),
    [
        (datetime(2026, 1, 31, tzinfo=UTC), 1, datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2027, 8, 31, tzinfo=UTC), 6, datetime(2028, 2, 29, tzinfo=UTC)),
        (datetime(2026, 6, 15, tzinfo=UTC), 6, datetime(2026, 12, 15, tzinfo=UTC)),
        (datetime(2026, 7, 15, tzinfo=UTC), 6, datetime(2027, 1, 15, tzinfo=UTC)),
        (datetime(2026, 12, 31, tzinfo=UTC), 12, datetime(2027, 12, 31, tzinfo=UTC)),
    ],
)
def test_months_are_calendar_months(moment: datetime, months: int, expected: datetime) -> None:
    assert add_months(moment, months) == expected


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_counting_old_movements_together_never_lets_more_through(random: Random, days: int) -> None:
    minutes = days * 24 * 60
    uses = [
        (START + timedelta(minutes=random.randrange(minutes)), random.randrange(-50, 100))
        for _ in range(MAX_USES + random.randrange(100))
    ]
    exact: list[Use] = []
    kept: list[Use] = []
    for at, amount in sorted(uses, key=lambda use: use[0]):
        use = Use(at=at, amount=amount)
        exact, kept = [*exact, use], add_use(kept, use, ())
    now = exact[-1].at + timedelta(minutes=random.randrange(minutes))

    assert len(kept) <= MAX_USES + 1
    for period in Period:
        assert used(kept, period, now) >= used(exact, period, now)


def test_what_may_still_be_released_is_never_merged() -> None:
    uses: list[Use] = []
    for number in range(3 * MAX_USES):
        uses = add_use(uses, Use(at=START + timedelta(seconds=number), amount=1, reference=str(number)), ["7"])

    assert [use.reference for use in uses if use.reference == "7"] == ["7"]
    assert sum(use.amount for use in uses) == 3 * MAX_USES
