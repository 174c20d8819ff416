from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.follow_up import (
    MAX_EARLY_EVENTS,
    FollowUp,
    Patience,
    Phase,
    Step,
    early_events,
    heard,
    is_open,
    may_be_forgotten,
    next_step,
    recalled,
    scheduled,
    watch_of,
    with_early,
)
from app.domain.payments import EventStatus, PaymentEvent, PaymentStatus
from app.domain.player import Deposit, DepositStatus
from tests.strategies import START

PATIENCE = Patience(pauses=(1, 5), window=timedelta(hours=20), deadline=timedelta(hours=72))
IN_WINDOW, AFTER_WINDOW, AFTER_DEADLINE = (START + timedelta(hours=hours) for hours in (19, 20, 72))


@pytest.mark.parametrize(
    ("status", "now", "step"),
    [
        (PaymentStatus.DONE, IN_WINDOW, Step.CREDIT),
        (PaymentStatus.DONE, AFTER_DEADLINE, Step.CREDIT),
        (PaymentStatus.DECLINED, IN_WINDOW, Step.DECLINE),
        (PaymentStatus.CONFLICT, IN_WINDOW, Step.DECLINE),
        (PaymentStatus.UNKNOWN, IN_WINDOW, Step.WAIT),
        (PaymentStatus.UNKNOWN, AFTER_WINDOW, Step.WAIT),
        (PaymentStatus.UNKNOWN, AFTER_DEADLINE, Step.FAIL),
        (PaymentStatus.ACTION_REQUIRED, AFTER_WINDOW, Step.WAIT),
        (PaymentStatus.ACTION_REQUIRED, AFTER_DEADLINE, Step.FAIL),
        (PaymentStatus.NEVER_SEEN, IN_WINDOW, Step.CHARGE_AGAIN),
        (PaymentStatus.NEVER_SEEN, AFTER_WINDOW, Step.FAIL),
    ],
)
def test_what_the_providers_word_means(status: PaymentStatus, now: object, step: Step) -> None:
    assert next_step(status, START, now, PATIENCE) is step  # type: ignore[arg-type]


@pytest.mark.parametrize(("tries", "seconds"), [(0, 1), (1, 5), (2, 5), (100, 5)])
def test_the_last_pause_repeats(tries: int, seconds: int) -> None:
    assert PATIENCE.pause(tries) == timedelta(seconds=seconds)


EVENT = PaymentEvent(
    reference="d-1", status=EventStatus.DONE, user_id="u-1", wallet_id="w-1", amount=100, currency="EUR"
)


def told(status: str, event_id: str | None = None) -> PaymentEvent:
    return EVENT.model_copy(update={"status": EventStatus(status), "event_id": event_id})


@pytest.mark.parametrize(
    ("phase", "redirect_url", "status", "step"),
    [
        (Phase.CHARGING, None, "done", Step.CREDIT),
        (Phase.LOOKING_UP, None, "done", Step.CREDIT),
        (Phase.ENDED, None, "done", Step.CREDIT),
        (Phase.CHARGING, None, "declined", Step.WAIT),
        (Phase.LOOKING_UP, None, "declined", Step.LOOK_UP),
        (Phase.LOOKING_UP, "http://bank", "declined", Step.DECLINE),
        (Phase.ENDED, "http://bank", "declined", Step.WAIT),
    ],
)
def test_a_declined_event_alone_never_ends_a_charge_that_we_know_nothing_of(
    phase: Phase, redirect_url: str | None, status: str, step: Step
) -> None:
    assert heard(FollowUp(phase=phase, redirect_url=redirect_url), EventStatus(status)) is step


@given(st.permutations([told("done"), told("declined"), told("refunded"), told("chargeback", "e-1")]))
def test_a_done_event_is_never_overwritten(events: list[PaymentEvent]) -> None:
    follow_up = FollowUp()
    for event in [*events, *events]:
        follow_up = with_early(follow_up, event)

    kept = early_events(follow_up)
    assert (kept[0], sorted(map(repr, kept))) == (told("done"), sorted(map(repr, events)))


def test_what_says_that_money_moved_is_kept_when_there_is_too_much() -> None:
    follow_up = FollowUp(early_event=told("done"))
    for number in range(2 * MAX_EARLY_EVENTS):
        follow_up = with_early(follow_up, told("declined", f"e-{number}"))

    follow_up = with_early(follow_up, told("chargeback"))

    kept = early_events(follow_up)
    assert len(kept) == MAX_EARLY_EVENTS
    assert told("done") in kept
    assert told("chargeback") in kept


def test_a_charge_that_is_not_wanted_is_not_made_again() -> None:
    assert next_step(PaymentStatus.NEVER_SEEN, START, IN_WINDOW, PATIENCE, may_charge=False) is Step.WAIT
    assert next_step(PaymentStatus.NEVER_SEEN, START, AFTER_WINDOW, PATIENCE, may_charge=False) is Step.FAIL


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 100)), min_size=1, max_size=20))
def test_asking_for_a_look_up_never_puts_off_the_one_that_is_due(asked: list[tuple[int, int]]) -> None:
    now, due = START, None
    follow_up = FollowUp()
    for passed, pause in asked:
        now += timedelta(seconds=passed)
        number = follow_up.look_up_number
        follow_up, delay = scheduled(follow_up, now, timedelta(seconds=pause))
        assert follow_up.look_up_number == number + 1
        assert follow_up.phase is Phase.LOOKING_UP
        if due is not None and due > now:
            assert now + delay <= due
        due = now + delay


@pytest.mark.parametrize(
    ("status", "released", "phase", "open_"),
    [
        ("reserved", False, Phase.CHARGING, True),
        ("reserved", False, Phase.LOOKING_UP, True),
        ("declined", True, Phase.LOOKING_UP, True),
        ("declined", True, Phase.ENDED, False),
        ("declined", False, Phase.ENDED, False),
        ("declined", False, Phase.CHARGING, False),
        ("credited", True, Phase.LOOKING_UP, False),
        ("cancelled", False, Phase.ENDED, False),
    ],
)
def test_a_charge_is_open_until_the_providers_last_word(status: str, released: bool, phase: Phase, open_: bool) -> None:
    deposit = Deposit(
        wallet_id="w",
        amount=1,
        currency="EUR",
        payment_method="threeDSecure",
        email="a@example.com",
        reserved_at=START,
        status=DepositStatus(status),
    )

    assert is_open(FollowUp(released=released, phase=phase), deposit) is open_


CREDITED = Deposit(
    wallet_id="w-1",
    amount=100,
    currency="EUR",
    payment_method="creditCard",
    email="a@example.com",
    reserved_at=START,
    status=DepositStatus.CREDITED,
)
LATER = START + timedelta(days=90)


@pytest.mark.parametrize(
    ("deposit", "follow_up", "before", "may"),
    [
        ({}, {}, LATER, True),
        ({}, {"phase": Phase.ENDED}, LATER, True),
        ({"status": DepositStatus.FAILED}, {}, LATER, True),
        ({}, {}, START, False),
        ({}, {"phase": Phase.LOOKING_UP}, LATER, False),
        ({"status": DepositStatus.RESERVED}, {}, LATER, False),
        ({"refund_due": True}, {"refunded": True}, LATER, False),
        (None, {}, LATER, False),
        ({}, {"reserved_at": None}, LATER, False),
    ],
)
def test_what_is_forgotten_has_ended_and_is_told_by_its_player(
    deposit: dict[str, object] | None, follow_up: dict[str, object], before: datetime, may: bool
) -> None:
    known = None if deposit is None else CREDITED.model_copy(update=deposit)
    kept = FollowUp(charge=watch_of("d-1", "u-1", CREDITED).charge, reserved_at=START)

    assert may_be_forgotten(kept.model_copy(update=follow_up), known, before) is may


@pytest.mark.parametrize("status", DepositStatus)
def test_only_what_is_built_again_after_the_end_may_have_waited_for_its_customer(status: DepositStatus) -> None:
    deposit = CREDITED.model_copy(update={"status": status})
    watch = watch_of("d-1", "u-1", deposit)

    again = recalled(FollowUp(), watch, deposit)
    known = recalled(FollowUp(charge=watch.charge), watch, deposit)

    assert again is not None
    assert again.may_have_waited is (status is not DepositStatus.RESERVED)
    assert known is not None
    assert not known.may_have_waited
    assert recalled(FollowUp(charge=watch.charge), watch_of("d-1", "u-2", deposit), deposit) is None
