"""One player's document: all money and rules of one player, stored and changed as a whole.

The rules are in the modules beside this one; each takes the document, a request and the time, and gives the next
document with an outcome. A refusal gives the document back untouched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import Field

from app.domain.messages import Message
from app.domain.model import Moment, State, Wire, is_empty, is_none
from app.domain.odds import Price, PriceChange
from app.domain.payments import EventStatus
from app.domain.refusals import Refusal, Refused
from app.domain.responsible_gambling import Limit, LimitKind, Restriction, RestrictionView, Use, restriction_view
from app.domain.settlement import SelectionOutcome
from app.domain.wallet import Account, Balance, Entry, Kind, Postings, Wallet, post

Outcome = TypeVar("Outcome")


class DepositStatus(StrEnum):
    """How a deposit stands in the player's book. One that was given up may still be credited."""

    RESERVED = "reserved"
    CREDITED = "credited"
    DECLINED = "declined"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TakenBack(StrEnum):
    """Why the customer has the money of a credited deposit again."""

    REFUNDED = "refunded"
    CHARGED_BACK = "chargedBack"


class Deposit(State):
    """A deposit that the player asked for, and how it ended."""

    wallet_id: str
    amount: int
    currency: str
    payment_method: str
    email: str
    reserved_at: Moment
    status: DepositStatus = DepositStatus.RESERVED
    balance: Balance | None = None
    """What the wallet held right after the credit: a repeated request is told the same."""
    credited_to: str | None = Field(None, exclude_if=is_none)
    """The wallet that has the money, where it is not the one that was asked for."""
    events: dict[str, EventStatus] = Field(default_factory=dict, exclude_if=is_empty)
    """Refunds, chargebacks and reversals that the provider told of, each once, also before the credit."""
    taken_back: TakenBack | None = Field(None, exclude_if=is_none)
    """Set while the customer has the money of a credited deposit again."""
    times_taken_back: int = Field(0, exclude_if=is_empty)
    refund_due: bool = Field(False, exclude_if=is_empty)
    """We gave it back ourselves: the provider is to refund it."""


class Verdict(StrEnum):
    """How a withdrawal's review ended."""

    APPROVED = "approved"
    NOT_NEEDED = "notNeeded"
    REJECTED = "rejected"
    TIMED_OUT = "timedOut"
    ABANDONED = "abandoned"
    """What waited for the review was stopped; there is nobody to whom a yes could be said."""

    @property
    def pays(self) -> bool:
        """Whether the money goes out."""
        return self in {Verdict.APPROVED, Verdict.NOT_NEEDED}


class Review(State):
    """A review's verdict. The first to decide it decides it."""

    verdict: Verdict
    operator: str | None = None
    reason: str = ""
    """For the file; no customer is ever told."""
    message: str | None = None
    """What the customer is told."""


class WithdrawalStatus(StrEnum):
    """How a withdrawal stands in the player's book. One that was given back may still turn out to be paid."""

    HELD = "held"
    PAID = "paid"
    RETURNED = "returned"
    SENT_BACK = "sentBack"


class Withdrawal(State):
    """A withdrawal that the player asked for, and how it ended: held, then paid (perhaps sent back) or returned."""

    wallet_id: str
    amount: int
    currency: str
    destination: str
    held_at: Moment
    in_review: bool
    status: WithdrawalStatus = WithdrawalStatus.HELD
    review: Review | None = None
    """Who decided what, once it has ended."""


class BetStatus(StrEnum):
    """Where a bet stands: its stake is locked while it is pending, delayed or open."""

    PENDING = "pending"
    DELAYED = "delayed"
    OPEN = "open"
    REFUSED = "refused"
    SETTLED = "settled"
    CASHED_OUT = "cashedOut"

    @property
    def holds_stake(self) -> bool:
        """Whether the stake is still locked."""
        return self in {BetStatus.PENDING, BetStatus.DELAYED, BetStatus.OPEN}

    @property
    def can_be_released(self) -> bool:
        """Whether a market may still refuse the bet."""
        return self in {BetStatus.PENDING, BetStatus.DELAYED}


class BetLeg(State):
    """One selection of a bet at the price taken; its outcome is known from the market's result version on."""

    market_id: str
    selection_id: str
    asked: Price
    price: Price
    result_version: int = 0
    outcome: SelectionOutcome | None = None
    page: int | None = None
    """Where the market's book keeps the leg; a bet of an earlier version does not know."""
    withdrawals: int = 0
    """How many withdrawals of its market's selections were known when the leg was struck."""
    moved: int = 0
    """What this version of the result moved to the player, less what it took back: a repetition is told the same."""


class WishStatus(StrEnum):
    """Where a cash-out in play stands that has not paid: it waits, or was refused when its time had come."""

    DELAYED = "delayed"
    REFUSED = "refused"


class CashOutWish(State):
    """A cash-out of a bet in play, which is decided at the prices of a later moment."""

    status: WishStatus = WishStatus.DELAYED
    min_amount: int | None
    decide_at: Moment
    refused: Refused | None = None


class Bet(State):
    """A bet that the player placed, under the terms of that moment, and how it ended. `stake` is a line's."""

    wallet_id: str
    stake: int
    system_size: int | None
    lines: int
    legs: list[BetLeg]
    price_change: PriceChange
    max_payout: int
    placed_at: Moment
    status: BetStatus = BetStatus.PENDING
    balance: Balance | None = None
    """What the wallet held right after the stake: a repeated request is told the same."""
    refused: Refused | None = None
    returned: int = 0
    ended_at: Moment | None = None
    decide_at: Moment | None = None
    """Until when a delayed bet waits."""
    exposure_changes: int = 0
    """How often the markets were told that the bet counts otherwise."""
    max_payout_per_day: int | None = None
    day_returned: int = 0
    """What the player's other bets had returned before it on the day it ended, if that day is limited."""
    withheld: int = 0
    """What the maximum payouts took off the return."""
    cash_out: CashOutWish | None = None

    @property
    def waits_for_cash_out(self) -> bool:
        """Whether a cash-out in play has still to be decided."""
        return self.cash_out is not None and self.cash_out.status is WishStatus.DELAYED

    @property
    def total_stake(self) -> int:
        """What the bet holds: the stake of all lines."""
        return self.stake * self.lines


class EmailChange(State):
    """A new address that waits for the code that was sent to it, of which only a hash is kept."""

    email: str
    code_hash: str
    asked_at: Moment
    wrong_codes: int = 0


class Player(State):
    """The document. `deposits`, `withdrawals` and `bets` hold what is under way and what ended last."""

    user_id: str
    email: str | None = None
    email_change: EmailChange | None = None
    email_changes: int = 0
    """How often a change was asked for: each has messages and a code of its own."""
    email_codes_asked: list[Moment] = Field(default_factory=list)
    """When the newest ones were asked for."""
    wallets: dict[str, Wallet] = Field(default_factory=dict)
    deposits: dict[str, Deposit] = Field(default_factory=dict)
    withdrawals: dict[str, Withdrawal] = Field(default_factory=dict)
    bets: dict[str, Bet] = Field(default_factory=dict)
    limits: dict[str, Limit] = Field(default_factory=dict)
    uses: dict[LimitKind, list[Use]] = Field(default_factory=dict)
    returned_on: dict[str, dict[str, int]] = Field(default_factory=dict)
    """For each currency and UTC day, what bets returned that count against a maximum a day."""
    restriction: Restriction | None = None
    entries: list[Entry] = Field(default_factory=list)
    """The newest movements; older ones are on full pages elsewhere."""
    paged_out: int = 0
    """How many movements are on pages elsewhere only."""
    has_archive: bool = False
    """Whether deposits, withdrawals and bets that ended have left the document for archive pages."""
    carried: dict[str, dict[Account, int]] = Field(default_factory=dict)
    """For each wallet, the balances after the movements that are on pages elsewhere only."""

    def changed(self, **fields: object) -> "Player":
        """The document with some fields replaced."""
        return self.model_copy(update=fields)


@dataclass(frozen=True)
class Decision(Generic[Outcome]):
    """What a rule decided: the next document, the answer, and what the customer is told."""

    player: Player
    outcome: Outcome | Refused
    messages: tuple[Message, ...] = ()


def post_entry(player: Player, wallet_id: str, kind: Kind, reference: str, postings: Postings, now: datetime) -> Player:
    """Enter a movement into a wallet's book and the statement."""
    wallet = post(player.wallets[wallet_id], postings)
    latest = player.entries[-1].seq if player.entries else player.paged_out
    assert latest == player.paged_out + len(player.entries), "a movement is missing from the statement"
    entry = Entry(
        seq=player.paged_out + len(player.entries) + 1,
        at=now,
        kind=kind,
        reference=reference,
        wallet_id=wallet_id,
        postings=dict(postings),
        cash_after=wallet.cash,
    )
    return player.changed(wallets={**player.wallets, wallet_id: wallet}, entries=[*player.entries, entry])


def in_debt(player: Player) -> bool:
    """Whether a correction left a wallet below zero; then debits are blocked, credits never."""
    return any(wallet.cash < 0 for wallet in player.wallets.values())


def refuse_debit(player: Player, wallet_id: str) -> Refused | None:
    """Refuse to take from a wallet that there is not, or from a player in debt."""
    if wallet_id not in player.wallets:
        return Refused(reason=Refusal.UNKNOWN_WALLET, message=f"walletId: there is no wallet {wallet_id}")
    if in_debt(player):
        return Refused(reason=Refusal.IN_DEBT, message="this player is in debt; a deposit lifts it")
    return None


def refuse_short_funds(wallet: Wallet, amount: int) -> Refused | None:
    """Refuse to take more than the cash."""
    if amount <= wallet.cash:
        return None
    return Refused(
        reason=Refusal.INSUFFICIENT_FUNDS,
        message=f"insufficient funds: {wallet.cash} available",
        metadata={"available": str(wallet.cash)},
    )


def open_bets(player: Player) -> int:
    """How many bets hold a stake."""
    return sum(bet.status.holds_stake for bet in player.bets.values())


def message(player: Player, event: tuple[str, ...], subject: str, text: str) -> tuple[Message, ...]:
    """Tell the player of an event, once however often it is told; nobody is told whose address we never had.

    `event` is what the message is of, part by part. No two events have one id: no part has the slash between them.
    """
    if player.email is None:
        return ()
    parts = (player.user_id, *event)
    assert all(part and "/" not in part for part in parts), f"not to be told apart: {parts}"
    return (Message(message_id="/".join(parts), to=player.email, subject=subject, text=text),)


class WalletView(Balance):
    """A wallet as the player sees it."""

    currency: str


class AccountView(Wire):
    """What `getAccount` tells."""

    user_id: str
    wallets: Mapping[str, WalletView]
    restriction: RestrictionView | None
    open_bets: int
    in_debt: bool


def account_view(player: Player, now: datetime) -> AccountView:
    """The player's wallets and standing."""
    restriction = player.restriction
    return AccountView(
        user_id=player.user_id,
        wallets={
            wallet_id: WalletView(currency=wallet.currency, **wallet.balance.model_dump(by_alias=False))
            for wallet_id, wallet in player.wallets.items()
        },
        restriction=restriction_view(restriction) if restriction is not None and restriction.blocks(now) else None,
        open_bets=open_bets(player),
        in_debt=in_debt(player),
    )
