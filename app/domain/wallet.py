"""The money book of one wallet: a closed double-entry book, all amounts in minor units of its currency.

Every movement is a set of postings that sum to zero, so the sum over a wallet's accounts is 0 at any time. What a
player can spend is the account `cash`; nothing here decides whether a movement is allowed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from pydantic import Field

from app.domain.model import Moment, State, Wire


class Account(StrEnum):
    """Where money of a wallet can be: three accounts of the player, three contra accounts."""

    CASH = "cash"
    LOCKED = "locked"
    PENDING_OUT = "pendingOut"
    PROVIDER = "provider"
    HOUSE = "house"
    ADJUSTMENT = "adjustment"


HELD = (Account.LOCKED, Account.PENDING_OUT)
"""What is set aside for something that ends: only what was put there leaves again. Cash alone can be a debt."""


class Kind(StrEnum):
    """What a statement calls a movement."""

    DEPOSIT = "deposit"
    DEPOSIT_REFUNDED = "depositRefunded"
    DEPOSIT_CHARGED_BACK = "depositChargedBack"
    CHARGEBACK_REVERSED = "chargebackReversed"
    WITHDRAWAL_HELD = "withdrawalHeld"
    WITHDRAWAL_PAID = "withdrawalPaid"
    WITHDRAWAL_RETURNED = "withdrawalReturned"
    WITHDRAWAL_PAID_LATE = "withdrawalPaidLate"
    """Paid out after all, after it had been given back."""
    PAYOUT_SENT_BACK = "payoutSentBack"
    """The customer's bank did not take it."""
    STAKE_HELD = "stakeHeld"
    STAKE_RETURNED = "stakeReturned"
    BET_SETTLED = "betSettled"
    BET_CASHED_OUT = "betCashedOut"
    BET_CORRECTED = "betCorrected"


Postings = Mapping[Account, int]


class Entry(State):
    """One movement in the book. `seq` counts a player's movements from 1."""

    seq: int
    at: Moment
    kind: Kind
    reference: str
    wallet_id: str
    postings: dict[Account, int]
    cash_after: int


class Balance(Wire):
    """What the player sees of a wallet."""

    cash: int
    locked: int
    pending_out: int


class Wallet(State):
    """A wallet's account balances. They change by `post` alone."""

    currency: str
    accounts: dict[Account, int] = Field(default_factory=dict)

    def on(self, account: Account) -> int:
        """The balance of one account."""
        return self.accounts.get(account, 0)

    @property
    def cash(self) -> int:
        """What can be spent; below zero the player is in debt."""
        return self.on(Account.CASH)

    @property
    def balance(self) -> Balance:
        """The player's own three accounts."""
        return Balance(cash=self.cash, locked=self.on(Account.LOCKED), pending_out=self.on(Account.PENDING_OUT))


def move(source: Account, target: Account, amount: int) -> Postings:
    """Postings that carry an amount from one account to another."""
    return {source: -amount, target: amount}


def post(wallet: Wallet, postings: Postings) -> Wallet:
    """Enter a movement. Postings that do not sum to zero, or take what is not held, are a bug of ours.

    A customer's mistake is refused before it comes to that.
    """
    assert sum(postings.values()) == 0, f"unbalanced postings: {postings}"
    after = wallet.model_copy(update={"accounts": total([wallet.accounts, postings])})
    for account in HELD:
        assert after.on(account) >= 0, f"more went out than was held: {account}, {postings}"
    return after


def total(books: Iterable[Postings]) -> dict[Account, int]:
    """The balance of every account after all these postings."""
    sums: Counter[Account] = Counter()
    for postings in books:
        sums.update(postings)
    return {account: sums[account] for account in Account if account in sums}
