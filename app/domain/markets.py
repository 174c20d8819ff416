"""Markets: status, prices, limits and results. Each shard of a market accepts bets on a copy of its terms.

The liability limit of a selection is leased to the shards in small pieces, so that all shards together accept no
more than it. Amounts are in minor units of the market's currency.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from app.domain.access import Actor
from app.domain.model import (
    DEFAULT_CURRENCY,
    Amount,
    Currency,
    GivenMoment,
    Id,
    KnownId,
    Moment,
    State,
    Wire,
    is_empty,
)
from app.domain.odds import Price
from app.domain.refusals import Refusal, Refused, id_reused
from app.domain.settlement import MAX_DEDUCTION, Result, SelectionOutcome

MAX_SELECTIONS = 200
MAX_VERSION = 2**53 - 1
"""The largest integer for which every JSON reader is exact, including those that read numbers as doubles."""

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]


class MarketStatus(StrEnum):
    """The status of a market. Only an open market accepts bets; a closed or settled market never reopens."""

    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    SETTLED = "settled"

    @property
    def takes_changes(self) -> bool:
        """Whether the market can still be suspended, resumed or repriced."""
        return self in {MarketStatus.OPEN, MarketStatus.SUSPENDED}


class SelectionOffer(State):
    """A selection of a new market and its opening price."""

    selection_id: KnownId
    name: Name
    price: Price


class OpenMarket(State):
    """The definition of a market. Amounts are in minor units of its currency; null means no limit."""

    name: Name
    selections: Annotated[tuple[SelectionOffer, ...], Field(min_length=1, max_length=MAX_SELECTIONS)]
    max_stake: Amount | None = None
    max_stake_per_player: Amount | None = None
    """The maximum total stake of a player's open bets on one selection."""
    max_liability: Amount | None = None
    bet_delay_seconds: Annotated[int, Field(strict=True, ge=0, le=60)] | None = None
    event_id: Id | None = None
    """The event of the market. Two legs on the same event are related, even on different markets."""
    closes_at: GivenMoment | None = None
    """From this time on, the market accepts no bets, whatever its status."""
    currency: Currency | None = None
    """The currency of its amounts and of the bets that it accepts; the house's default currency if null."""

    @model_validator(mode="after")
    def _selections_differ(self) -> Self:
        if len({selection.selection_id for selection in self.selections}) < len(self.selections):
            raise ValueError("selections: two of them have one selectionId")
        return self


class WithdrawSelection(Wire):
    """A selection that does not take part. Earlier bets on the others lose `deduction` percent of their winnings."""

    selection_id: Id
    deduction: Annotated[int, Field(strict=True, ge=0, le=MAX_DEDUCTION)] = 0


class Withdrawn(State):
    """A selection that was withdrawn, and the deduction in percent of the winnings of earlier bets."""

    selection_id: str
    deduction: int


class Holder(StrEnum):
    """Who keeps a market suspended."""

    TRADER = "trader"
    FEED = "feed"


class ChangeKind(StrEnum):
    """What a change of a market is about."""

    OPENING = "opening"
    PRICES = "prices"
    STATUS = "status"
    WITHDRAWAL = "withdrawal"
    RESULT = "result"


class SettleMarket(Wire):
    """The result of a market. A higher version corrects a lower one."""

    version: Annotated[int, Field(strict=True, ge=1, le=MAX_VERSION)]
    outcomes: dict[KnownId, SelectionOutcome]


class Terms(State):
    """What a shard needs to know about its market. A higher revision is newer, in whatever order revisions arrive."""

    revision: int
    status: MarketStatus
    prices: dict[str, Price]
    max_stake: int | None
    max_stake_per_player: int | None = None
    max_liability: int | None
    bet_delay_seconds: int
    event_id: str | None = None
    closes_at: Moment | None = None
    currency: str | None = None
    """The currency of accepted bets. Null if the shard does not know it yet: then bets in any currency are accepted."""
    withdrawn: list[Withdrawn] = Field(default_factory=list)
    """The withdrawn selections, in the order of their withdrawal."""

    @property
    def is_open(self) -> bool:
        """Whether the market accepts bets."""
        return self.status is MarketStatus.OPEN

    def is_withdrawn(self, selection_id: str) -> bool:
        """Whether a selection was withdrawn."""
        return any(one.selection_id == selection_id for one in self.withdrawn)

    def current_price(self, selection_id: str, known: int) -> Price | None:
        """The price at which a leg can be cashed out. `known` is how many withdrawals were known when it was accepted.

        None if the market accepts no bets, if the selection was withdrawn, or if a later withdrawal has a deduction:
        the current price then belongs to a smaller field than the price of the leg.
        """
        bears = any(one.deduction for one in self.withdrawn[known:])
        return None if not self.is_open or self.is_withdrawn(selection_id) or bears else self.prices[selection_id]

    def at(self, now: datetime | None) -> "Terms":
        """The terms at a given time. `now` may be None if the market has no closing time."""
        if self.closes_at is None or now is None or now < self.closes_at or not self.status.takes_changes:
            return self
        return self.model_copy(update={"status": MarketStatus.CLOSED})


class Market(State):
    """A market: its definition and its current state."""

    opened: OpenMarket
    prices: dict[str, Price]
    currency: str = DEFAULT_CURRENCY
    status: MarketStatus = MarketStatus.OPEN
    revision: int = 1
    result_version: int = 0
    outcomes: dict[str, SelectionOutcome] = Field(default_factory=dict)
    leases: dict[int, dict[str, int]] = Field(default_factory=dict)
    """For each shard in use, the part of each selection's limit that is leased to it, in minor units."""
    withdrawn: list[Withdrawn] = Field(default_factory=list)
    """The withdrawn selections, in the order of their withdrawal."""
    held_by: list[Holder] = Field(default_factory=list)
    """Who keeps the market suspended; valid only while it is suspended."""
    made_by: dict[ChangeKind, Actor] = Field(default_factory=dict, exclude_if=is_empty)
    """Who made the newest change of each kind. A kind is missing if the caller was unknown."""
    rounds: int = Field(0, exclude_if=is_empty)
    """How many rounds of telling the shards have begun. Each tells all the price changes that were made before it."""

    @property
    def holders(self) -> set[Holder]:
        """Who keeps the market suspended. An earlier version did not store this; a trader is then assumed."""
        if self.status is not MarketStatus.SUSPENDED:
            return set()
        return set(self.held_by) or {Holder.TRADER}

    @property
    def terms(self) -> Terms:
        """The terms that its shards receive."""
        return Terms(
            revision=self.revision,
            status=self.status,
            prices=self.prices,
            max_stake=self.opened.max_stake,
            max_stake_per_player=self.opened.max_stake_per_player,
            max_liability=self.opened.max_liability,
            bet_delay_seconds=self.opened.bet_delay_seconds or 0,
            event_id=self.opened.event_id,
            closes_at=self.opened.closes_at,
            currency=self.currency,
            withdrawn=self.withdrawn,
        )

    def changed(self, **fields: object) -> "Market":
        """Replace some fields and raise the revision, so that the shards take over the change."""
        return self.model_copy(update={**fields, "revision": self.revision + 1})

    def made(self, kind: ChangeKind, by: Actor | None) -> "Market":
        """Record who made the newest change of a kind."""
        others = {known: actor for known, actor in self.made_by.items() if known is not kind}
        return self.model_copy(update={"made_by": others if by is None else {**others, kind: by}})


def open_market(
    market: Market | None, market_id: str, request: OpenMarket, currency: str = DEFAULT_CURRENCY
) -> Market | Refused:
    """Open a market. `currency` applies if the request names none.

    A repeated request changes nothing and returns the market as it now is. Refuses with `id_reused` if the market was
    opened with different content.
    """
    asked = OpenMarket.model_validate(request.model_dump())
    if market is None:
        prices = {selection.selection_id: selection.price for selection in asked.selections}
        return Market(opened=asked, prices=prices, currency=currency if asked.currency is None else asked.currency)
    return market if market.opened == asked else id_reused("marketId", market_id)


def set_prices(market: Market, prices: dict[str, Price]) -> Market | Refused:
    """Change the prices of some selections.

    Refuses with `market_not_open` if the market is closed or settled, `unknown_selection` or `selection_withdrawn`.
    """
    if not market.status.takes_changes:
        return not_open(market.status)
    for selection_id in prices:
        if selection_id not in market.prices:
            return unknown_selection(selection_id)
        if market.terms.is_withdrawn(selection_id):
            return selection_withdrawn(selection_id)
    changed = {**market.prices, **prices}
    return market if changed == market.prices else market.changed(prices=changed)


def begin_round(market: Market, number: int) -> Market:
    """Begin the round of telling with this number, from 0. Changes from now on wait for the one after it.

    Changes nothing if it has begun before.
    """
    return market if number < market.rounds else market.model_copy(update={"rounds": number + 1})


def suspend(market: Market, by: Holder = Holder.TRADER) -> Market | Refused:
    """Suspend the market: it accepts no bets until each holder's suspension has been lifted.

    Refuses with `market_not_open` if the market is closed or settled.
    """
    return _held(market, market.holders | {by})


def resume(market: Market, by: Holder = Holder.TRADER) -> Market | Refused:
    """Lift a suspension. The feed lifts only its own, a trader lifts all. The market opens again when none is left.

    Refuses with `market_not_open` if the market is closed or settled.
    """
    return _held(market, market.holders - {by} if by is Holder.FEED else set())


def close(market: Market) -> Market:
    """Close the market: it never accepts bets again. Changes nothing if it is closed or settled."""
    return market.changed(status=MarketStatus.CLOSED) if market.status.takes_changes else market


def withdraw(market: Market, request: WithdrawSelection) -> Market | Refused:
    """Withdraw a selection: it accepts no more bets, and its legs are void once the market has a result.

    Allowed until the market is settled, even if it is closed. A repeated request changes nothing. Refuses with
    `id_reused` if the selection was withdrawn with another deduction.
    """
    selection_id, asked = request.selection_id, Withdrawn.model_validate(request.model_dump())
    if selection_id not in market.prices:
        return unknown_selection(selection_id)
    if market.terms.is_withdrawn(selection_id):
        return market if asked in market.withdrawn else id_reused("selectionId", selection_id)
    if market.status is MarketStatus.SETTLED:
        return not_open(market.status)
    return market.changed(withdrawn=[*market.withdrawn, asked])


def settle(market: Market, request: SettleMarket) -> Market | Refused:
    """Store a result. A version lower than the stored one changes nothing.

    Every selection needs an outcome, except withdrawn ones, which are void. Refuses with `id_reused` if the same
    version is stored with different outcomes.
    """
    if request.version < market.result_version:
        return market
    void = {one.selection_id: SelectionOutcome(result=Result.VOID) for one in market.withdrawn}
    for selection_id, outcome in request.outcomes.items():
        if selection_id in void and outcome.result is not Result.VOID:
            return selection_withdrawn(selection_id)
    outcomes = {**request.outcomes, **void}
    if request.version == market.result_version:
        return market if outcomes == market.outcomes else id_reused("version", str(request.version))
    for selection_id in outcomes:
        if selection_id not in market.prices:
            return unknown_selection(selection_id)
    if missing := sorted(market.prices.keys() - outcomes.keys()):
        return Refused(reason=Refusal.INVALID_REQUEST, message=f"outcomes: {', '.join(missing)} not named")
    return market.changed(status=MarketStatus.SETTLED, result_version=request.version, outcomes=outcomes)


def outcome_for(outcome: SelectionOutcome, withdrawn: Sequence[Withdrawn], known: int) -> SelectionOutcome:
    """The outcome for a bet that was accepted when `known` withdrawals were known.

    The deductions of later withdrawals are added to the deduction of the outcome, up to MAX_DEDUCTION percent.
    """
    later = sum(one.deduction for one in withdrawn[known:])
    return outcome.model_copy(update={"deduction": min(outcome.deduction + later, MAX_DEDUCTION)}) if later else outcome


def settlement_id(market_id: str, version: int) -> str:
    """The id of the run that applies one result to the bets of a market."""
    return f"{market_id}:{version}"


def join(market: Market, shard: int) -> Market:
    """Record that a shard is in use, so that it receives every later change."""
    return market if shard in market.leases else market.model_copy(update={"leases": {**market.leases, shard: {}}})


class Lease(Wire):
    """A shard's request for part of a selection's limit, in minor units.

    Both amounts include what the shard already holds. It needs at least `needed`, and prefers `wanted`.
    """

    selection_id: str
    needed: int
    wanted: int


def lease(market: Market, shard: int, request: Lease) -> tuple[Market, int]:
    """Lease more of a selection's limit to a shard. Returns the total that the shard holds, in minor units.

    The lease stays as it is if less than `needed` is available. A repeated request changes nothing.
    """
    limit = market.opened.max_liability
    assert limit is not None, "shards of a market without a limit need no lease"
    assert 0 <= request.needed <= request.wanted, f"a shard asks for less than it needs: {request}"
    selection_id = request.selection_id
    held = market.leases.get(shard, {}).get(selection_id, 0)
    most = limit - sum(leases.get(selection_id, 0) for name, leases in market.leases.items() if name != shard)
    if request.needed > most or request.wanted <= held:
        return market, held
    granted = min(request.wanted, most)
    assert held <= granted <= most, (
        "what a shard holds is never taken from it, and all of them hold no more than the limit"
    )
    shards = {**market.leases, shard: {**market.leases.get(shard, {}), selection_id: granted}}
    return market.model_copy(update={"leases": shards}), granted


def _held(market: Market, holders: set[Holder]) -> Market | Refused:
    if not market.status.takes_changes:
        return not_open(market.status)
    if holders == market.holders:
        return market
    status = MarketStatus.SUSPENDED if holders else MarketStatus.OPEN
    return market.changed(status=status, held_by=sorted(holders))


def not_open(status: MarketStatus) -> Refused:
    """The refusal of a market that takes no changes or bets any more."""
    return Refused(reason=Refusal.MARKET_NOT_OPEN, message=f"this market is {status.value}")


def selection_withdrawn(selection_id: str) -> Refused:
    """The refusal of a selection that no longer takes part."""
    return Refused(reason=Refusal.SELECTION_WITHDRAWN, message=f"selectionId: {selection_id} was withdrawn")


def unknown_selection(selection_id: str) -> Refused:
    """The refusal of a selection that the market does not have."""
    return Refused(reason=Refusal.UNKNOWN_SELECTION, message=f"selectionId: there is no selection {selection_id}")
