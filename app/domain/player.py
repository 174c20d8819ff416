"""The document of one player: all money, bets and limits of the player, stored and changed as a whole.

The rules are in the other modules of this package. Each rule takes the document, a request and the time, and returns
the next document and an outcome. A refusal returns the document unchanged. Amounts are in minor units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import Field

from app.domain.access import Actor, Role
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
    """The status of a deposit in the player's ledger. A failed, declined or cancelled one can still be credited."""

    RESERVED = "reserved"
    CREDITED = "credited"
    DECLINED = "declined"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TakenBack(StrEnum):
    """Why the money of a credited deposit went back to the customer."""

    REFUNDED = "refunded"
    CHARGED_BACK = "chargedBack"


class Deposit(State):
    """A deposit: what the player requested, and how it ended. `amount` is in minor units."""

    wallet_id: str
    amount: int
    currency: str
    payment_method: str
    email: str
    reserved_at: Moment
    status: DepositStatus = DepositStatus.RESERVED
    balance: Balance | None = None
    """The balance of the wallet right after the credit, so that a repeated request gets the same answer."""
    credited_to: str | None = Field(None, exclude_if=is_none)
    """The wallet that was credited, if it is not the requested one."""
    events: dict[str, EventStatus] = Field(default_factory=dict, exclude_if=is_empty)
    """The refunds, chargebacks and reversals from the provider, each once, including those before the credit."""
    taken_back: TakenBack | None = Field(None, exclude_if=is_none)
    """Set while the customer has back the money of a credited deposit."""
    times_taken_back: int = Field(0, exclude_if=is_empty)
    refund_due: bool = Field(False, exclude_if=is_empty)
    """Whether we took the deposit back ourselves, so that the provider must refund it."""


class Verdict(StrEnum):
    """The outcome of a withdrawal's review."""

    APPROVED = "approved"
    NOT_NEEDED = "notNeeded"
    REJECTED = "rejected"
    TIMED_OUT = "timedOut"
    ABANDONED = "abandoned"
    """The workflow that waited for the review was stopped, so that an approval could no longer take effect."""

    @property
    def pays(self) -> bool:
        """Whether the withdrawal is paid out."""
        return self in {Verdict.APPROVED, Verdict.NOT_NEEDED}


class Review(State):
    """The verdict of a review. The first decision is final."""

    verdict: Verdict
    operator: str | None = None
    role: Role | None = Field(None, exclude_if=is_none)
    """The role in which the operator decided; null where the request did not come from a known caller."""
    reason: str = ""
    """The operator's reason, for internal use only. It is never shown to the customer."""
    message: str | None = None
    """The explanation for the customer."""

    @property
    def by(self) -> Actor | None:
        """The operator who decided, if they are known."""
        if self.operator is None or self.role is None:
            return None
        return Actor(user=self.operator, role=self.role)


class WithdrawalStatus(StrEnum):
    """The status of a withdrawal in the player's ledger. A returned one may still turn out to have been paid."""

    HELD = "held"
    PAID = "paid"
    RETURNED = "returned"
    SENT_BACK = "sentBack"


class Withdrawal(State):
    """A withdrawal: what the player requested, and how it ended. `amount` is in minor units.

    It is held first, then paid or returned. A paid one may be sent back.
    """

    wallet_id: str
    amount: int
    currency: str
    destination: str
    held_at: Moment
    in_review: bool
    status: WithdrawalStatus = WithdrawalStatus.HELD
    review: Review | None = None
    """The review, once the withdrawal has ended."""


class BetStatus(StrEnum):
    """The status of a bet. Its stake is locked while it is pending, delayed or open."""

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
    """One selection of a bet: the requested and the accepted price, and the outcome in the newest result version."""

    market_id: str
    selection_id: str
    asked: Price
    price: Price
    result_version: int = Field(0, exclude_if=is_empty)
    outcome: SelectionOutcome | None = Field(None, exclude_if=is_none)
    page: int | None = Field(None, exclude_if=is_none)
    """The page of the market's shard that holds the leg; null for a bet of an earlier version."""
    withdrawals: int = Field(0, exclude_if=is_empty)
    """How many withdrawals of the market's selections were known when the leg was accepted."""
    moved: int = Field(0, exclude_if=is_empty)
    """The net amount that this result version paid to the player, so that a repeated result gets the same answer."""


class WishStatus(StrEnum):
    """The status of a cash-out in play that has not been paid: it is waiting, or it was refused after its delay."""

    DELAYED = "delayed"
    REFUSED = "refused"


class CashOutWish(State):
    """A cash-out of a bet in play. It is decided at `decide_at`, at the prices of that time."""

    status: WishStatus = WishStatus.DELAYED
    min_amount: int | None
    decide_at: Moment
    refused: Refused | None = None


class Bet(State):
    """A bet: what the player placed, the terms at that time, and how it ended.

    Amounts are in minor units; `stake` is the stake per line.
    """

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
    """The balance of the wallet right after the stake was held, so that a repeated request gets the same answer."""
    refused: Refused | None = Field(None, exclude_if=is_none)
    returned: int = Field(0, exclude_if=is_empty)
    ended_at: Moment | None = Field(None, exclude_if=is_none)
    decide_at: Moment | None = Field(None, exclude_if=is_none)
    """When the wait of a delayed bet ends."""
    exposure_changes: int = Field(0, exclude_if=is_empty)
    """The number of changes of the bet's exposure that markets without a result are told about."""
    max_payout_per_day: int | None = Field(None, exclude_if=is_none)
    day_returned: int = Field(0, exclude_if=is_empty)
    """What the player's other bets returned earlier on the day on which this bet ended, if that day has a maximum."""
    withheld: int = Field(0, exclude_if=is_empty)
    """The part of the return that the maximum payouts withheld."""
    cash_out: CashOutWish | None = Field(None, exclude_if=is_none)

    @property
    def waits_for_cash_out(self) -> bool:
        """Whether a cash-out in play is still undecided."""
        return self.cash_out is not None and self.cash_out.status is WishStatus.DELAYED

    @property
    def total_stake(self) -> int:
        """The stake of all lines together."""
        return self.stake * self.lines


class EmailChange(State):
    """A new address that is not confirmed yet. Only a hash of the code that was sent to it is stored."""

    email: str
    code_hash: str
    asked_at: Moment
    wrong_codes: int = 0


class HighWaterMark(State):
    """The highest bet id that the player has used. Ids are compared as text, character by character."""

    bet_id: str
    movements: int
    """The number of the player's movements when this was true. Every new bet is a movement, so a larger number means
    that an earlier version, which keeps no mark, has placed bets since."""


class Player(State):
    """The document. `deposits`, `withdrawals` and `bets` hold the active operations and the newest ended ones."""

    user_id: str
    email: str | None = None
    email_change: EmailChange | None = None
    email_changes: int = 0
    """The number of requested changes of address. It gives each change its own messages and code."""
    email_codes_asked: list[Moment] = Field(default_factory=list)
    """When the newest codes were requested."""
    wallets: dict[str, Wallet] = Field(default_factory=dict)
    deposits: dict[str, Deposit] = Field(default_factory=dict)
    withdrawals: dict[str, Withdrawal] = Field(default_factory=dict)
    bets: dict[str, Bet] = Field(default_factory=dict)
    limits: dict[str, Limit] = Field(default_factory=dict)
    uses: dict[LimitKind, list[Use]] = Field(default_factory=dict)
    returned_on: dict[str, dict[str, int]] = Field(default_factory=dict)
    """For each currency and UTC day, the returns that count towards a daily maximum payout."""
    restriction: Restriction | None = None
    entries: list[Entry] = Field(default_factory=list)
    """The newest movements. Older ones are only on statement pages, outside the document."""
    paged_out: int = 0
    """The number of movements that are only on statement pages."""
    paged_until: Moment | None = Field(None, exclude_if=is_none)
    """When the last of them was posted."""
    has_archive: bool = False
    """Whether ended deposits, withdrawals or bets have been moved to archive pages."""
    high_water: HighWaterMark | None = Field(None, exclude_if=is_none)
    """Tells new bet ids without a look at the archive; null without an archive, or if an earlier version began it."""
    carried: dict[str, dict[Account, int]] = Field(default_factory=dict)
    """For each wallet, the balances after the movements that are only on statement pages."""

    @property
    def movements(self) -> int:
        """The number of all movements that the player has ever had."""
        return self.paged_out + len(self.entries)

    def changed(self, **fields: object) -> "Player":
        """Return the document with some fields replaced."""
        return self.model_copy(update=fields)


@dataclass(frozen=True)
class Decision(Generic[Outcome]):
    """The decision of a rule: the next document, the outcome, and the messages to the customer."""

    player: Player
    outcome: Outcome | Refused
    messages: tuple[Message, ...] = ()


def post_entry(
    player: Player, wallet_id: str, kind: Kind, reference: str, postings: Postings, now: datetime, by: Actor | None
) -> Player:
    """Post a movement to the ledger of a wallet and add it to the statement.

    `by` is who caused the movement, if it was not the player's own request.
    """
    now = not_before_last(player, now)
    wallet = post(player.wallets[wallet_id], postings)
    latest = player.entries[-1].seq if player.entries else player.paged_out
    assert latest == player.movements, "a movement is missing from the statement"
    entry = Entry(
        seq=player.movements + 1,
        at=now,
        kind=kind,
        reference=reference,
        wallet_id=wallet_id,
        postings=dict(postings),
        cash_after=wallet.cash,
        by=by,
    )
    return player.changed(wallets={**player.wallets, wallet_id: wallet}, entries=[*player.entries, entry])


def not_before_last(player: Player, now: datetime) -> datetime:
    """The time of a decision: now, or when the last movement was posted if that is later.

    Two requests can reach the player in another order than the door received them, or from doors whose clocks differ.
    """
    last = player.entries[-1].at if player.entries else player.paged_until
    return now if last is None else max(now, last)


def in_debt(player: Player) -> bool:
    """Whether any wallet has negative cash. Debits are then blocked; credits never are."""
    return any(wallet.cash < 0 for wallet in player.wallets.values())


def refuse_debit(player: Player, wallet_id: str) -> Refused | None:
    """Refuse a debit from an unknown wallet or from a player in debt."""
    if wallet_id not in player.wallets:
        return Refused(reason=Refusal.UNKNOWN_WALLET, message=f"walletId: there is no wallet {wallet_id}")
    if in_debt(player):
        return Refused(reason=Refusal.IN_DEBT, message="this player is in debt; a deposit lifts it")
    return None


def refuse_short_funds(wallet: Wallet, amount: int) -> Refused | None:
    """Refuse an amount, in minor units, that is greater than the cash of the wallet."""
    if amount <= wallet.cash:
        return None
    return Refused(
        reason=Refusal.INSUFFICIENT_FUNDS,
        message=f"insufficient funds: {wallet.cash} available",
        metadata={"available": str(wallet.cash)},
    )


def open_bets(player: Player) -> int:
    """The number of bets that hold a stake."""
    return sum(bet.status.holds_stake for bet in player.bets.values())


def message(player: Player, event: tuple[str, ...], subject: str, text: str) -> tuple[Message, ...]:
    """Create the message to the player about an event; none if the player has no address.

    `event` has the parts of the message id. The id is unique, because no part contains the slash that joins them, and a
    repeated message has the same id.
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
    """The answer to `getAccount`."""

    user_id: str
    wallets: Mapping[str, WalletView]
    restriction: RestrictionView | None
    open_bets: int
    in_debt: bool


def account_view(player: Player, now: datetime, for_operator: bool = False) -> AccountView:
    """Build the view of a player's wallets, restriction, open bets and debt."""
    restriction = player.restriction
    blocks = restriction is not None and restriction.blocks(now)
    return AccountView(
        user_id=player.user_id,
        wallets={
            wallet_id: WalletView(currency=wallet.currency, **wallet.balance.model_dump(by_alias=False))
            for wallet_id, wallet in player.wallets.items()
        },
        restriction=restriction_view(restriction, for_operator) if restriction is not None and blocks else None,
        open_bets=open_bets(player),
        in_debt=in_debt(player),
    )
