"""What the business counts is read off decisions, and adds up to the books whatever happens in whatever order."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.activity import Event, Happened, activity
from app.domain.bets import ApplyResult, accept_bet, apply_result, cash_out, delay_bet, hold_stake, release_stake
from app.domain.deposits import (
    EndDeposit,
    TakeBack,
    credit_deposit,
    decline_deposit,
    fail_deposit,
    reserve_deposit,
    take_back_deposit,
)
from app.domain.odds import Price
from app.domain.payments import EventStatus
from app.domain.player import Decision, Player
from app.domain.policy import Policy
from app.domain.refusals import Refusal, Refused
from app.domain.wallet import Account
from app.domain.withdrawals import (
    EndWithdrawal,
    hold_withdrawal,
    pay_withdrawal,
    return_withdrawal,
    send_back_withdrawal,
)
from tests.strategies import START, hold, outcome, place, player, reserve, rich

POLICY = Policy()
NO = Refused(reason=Refusal.MARKET_SUSPENDED, message="suspended")
END_DEPOSIT = EndDeposit(deposit_id="d-1", now=START)
END_WITHDRAWAL = EndWithdrawal(withdrawal_id="x-1", now=START)
RESULTS = ("won", "lost", "halfLost")

Step = Callable[[Player], Decision]  # type: ignore[type-arg]


def result(how: str, version: int) -> ApplyResult:
    return ApplyResult(market_id="m-1", version=version, outcomes={"home": outcome(how)}, bet_ids=["b-1"], now=START)


def placing(document: Player) -> Decision:  # type: ignore[type-arg]
    return hold_stake(document, place(), START, POLICY)


def accepting(document: Player) -> Decision:  # type: ignore[type-arg]
    return accept_bet(document, "b-1", {"m-1": Price.of("2.50")})


def cashing_out(document: Player) -> Decision:  # type: ignore[type-arg]
    return cash_out(document, "b-1", {"m-1": Price.of("2.00")}, None, START, POLICY)


DEPOSIT: list[Step] = [lambda document: reserve_deposit(document, reserve(), POLICY)]
WITHDRAWAL: list[Step] = [lambda document: hold_withdrawal(document, hold(), POLICY)]
BET: list[Step] = [placing, accepting]


@pytest.mark.parametrize(
    ("begin", "steps", "happened"),
    [
        (player(), DEPOSIT, []),
        (
            player(),
            [*DEPOSIT, lambda d: credit_deposit(d, END_DEPOSIT)],
            [Happened(Event.DEPOSIT_CREDITED, 100, "EUR")],
        ),
        (
            player(),
            [*DEPOSIT, lambda d: decline_deposit(d, END_DEPOSIT)],
            [Happened(Event.DEPOSIT_DECLINED, 100, "EUR")],
        ),
        (player(), [*DEPOSIT, lambda d: fail_deposit(d, END_DEPOSIT)], [Happened(Event.DEPOSIT_FAILED, 100, "EUR")]),
        (rich(), WITHDRAWAL, [Happened(Event.WITHDRAWAL_HELD, 100, "EUR")]),
        (
            rich(),
            [*WITHDRAWAL, lambda d: pay_withdrawal(d, END_WITHDRAWAL)],
            [Happened(Event.WITHDRAWAL_PAID, 100, "EUR")],
        ),
        (
            rich(),
            [*WITHDRAWAL, lambda d: return_withdrawal(d, END_WITHDRAWAL)],
            [Happened(Event.WITHDRAWAL_RETURNED, 100, "EUR")],
        ),
        (
            rich(),
            [
                *WITHDRAWAL,
                lambda d: pay_withdrawal(d, END_WITHDRAWAL),
                lambda d: send_back_withdrawal(d, END_WITHDRAWAL),
            ],
            [Happened(Event.PAYOUT_SENT_BACK, 100, "EUR")],
        ),
        (
            rich(),
            [*WITHDRAWAL, lambda d: send_back_withdrawal(d, END_WITHDRAWAL)],
            [Happened(Event.WITHDRAWAL_PAID, 100, "EUR"), Happened(Event.PAYOUT_SENT_BACK, 100, "EUR")],
        ),
        (
            rich(),
            [*WITHDRAWAL, lambda d: return_withdrawal(d, END_WITHDRAWAL), lambda d: pay_withdrawal(d, END_WITHDRAWAL)],
            [Happened(Event.WITHDRAWAL_PAID, 100, "EUR")],
        ),
        (rich(), [placing], []),
        (rich(), BET, [Happened(Event.BET_ACCEPTED, 1_000, "EUR")]),
        (rich(), [placing, lambda d: delay_bet(d, "b-1")], []),
        (
            rich(),
            [placing, lambda d: release_stake(d, "b-1", NO, START)],
            [Happened(Event.BET_REFUSED, 0, "EUR", Refusal.MARKET_SUSPENDED)],
        ),
        (rich(), [*BET, cashing_out], [Happened(Event.BET_CASHED_OUT, 1_187, "EUR")]),
        (rich(), [*BET, lambda d: apply_result(d, result("won", 1))], [Happened(Event.BET_WON, 2_500, "EUR")]),
        (rich(), [*BET, lambda d: apply_result(d, result("lost", 1))], [Happened(Event.BET_LOST, 0, "EUR")]),
        (
            rich(),
            [*BET, lambda d: apply_result(d, result("won", 1)), lambda d: apply_result(d, result("halfLost", 2))],
            [Happened(Event.BET_CORRECTED, -2_000, "EUR")],
        ),
    ],
)
def test_the_last_step_is_what_happened_and_happens_once(
    begin: Player, steps: list[Step], happened: list[Happened]
) -> None:
    before = begin
    for step in steps[:-1]:
        before = step(before).player
    after = steps[-1](before).player

    assert activity(before, after) == happened
    assert activity(after, steps[-1](after).player) == []


STEPS: dict[str, Step] = {
    "place": placing,
    "accept": accepting,
    "delay": lambda document: delay_bet(document, "b-1"),
    "release": lambda document: release_stake(document, "b-1", NO, START),
    "cash out": cashing_out,
}


@given(st.lists(st.sampled_from([*STEPS, *RESULTS]), max_size=12))
def test_what_is_counted_of_bets_adds_up_to_what_the_house_and_open_bets_hold(steps: list[str]) -> None:
    document = placing(rich()).player
    staked = returned = 0
    for version, step in enumerate(steps, start=1):
        decide = STEPS.get(step) or (lambda d, how=step, version=version: apply_result(d, result(how, version)))  # type: ignore[misc]
        after = decide(document).player
        for one in activity(document, after):
            if one.event is Event.BET_ACCEPTED:
                staked += one.amount
            else:
                returned += one.amount
        document = after

    wallet, bet = document.wallets["w-1"], document.bets["b-1"]
    undecided = bet.total_stake if bet.status.can_be_released else 0
    assert wallet.on(Account.HOUSE) + wallet.on(Account.LOCKED) - undecided == staked - returned


def test_a_refund_of_what_was_charged_back_moves_nothing_and_counts_nothing() -> None:
    reserved = reserve_deposit(player(), reserve(), POLICY).player
    credited = credit_deposit(reserved, END_DEPOSIT).player
    back = take_back_deposit(credited, TakeBack(deposit_id="d-1", status=EventStatus.CHARGEBACK, now=START)).player

    refunded = take_back_deposit(back, TakeBack(deposit_id="d-1", status=EventStatus.REFUNDED, now=START)).player

    assert refunded.wallets == back.wallets
    assert activity(back, refunded) == []
