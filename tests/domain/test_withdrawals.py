from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from app.domain.access import PROVIDER, Actor, Role
from app.domain.deposits import EndDeposit, credit_deposit, reserve_deposit
from app.domain.follow_up import Patience
from app.domain.payments import EventStatus, PaymentEvent, PaymentStatus
from app.domain.player import Decision, Player, Review, Verdict, Withdrawal
from app.domain.policy import Policy
from app.domain.protection import self_exclude
from app.domain.refusals import Refusal, Refused
from app.domain.statement import audit
from app.domain.wallet import Account, Kind, Wallet, move, post
from app.domain.withdrawals import (
    EndWithdrawal,
    PayoutStep,
    Search,
    about_this_payout,
    hold_withdrawal,
    next_payout_step,
    pay_withdrawal,
    public_status,
    return_withdrawal,
    send_back_withdrawal,
    step_of_event,
    told_of,
)
from tests.strategies import START, hold, player, reserve

Ending = Callable[[Player, EndWithdrawal], Decision[Withdrawal]]

POLICY = Policy(review_threshold=1_000)


def rich(amount: int = 1_000) -> Player:
    reserved = reserve_deposit(player(), reserve(amount=amount), POLICY).player
    return credit_deposit(reserved, EndDeposit(deposit_id="d-1", now=START)).player


def end() -> EndWithdrawal:
    return EndWithdrawal(withdrawal_id="x-1", now=START, message="a test")


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


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pay_withdrawal, pay_withdrawal),
        (pay_withdrawal, return_withdrawal),
        (return_withdrawal, return_withdrawal),
        (send_back_withdrawal, pay_withdrawal),
        (send_back_withdrawal, return_withdrawal),
        (send_back_withdrawal, send_back_withdrawal),
    ],
)
def test_a_withdrawal_ends_once_and_the_customer_is_told_once(first: Ending, second: Ending) -> None:
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


def held(amount: int = 100) -> Player:
    return hold_withdrawal(rich(), hold(amount=amount), POLICY).player


def test_a_payout_that_was_given_back_and_is_paid_after_all_leaves_the_wallet_once_more_even_into_debt() -> None:
    given_back = return_withdrawal(held(), end()).player
    spent = hold_withdrawal(given_back, hold("x-2", amount=1_000), POLICY).player

    late = pay_withdrawal(spent, end())
    again = pay_withdrawal(late.player, end())

    wallet = late.player.wallets["w-1"]
    assert (wallet.cash, wallet.on(Account.PROVIDER)) == (-100, -1_000 + 100)
    assert late.player.entries[-1].kind == "withdrawalPaidLate"
    assert [message.subject for message in late.messages] == ["Your withdrawal was paid after all"]
    assert (again.player, again.messages) == (late.player, ())
    assert audit(late.player).balanced


@pytest.mark.parametrize(
    "order",
    [
        *permutations([pay_withdrawal, send_back_withdrawal]),
        *permutations([pay_withdrawal, send_back_withdrawal, return_withdrawal]),
        [send_back_withdrawal],
        [pay_withdrawal, send_back_withdrawal, send_back_withdrawal, pay_withdrawal],
    ],
)
def test_what_is_sent_back_is_in_the_wallet_again_in_whatever_order_it_is_told(order: list[Ending]) -> None:
    document = held()
    for ending in order:
        document = ending(document, end()).player

    wallet = document.wallets["w-1"]
    assert wallet.accounts == {Account.CASH: 1_000, Account.PENDING_OUT: 0, Account.PROVIDER: -1_000}
    assert public_status(document.withdrawals["x-1"], None) == "sentBack"
    assert [entry.kind for entry in document.entries].count(Kind.PAYOUT_SENT_BACK) == 1
    assert audit(document).balanced


def test_more_than_was_held_never_leaves() -> None:
    document = held()
    wallet = post(document.wallets["w-1"], move(Account.PENDING_OUT, Account.HOUSE, 50))

    with pytest.raises(AssertionError, match="more went out than was held"):
        pay_withdrawal(document.changed(wallets={"w-1": wallet}), end())


PATIENCE = Patience(pauses=(10, 60, 600))
WINDOW_END = START + timedelta(hours=20)
BEFORE, AFTER = WINDOW_END - timedelta(seconds=1), WINDOW_END + timedelta(hours=1)


@pytest.mark.parametrize(
    ("status", "now", "never_seen_at", "step", "then_never_seen_at"),
    [
        (PaymentStatus.DONE, AFTER, None, PayoutStep.PAY, None),
        (PaymentStatus.DONE, AFTER, BEFORE, PayoutStep.PAY, BEFORE),
        (PaymentStatus.DECLINED, BEFORE, None, PayoutStep.GIVE_BACK, None),
        (PaymentStatus.CONFLICT, BEFORE, None, PayoutStep.GIVE_BACK, None),
        (PaymentStatus.UNKNOWN, BEFORE, None, PayoutStep.WAIT, None),
        (PaymentStatus.UNKNOWN, AFTER, WINDOW_END, PayoutStep.WAIT, WINDOW_END),
        (PaymentStatus.ACTION_REQUIRED, AFTER, WINDOW_END, PayoutStep.WAIT, None),
        (PaymentStatus.NEVER_SEEN, BEFORE, None, PayoutStep.PAY_AGAIN, None),
        (PaymentStatus.NEVER_SEEN, WINDOW_END, None, PayoutStep.WAIT, WINDOW_END),
        (PaymentStatus.NEVER_SEEN, AFTER, None, PayoutStep.WAIT, AFTER),
        (
            PaymentStatus.NEVER_SEEN,
            AFTER,
            AFTER - timedelta(seconds=299),
            PayoutStep.WAIT,
            AFTER - timedelta(seconds=299),
        ),
        (
            PaymentStatus.NEVER_SEEN,
            AFTER,
            AFTER - timedelta(minutes=5),
            PayoutStep.GIVE_BACK,
            AFTER - timedelta(minutes=5),
        ),
    ],
)
def test_never_seen_counts_after_the_window_and_only_when_said_twice_some_minutes_apart(
    status: PaymentStatus,
    now: datetime,
    never_seen_at: datetime | None,
    step: PayoutStep,
    then_never_seen_at: datetime | None,
) -> None:
    search = Search(window_end=WINDOW_END, never_seen_at=never_seen_at)

    then, decided = next_payout_step(search, status, now, PATIENCE)

    assert (decided, then.never_seen_at) == (step, then_never_seen_at)


def test_every_status_of_a_payout_means_something() -> None:
    steps = {next_payout_step(Search(window_end=WINDOW_END), status, AFTER, PATIENCE)[1] for status in PaymentStatus}

    assert steps == {PayoutStep.PAY, PayoutStep.GIVE_BACK, PayoutStep.WAIT}


@pytest.mark.parametrize("seconds", [0.5, 60, 3600])
def test_with_short_pauses_twice_is_a_pause_apart(seconds: float) -> None:
    patience = Patience(pauses=(seconds,))
    search = Search(window_end=START, never_seen_at=START)
    apart = min(300, seconds)

    def step(after: float) -> PayoutStep:
        return next_payout_step(search, PaymentStatus.NEVER_SEEN, START + timedelta(seconds=after), patience)[1]

    assert (step(apart - 0.1), step(apart)) == (PayoutStep.WAIT, PayoutStep.GIVE_BACK)


def event(status: EventStatus, **fields: object) -> PaymentEvent:
    content: dict[str, object] = {"user_id": "u-1", "wallet_id": "w-1", "amount": 100, "currency": "EUR"}
    return PaymentEvent.model_validate({"reference": "x-1", "status": status, **content, **fields})


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (EventStatus.PAID, PayoutStep.PAY),
        (EventStatus.DONE, PayoutStep.PAY),
        (EventStatus.SENT_BACK, PayoutStep.SEND_BACK),
        (EventStatus.REFUSED, PayoutStep.WAIT),
        (EventStatus.DECLINED, PayoutStep.WAIT),
    ],
)
def test_an_event_alone_never_gives_the_money_of_a_payout_back(status: EventStatus, step: PayoutStep) -> None:
    assert step_of_event(event(status)) is step


@pytest.mark.parametrize("fields", [{"amount": 99}, {"amount": 101}, {"wallet_id": "w-2"}, {"currency": "USD"}])
def test_an_event_of_other_content_is_about_another_payout(fields: dict[str, object]) -> None:
    withdrawal = held().withdrawals["x-1"]

    assert about_this_payout(withdrawal, event(EventStatus.PAID))
    assert not about_this_payout(withdrawal, event(EventStatus.PAID, **fields))


REJECTED = Review(verdict=Verdict.REJECTED, operator="ann", reason="a fraud suspicion", message="please call us")


@pytest.mark.parametrize(
    ("review", "told"),
    [
        (REJECTED, "please call us"),
        (REJECTED.model_copy(update={"message": None}), "we could not approve it"),
        (Review(verdict=Verdict.TIMED_OUT, reason="it was not reviewed in time"), "it was not reviewed in time"),
        (Review(verdict=Verdict.ABANDONED, reason="nobody knows"), "it could not be carried out"),
    ],
)
def test_the_reason_of_a_rejection_is_kept_for_the_file_and_never_told(review: Review, told: str) -> None:
    ending = end().model_copy(update={"message": told_of(review), "review": review})

    decision = return_withdrawal(held(), ending)

    assert f"({told})" in decision.messages[0].text
    assert "fraud" not in decision.messages[0].model_dump_json()
    assert decision.player.withdrawals["x-1"].review == review


def test_the_review_of_a_payout_that_an_event_ended_is_noted_afterwards_and_moves_nothing() -> None:
    paid = pay_withdrawal(held(), end()).player
    approved = Review(verdict=Verdict.APPROVED, operator="ann")

    noted = pay_withdrawal(paid, end().model_copy(update={"review": approved}))

    assert noted.player.withdrawals["x-1"].review == approved
    assert (noted.player.wallets, noted.player.entries, noted.messages) == (paid.wallets, paid.entries, ())


@pytest.mark.parametrize(
    ("status", "in_review", "verdict", "public"),
    [
        ("held", True, None, "inReview"),
        ("held", False, None, "held"),
        ("held", True, Verdict.APPROVED, "payingOut"),
        ("held", False, Verdict.NOT_NEEDED, "payingOut"),
        ("held", True, Verdict.REJECTED, "inReview"),
        ("paid", True, Verdict.APPROVED, "paid"),
        ("returned", True, Verdict.REJECTED, "rejected"),
        ("returned", True, Verdict.TIMED_OUT, "timedOut"),
        ("returned", True, Verdict.ABANDONED, "failed"),
        ("returned", True, Verdict.APPROVED, "failed"),
        ("returned", False, None, "failed"),
        ("sentBack", False, Verdict.NOT_NEEDED, "sentBack"),
    ],
)
def test_a_status_is_what_the_book_and_the_review_say(
    status: str, in_review: bool, verdict: Verdict | None, public: str
) -> None:
    withdrawal = held().withdrawals["x-1"].model_copy(update={"status": status, "in_review": in_review})

    assert public_status(withdrawal, None if verdict is None else Review(verdict=verdict)) == public


PIA = Actor(user="pia", role=Role.PAYMENTS)


def reviewed(verdict: Verdict) -> Review:
    return Review(verdict=verdict, operator=PIA.user, role=PIA.role)


@pytest.mark.parametrize(
    ("endings", "review", "by"),
    [
        ([pay_withdrawal], reviewed(Verdict.APPROVED), [PIA]),
        ([return_withdrawal], reviewed(Verdict.REJECTED), [PIA]),
        ([pay_withdrawal], Review(verdict=Verdict.NOT_NEEDED), [None]),
        ([return_withdrawal], Review(verdict=Verdict.TIMED_OUT), [None]),
        # The provider declined what an operator, or no operator, had let through.
        ([return_withdrawal], reviewed(Verdict.APPROVED), [PROVIDER]),
        ([return_withdrawal], Review(verdict=Verdict.NOT_NEEDED), [PROVIDER]),
        ([send_back_withdrawal], reviewed(Verdict.APPROVED), [PIA, PROVIDER]),
        ([return_withdrawal, pay_withdrawal], reviewed(Verdict.REJECTED), [PIA, PROVIDER]),
        ([pay_withdrawal], Review(verdict=Verdict.APPROVED, operator="stored before roles were"), [None]),
    ],
)
def test_the_end_of_a_withdrawal_is_by_whoever_decided_it(
    endings: list[Ending], review: Review, by: list[Actor | None]
) -> None:
    document = hold_withdrawal(rich(), hold(), POLICY).player
    for ending in endings:
        document = ending(document, end().model_copy(update={"review": review})).player

    assert [entry.by for entry in document.entries[2:]] == by
