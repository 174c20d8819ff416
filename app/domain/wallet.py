"""The ledger of one wallet: a closed double-entry book. All amounts are in minor units of the wallet's currency.

Every movement is a set of postings that sum to zero, so the accounts of a wallet always sum to zero. The player can
spend the balance of the account `cash`. This module does not decide whether a movement is allowed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from pydantic import Field

from app.domain.access import Actor
from app.domain.model import Moment, State, Wire, is_none


class Account(StrEnum):
    """The accounts of a wallet: three of the player, and three contra accounts."""

    CASH = "cash"
    LOCKED = "locked"
    PENDING_OUT = "pendingOut"
    PROVIDER = "provider"
    HOUSE = "house"
    ADJUSTMENT = "adjustment"


HELD = (Account.LOCKED, Account.PENDING_OUT)
"""The accounts that hold money for open bets and withdrawals. They never go below zero; `cash` can, which is a debt."""


class Kind(StrEnum):
    """The kind of a movement, as the statement shows it."""

    DEPOSIT = "deposit"
    DEPOSIT_REFUNDED = "depositRefunded"
    DEPOSIT_CHARGED_BACK = "depositChargedBack"
    CHARGEBACK_REVERSED = "chargebackReversed"
    WITHDRAWAL_HELD = "withdrawalHeld"
    WITHDRAWAL_PAID = "withdrawalPaid"
    WITHDRAWAL_RETURNED = "withdrawalReturned"
    WITHDRAWAL_PAID_LATE = "withdrawalPaidLate"
    """The payout was made after the money had been returned to the player."""
    PAYOUT_SENT_BACK = "payoutSentBack"
    """The customer's bank sent the payout back."""
    STAKE_HELD = "stakeHeld"
    STAKE_RETURNED = "stakeReturned"
    BET_SETTLED = "betSettled"
    BET_CASHED_OUT = "betCashedOut"
    BET_CORRECTED = "betCorrected"


Postings = Mapping[Account, int]


class Entry(State):
    """One movement in the ledger. `seq` numbers a player's movements from 1, over all wallets."""

    seq: int
    at: Moment
    kind: Kind
    reference: str
    wallet_id: str
    postings: dict[Account, int]
    cash_after: int
    by: Actor | None = Field(None, exclude_if=is_none)
    """Who moved the money, unless it was the player themselves: see `statement.by_whom`."""


class Balance(Wire):
    """The balances that the player sees, in minor units."""

    cash: int
    locked: int
    pending_out: int


class Wallet(State):
    """The account balances of a wallet. Only `post` changes them."""

    currency: str
    accounts: dict[Account, int] = Field(default_factory=dict)

    def on(self, account: Account) -> int:
        """The balance of one account, in minor units."""
        return self.accounts.get(account, 0)

    @property
    def cash(self) -> int:
        """The amount that the player can spend. If it is negative, the player is in debt."""
        return self.on(Account.CASH)

    @property
    def balance(self) -> Balance:
        """The balances of the player's three accounts."""
        return Balance(cash=self.cash, locked=self.on(Account.LOCKED), pending_out=self.on(Account.PENDING_OUT))


def move(source: Account, target: Account, amount: int) -> Postings:
    """The postings that move an amount from one account to another."""
    return {source: -amount, target: amount}


def post(wallet: Wallet, postings: Postings) -> Wallet:
    """Apply postings to the balances of a wallet.

    Raises AssertionError if they do not sum to zero or take more than is held. That is a bug: a customer's mistake must
    be refused earlier.
    """
    assert sum(postings.values()) == 0, f"unbalanced postings: {postings}"
    after = wallet.model_copy(update={"accounts": total([wallet.accounts, postings])})
    for account in HELD:
        assert after.on(account) >= 0, f"more went out than was held: {account}, {postings}"
    return after


def total(books: Iterable[Postings]) -> dict[Account, int]:
    """Sum the postings by account."""
    sums: Counter[Account] = Counter()
    for postings in books:
        sums.update(postings)
    return {account: sums[account] for account in Account if account in sums}
