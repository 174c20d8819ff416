"""Business events for the metrics: what a decision did, found by comparing two versions of a player's document.

Every movement of money changes the document, so the counted amounts agree with the ledger:

- credited - taken back + regained - paid + sent back = the net amount received from the provider
- accepted stakes - returned = what the house and the open bets hold
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from app.domain.player import Bet, BetStatus, Deposit, DepositStatus, Player, TakenBack, Withdrawal, WithdrawalStatus
from app.domain.refusals import Refusal

T = TypeVar("T")
Payment = TypeVar("Payment", Deposit, Withdrawal)


class Event(StrEnum):
    """An event of a deposit, a withdrawal or a bet."""

    DEPOSIT_CREDITED = "depositCredited"
    DEPOSIT_DECLINED = "depositDeclined"
    DEPOSIT_FAILED = "depositFailed"
    DEPOSIT_CANCELLED = "depositCancelled"
    DEPOSIT_REFUNDED = "depositRefunded"
    DEPOSIT_CHARGED_BACK = "depositChargedBack"
    CHARGEBACK_REVERSED = "chargebackReversed"
    WITHDRAWAL_HELD = "withdrawalHeld"
    WITHDRAWAL_PAID = "withdrawalPaid"
    WITHDRAWAL_RETURNED = "withdrawalReturned"
    PAYOUT_SENT_BACK = "payoutSentBack"
    BET_ACCEPTED = "betAccepted"
    BET_REFUSED = "betRefused"
    BET_CASHED_OUT = "betCashedOut"
    BET_WON = "betWon"
    BET_LOST = "betLost"
    BET_CORRECTED = "betCorrected"


@dataclass(frozen=True)
class Happened:
    """An event and the amount that it moved, in minor units; negative if a correction took money back."""

    event: Event
    amount: int
    currency: str
    reason: Refusal | None = None


_DEPOSITS = {
    DepositStatus.CREDITED: Event.DEPOSIT_CREDITED,
    DepositStatus.DECLINED: Event.DEPOSIT_DECLINED,
    DepositStatus.FAILED: Event.DEPOSIT_FAILED,
    DepositStatus.CANCELLED: Event.DEPOSIT_CANCELLED,
}
assert _DEPOSITS.keys() == set(DepositStatus) - {DepositStatus.RESERVED}
_TAKEN_BACK = {
    TakenBack.REFUNDED: Event.DEPOSIT_REFUNDED,
    TakenBack.CHARGED_BACK: Event.DEPOSIT_CHARGED_BACK,
    None: Event.CHARGEBACK_REVERSED,
}
assert _TAKEN_BACK.keys() == {*TakenBack, None}
_WITHDRAWALS = {
    WithdrawalStatus.HELD: Event.WITHDRAWAL_HELD,
    WithdrawalStatus.PAID: Event.WITHDRAWAL_PAID,
    WithdrawalStatus.RETURNED: Event.WITHDRAWAL_RETURNED,
}
assert _WITHDRAWALS.keys() == set(WithdrawalStatus) - {WithdrawalStatus.SENT_BACK}, "which is two events, perhaps"


def activity(before: Player, after: Player) -> list[Happened]:
    """List all events of a change."""
    if after is before:
        return []
    return [
        *_statuses(before.deposits, after.deposits, _DEPOSITS),
        *_taken_back(before.deposits, after.deposits),
        *_withdrawals(before.withdrawals, after.withdrawals),
        *_bets(before, after),
    ]


def _statuses(
    before: Mapping[str, Payment], after: Mapping[str, Payment], events: Mapping[Any, Event]
) -> Iterator[Happened]:
    for old, new in _changed(before, after):
        if new.status in events and (old is None or old.status != new.status):
            yield Happened(events[new.status], new.amount, new.currency)


def _withdrawals(before: Mapping[str, Withdrawal], after: Mapping[str, Withdrawal]) -> Iterator[Happened]:
    yield from _statuses(before, after, _WITHDRAWALS)
    sent_back = WithdrawalStatus.SENT_BACK
    for old, new in _changed(before, after):
        if new.status is sent_back and old is not None and old.status is not sent_back:
            if old.status is not WithdrawalStatus.PAID:  # sent back before we knew that it was paid
                yield Happened(Event.WITHDRAWAL_PAID, new.amount, new.currency)
            yield Happened(Event.PAYOUT_SENT_BACK, new.amount, new.currency)


def _taken_back(before: Mapping[str, Deposit], after: Mapping[str, Deposit]) -> Iterator[Happened]:
    for old, new in _changed(before, after):
        was = None if old is None else old.taken_back
        if (new.taken_back is None) != (was is None):  # a refund after a chargeback moves no money
            yield Happened(_TAKEN_BACK[new.taken_back], new.amount, new.currency)


def _bets(before: Player, after: Player) -> Iterator[Happened]:
    for old, new in _changed(before.bets, after.bets):
        currency = after.wallets[new.wallet_id].currency
        was = BetStatus.PENDING if old is None else old.status
        if new.status is not was:
            yield from _ended(new, currency)
        elif old is not None and new.returned != old.returned:
            yield Happened(Event.BET_CORRECTED, new.returned - old.returned, currency)


def _ended(bet: Bet, currency: str) -> Iterator[Happened]:
    match bet.status:
        case BetStatus.PENDING | BetStatus.DELAYED:
            return
        case BetStatus.OPEN:
            yield Happened(Event.BET_ACCEPTED, bet.total_stake, currency)
        case BetStatus.REFUSED:
            assert bet.refused is not None
            yield Happened(Event.BET_REFUSED, 0, currency, bet.refused.reason)
        case BetStatus.CASHED_OUT:
            yield Happened(Event.BET_CASHED_OUT, bet.returned, currency)
        case BetStatus.SETTLED:
            yield Happened(Event.BET_WON if bet.returned else Event.BET_LOST, bet.returned, currency)


def _changed(before: Mapping[str, T], after: Mapping[str, T]) -> Iterator[tuple[T | None, T]]:
    """The pairs of old and new values that are not the same object: rules replace whatever they change."""
    for name, new in after.items():
        if new is not (old := before.get(name)):
            yield old, new
