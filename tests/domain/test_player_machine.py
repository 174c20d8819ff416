"""The whole player against a model of the provider: any order of requests, repeats, late and lost answers."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain.activity import Event, activity
from app.domain.deposits import (
    EndDeposit,
    TakeBack,
    credit_deposit,
    decline_deposit,
    fail_deposit,
    reserve_deposit,
    take_back_deposit,
)
from app.domain.payments import CHARGE_EVENTS
from app.domain.player import Decision, Player
from app.domain.policy import Policy
from app.domain.protection import (
    SetLimit,
    WhichLimit,
    confirm_limit,
    limit_of,
    refuse_restricted,
    self_exclude,
    set_limit,
    take_break,
)
from app.domain.refusals import Refused
from app.domain.responsible_gambling import LimitKind, Period
from app.domain.statement import audit, without_full_pages
from app.domain.wallet import Account, Entry, Kind
from app.domain.withdrawals import (
    EndWithdrawal,
    hold_withdrawal,
    pay_withdrawal,
    return_withdrawal,
    send_back_withdrawal,
)
from tests.strategies import START, amounts, hold, player, reserve, wallet_ids

POLICY = Policy()
WEEK = WhichLimit(kind=LimitKind.DEPOSIT, period=Period.WEEK)
ids = st.integers(0, 8).map(str)


class PlayerMachine(RuleBasedStateMachine):
    """What the provider moved is the model; the player's book must agree with it at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.player: Player = player()
        self.now: datetime = START
        self.charged: dict[str, int] = {}
        self.paid: dict[str, int] = {}
        self.sent_back: dict[str, int] = {}
        self.made_late: list[Entry] = []
        self.told: dict[str, set[tuple[str, str | None]]] = {}
        self.counted: Counter[Event] = Counter()

    def take(self, decision: Decision[Any]) -> bool:
        """Go on with a decision; a refusal must have changed nothing."""
        if isinstance(decision.outcome, Refused):
            assert decision.player is self.player
            assert decision.messages == ()
            return False
        self.made_late += [
            entry
            for entry in decision.player.entries[len(self.player.entries) :]
            if entry.kind is Kind.WITHDRAWAL_PAID_LATE
        ]
        for one in activity(self.player, decision.player):
            self.counted[one.event] += one.amount
        self.player = without_full_pages(Player.model_validate_json(decision.player.model_dump_json()))
        return True

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(name=ids, amount=amounts, wallet=wallet_ids)
    def a_deposit_is_asked_for(self, name: str, amount: int, wallet: str) -> None:
        known = name in self.player.deposits
        blocked = refuse_restricted(self.player, self.now)
        accepted = self.take(reserve_deposit(self.player, reserve(name, amount, self.now, wallet_id=wallet), POLICY))
        if accepted and not known:
            assert blocked is None

    @precondition(lambda self: self.player.deposits)
    @rule(data=st.data(), ending=st.sampled_from([credit_deposit, decline_deposit, fail_deposit]))
    def the_provider_tells_of_a_deposit(self, data, ending) -> None:  # type: ignore[no-untyped-def]
        name = data.draw(st.sampled_from(sorted(self.player.deposits)))
        deposit = self.player.deposits[name]
        cash_before = self.cash
        self.take(ending(self.player, EndDeposit(deposit_id=name, now=self.now)))
        if ending is credit_deposit:
            self.charged[name] = deposit.amount
        else:
            assert self.cash == cash_before

    @property
    def cash(self) -> int:
        return sum(wallet.cash for wallet in self.player.wallets.values())

    @precondition(lambda self: self.player.deposits)
    @rule(data=st.data(), status=st.sampled_from(sorted(CHARGE_EVENTS)), event_id=st.sampled_from([None, "e-1", "e-2"]))
    def the_provider_tells_of_money_that_went_back(self, data, status, event_id) -> None:  # type: ignore[no-untyped-def]
        name = data.draw(st.sampled_from(sorted(self.player.deposits)))
        told = TakeBack(deposit_id=name, status=status, event_id=event_id, now=self.now)
        self.take(take_back_deposit(self.player, told))
        self.told.setdefault(name, set()).add((status, event_id))

    def gone(self, name: str) -> int:
        """What the provider has given back of a charge, by all that it told of it."""
        told = Counter(status for status, _ in self.told.get(name, set()))
        is_gone = told["refunded"] > 0 or told["chargeback"] > told["chargebackReversed"]
        return self.charged.get(name, 0) if is_gone else 0

    @rule(name=ids, amount=amounts, wallet=wallet_ids)
    def a_withdrawal_is_asked_for(self, name: str, amount: int, wallet: str) -> None:
        self.take(hold_withdrawal(self.player, hold(name, amount, self.now, wallet_id=wallet), POLICY))

    @precondition(lambda self: self.player.withdrawals)
    @rule(data=st.data(), ending=st.sampled_from([pay_withdrawal, return_withdrawal, send_back_withdrawal]))
    def a_withdrawal_ends(self, data, ending) -> None:  # type: ignore[no-untyped-def]
        name = data.draw(st.sampled_from(sorted(self.player.withdrawals)))
        withdrawal = self.player.withdrawals[name]
        self.take(ending(self.player, EndWithdrawal(withdrawal_id=name, now=self.now)))
        if ending in (pay_withdrawal, send_back_withdrawal):
            self.paid[name] = withdrawal.amount
        if ending is send_back_withdrawal:
            self.sent_back[name] = withdrawal.amount

    @rule(amount=st.one_of(st.none(), st.integers(0, 30_000)))
    def a_limit_is_set(self, amount: int | None) -> None:
        before = limit_of(self.player, WEEK, POLICY).amount
        self.take(set_limit(self.player, SetLimit(kind=WEEK.kind, period=WEEK.period, amount=amount), self.now, POLICY))
        after = limit_of(self.player, WEEK, POLICY).amount
        if amount is not None and (before is None or amount < before):
            assert after == amount
        else:
            assert after == before

    @rule()
    def a_limit_is_confirmed(self) -> None:
        self.take(confirm_limit(self.player, WEEK, self.now, POLICY))

    @rule(days=st.integers(1, 3))
    def a_break_is_taken(self, days: int) -> None:
        self.take(take_break(self.player, days, self.now))

    @precondition(lambda self: len(self.player.entries) > 20)
    @rule()
    def the_player_self_excludes(self) -> None:
        self.take(self_exclude(self.player, 6, self.now))

    @invariant()
    def the_books_are_balanced(self) -> None:
        assert audit(self.player).balanced

    @invariant()
    def the_books_say_what_the_provider_moved(self) -> None:
        provider = sum(wallet.on(Account.PROVIDER) for wallet in self.player.wallets.values())
        gone = sum(self.gone(name) for name in self.charged)
        paid = sum(self.paid.values()) - sum(self.sent_back.values())
        assert -provider == sum(self.charged.values()) - gone - paid

    @invariant()
    def what_was_counted_is_what_the_provider_moved(self) -> None:
        assert self.counted[Event.DEPOSIT_CREDITED] == sum(self.charged.values())
        taken = self.counted[Event.DEPOSIT_REFUNDED] + self.counted[Event.DEPOSIT_CHARGED_BACK]
        assert taken - self.counted[Event.CHARGEBACK_REVERSED] == sum(self.gone(name) for name in self.charged)
        assert self.counted[Event.WITHDRAWAL_PAID] == sum(self.paid.values())
        assert self.counted[Event.PAYOUT_SENT_BACK] == sum(self.sent_back.values())

    @invariant()
    def nothing_is_below_zero_but_for_a_payout_that_was_made_after_all(self) -> None:
        made_late = sum(-entry.postings[Account.CASH] for entry in self.made_late)
        for wallet in self.player.wallets.values():
            assert min(wallet.balance.pending_out, wallet.balance.locked) >= 0
        assert self.cash + made_late >= -sum(self.gone(name) for name in self.charged)

    @invariant()
    def what_is_held_is_under_way(self) -> None:
        held = sum(one.amount for one in self.player.withdrawals.values() if one.status == "held")
        assert held == sum(wallet.on(Account.PENDING_OUT) for wallet in self.player.wallets.values())


TestPlayer = PlayerMachine.TestCase
TestPlayer.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
