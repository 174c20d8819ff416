import pytest

from app.domain.deposits import EndDeposit, credit_deposit, reserve_deposit
from app.domain.player import Player, Policy, Withdrawal
from app.domain.protection import self_exclude
from app.domain.refusals import Refusal, Refused
from app.domain.wallet import Account, Wallet, move, post
from app.domain.withdrawals import EndWithdrawal, hold_withdrawal, pay_withdrawal, return_withdrawal
from tests.strategies import START, hold, player, reserve

POLICY = Policy(review_threshold=1_000)


def rich(amount: int = 1_000) -> Player:
    reserved = reserve_deposit(player(), reserve(amount=amount), POLICY).player
    return credit_deposit(reserved, EndDeposit(deposit_id="d-1", now=START)).player


def end() -> EndWithdrawal:
    return EndWithdrawal(withdrawal_id="x-1", now=START, reason="a test")


@pytest.mark.parametrize(
    ("ending", "balance"),
    [
        (None, {"cash": 700, "locked": 0, "pendingOut": 300}),
        (pay_withdrawal, {"cash": 700, "locked": 0, "pendingOut": 0}),
        (return_withdrawal, {"cash": 1_000, "locked": 0, "pendingOut": 0}),
    ],
)
def test_held_money_leaves_the_cash_until_it_is_paid_or_given_back(ending, balance: dict[str, int]) -> None:  # type: ignore[no-untyped-def]
    document = hold_withdrawal(rich(), hold(amount=300), POLICY).player
    if ending is not None:
        document = ending(document, end()).player

    assert document.wallets["w-1"].balance.model_dump() == balance


@pytest.mark.parametrize("first", [pay_withdrawal, return_withdrawal])
@pytest.mark.parametrize("second", [pay_withdrawal, return_withdrawal])
def test_a_withdrawal_ends_once_and_the_customer_is_told_once(first, second) -> None:  # type: ignore[no-untyped-def]
    ended = first(hold_withdrawal(rich(), hold(), POLICY).player, end())
    again = second(ended.player, end())

    assert len(ended.messages) == 1
    assert again.player is ended.player
    assert again.messages == ()


def test_a_repeated_hold_changes_nothing() -> None:
    first = hold_withdrawal(rich(), hold(), POLICY)

    assert hold_withdrawal(first.player, hold(), POLICY) == type(first)(first.player, first.outcome)


@pytest.mark.parametrize(
    ("change", "reason", "metadata"),
    [
        ({"withdrawal_id": "x-2", "amount": 901}, Refusal.INSUFFICIENT_FUNDS, {"available": "900"}),
        ({"withdrawal_id": "x-2", "wallet_id": "w-9"}, Refusal.UNKNOWN_WALLET, {}),
        ({"amount": 101}, Refusal.ID_REUSED, {}),
        ({"destination": "elsewhere"}, Refusal.ID_REUSED, {}),
    ],
)
def test_a_refusal_gives_the_document_back_untouched(
    change: dict[str, object], reason: Refusal, metadata: dict[str, str]
) -> None:
    before = hold_withdrawal(rich(), hold(), POLICY).player

    decision = hold_withdrawal(before, hold(**change), POLICY)  # type: ignore[arg-type]

    assert isinstance(decision.outcome, Refused)
    assert (decision.outcome.reason, decision.outcome.metadata) == (reason, metadata)
    assert decision.player is before


def test_a_player_in_debt_cannot_withdraw_from_any_wallet() -> None:
    indebted = post(Wallet(currency="EUR"), move(Account.CASH, Account.HOUSE, 1))
    before = rich().changed(wallets={**rich().wallets, "w-2": indebted})

    outcome = hold_withdrawal(before, hold(), POLICY).outcome

    assert isinstance(outcome, Refused)
    assert outcome.reason is Refusal.IN_DEBT


def test_restricted_players_can_withdraw() -> None:
    excluded = self_exclude(rich(), 6, START).player

    assert isinstance(hold_withdrawal(excluded, hold(), POLICY).outcome, Withdrawal)


@pytest.mark.parametrize(("amount", "in_review"), [(999, False), (1_000, True)])
def test_the_review_begins_at_its_threshold(amount: int, in_review: bool) -> None:
    outcome = hold_withdrawal(rich(), hold(amount=amount), POLICY).outcome

    assert isinstance(outcome, Withdrawal)
    assert outcome.in_review is in_review
