"""Markets and their shards: a market owns status, prices and limits; each shard accepts bets on a copy of them.

The liability limit of a selection is leased to the shards in small pieces, so that all shards together accept no
more than it. Only a correction can exceed the limit, because it reopens bets that were accepted earlier.

The exposure of a bet is what the house loses if the bet wins: the potential return at the accepted prices, less the
stake. A multiple counts with its full exposure on each of its legs, because any leg may decide it, until its return is
certain. Exposures, liabilities and stakes are in minor units of the market's currency.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from app.domain.access import Actor
from app.domain.archive import HASH_LENGTH, hash_of
from app.domain.exposure import Shape
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
    is_none,
)
from app.domain.odds import Price, PriceChange, price_taken
from app.domain.refusals import Refusal, Refused, id_reused
from app.domain.settlement import MAX_DEDUCTION, Result, SelectionOutcome

MAX_SELECTIONS = 200
MAX_VERSION = 2**53 - 1
"""The largest integer for which every JSON reader is exact, including those that read numbers as doubles."""
MAX_SHARDS = 16
PAGE_SIZE = 50
"""The number of bets on a full page of a shard's index."""
LEASE_PIECES = 400
"""The number of pieces into which a limit is divided for leases. A shard takes what it needs, rounded up to whole
pieces, so that 16 shards together take less than 16/400 (4 %) of the limit more than they need."""

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
        return _not_open(market.status)
    for selection_id in prices:
        if selection_id not in market.prices:
            return _unknown_selection(selection_id)
        if market.terms.is_withdrawn(selection_id):
            return _selection_withdrawn(selection_id)
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
        return _unknown_selection(selection_id)
    if market.terms.is_withdrawn(selection_id):
        return market if asked in market.withdrawn else id_reused("selectionId", selection_id)
    if market.status is MarketStatus.SETTLED:
        return _not_open(market.status)
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
            return _selection_withdrawn(selection_id)
    outcomes = {**request.outcomes, **void}
    if request.version == market.result_version:
        return market if outcomes == market.outcomes else id_reused("version", str(request.version))
    for selection_id in outcomes:
        if selection_id not in market.prices:
            return _unknown_selection(selection_id)
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


class ReserveLeg(Wire):
    """A request to a market to accept a leg. Amounts are for the whole bet at the requested prices, in minor units.

    `open_stake` is the total stake of the player's other open bets on the same selection. An earlier version sends no
    `shape`.
    """

    user_id: str
    bet_id: str
    selection_id: str
    price: Price
    price_change: PriceChange
    stake: int
    potential_return: int
    delayed: bool = False
    """Whether the bet has already waited for the delay of a market in play."""
    currency: str | None = None
    """The currency of the amounts; an earlier version does not send it."""
    shape: Shape | None = None
    open_stake: int = 0

    def exposure(self, price: Price) -> int:
        """The exposure with this leg at `price` and the others at their requested prices, in minor units."""
        if self.shape is not None:
            return self.shape.exposure(price)
        return max(0, self.potential_return * price.thousandths // self.price.thousandths - self.stake)

    def least_exposure(self, price: Price) -> int:
        """The smallest exposure with this leg at `price`, at any prices that the other markets may accept."""
        return self.exposure(price) if self.shape is None else self.shape.least_exposure(price, self.price_change)


class ExposeLeg(Wire):
    """The exact exposure of a bet, now that the prices at all its markets are known, in minor units."""

    user_id: str
    bet_id: str
    page: int
    exposure: int


class CountLeg(Wire):
    """The new exposure of a bet: 0 once its return is certain; its full exposure if a correction reopened that.

    `changes` numbers the messages about a bet, so that old and repeated ones can be recognised. `page` is null for bets
    of an earlier version, which did not store it.
    """

    user_id: str
    bet_id: str
    page: int | None
    exposure: int
    changes: int


class Reserved(State):
    """A bet on a page of the index. `changes` is the number of the newest `CountLeg` that was applied to it."""

    user_id: str
    bet_id: str
    selection_id: str
    price: Price
    exposure: int
    changes: int = 0
    withdrawals: int = 0
    """How many withdrawals the shard knew when it accepted the leg. The deductions of later ones apply to the bet."""


class BetPage(State):
    """A page of a shard's index of bets. A bet has at most one leg on a market, so player and bet id identify it."""

    bets: dict[str, Reserved] = Field(default_factory=dict)


class Shard(State):
    """A shard of a market, which accepts the bets of some players. The newest page of its index is part of it."""

    terms: Terms
    leased: dict[str, int] = Field(default_factory=dict)
    used: dict[str, int] = Field(default_factory=dict)
    bets: int = 0
    full_pages: int = 0
    newest: BetPage = Field(default_factory=BetPage)
    turned: str = ""
    """The concatenated hashes of the names on the page stored last: a repeated request may find its bet there."""


class Extent(Wire):
    """The contents of a shard: its number of bets and pages, and the liability on each selection, in minor units."""

    bets: int = 0
    pages: int = 0
    used: dict[str, int] = Field(default_factory=dict)


class Accepted(Wire):
    """The leg is reserved at this price, on this page of the shard's index and with this exposure (minor units)."""

    price: Price
    page: int
    exposure: int | None = None
    event_id: str | None = None
    """The event of the market, if it has one."""
    withdrawals: int = 0
    """How many withdrawals the shard knew when it accepted the leg."""


class Delayed(Wire):
    """The market is in play: it must be asked again after this many seconds."""

    seconds: int
    event_id: str | None = None

    @property
    def pause(self) -> timedelta:
        """The delay as a timedelta."""
        return timedelta(seconds=self.seconds)


def shard_of(user_id: str, shards: int) -> int:
    """The number, from 0, of the shard for a player's bets. It is the same at every market with as many shards."""
    return int.from_bytes(blake2b(user_id.encode(), digest_size=8).digest()) % shards


def apply_terms(shard: Shard | None, terms: Terms) -> Shard:
    """Replace the terms of a shard if these are newer."""
    if shard is None:
        return Shard(terms=terms)
    return shard.model_copy(update={"terms": terms}) if terms.revision > shard.terms.revision else shard


def lease_wanted(shard: Shard, request: ReserveLeg) -> Lease | None:
    """The lease that a shard needs to accept a leg; None if it holds enough, or will delay or refuse the leg."""
    price = _acceptable(shard.terms, request)
    if not isinstance(price, Price):
        return None
    return _lease(shard, request.selection_id, request.least_exposure(price), request.exposure(price))


def lease_to_expose(shard: Shard, page: BetPage, request: ExposeLeg) -> Lease | None:
    """The lease that a shard needs to change the exposure of a bet; None if it holds enough."""
    bet = page.bets[bet_name(request.user_id, request.bet_id)]
    more = request.exposure - bet.exposure
    return _lease(shard, bet.selection_id, more, more) if more > 0 else None


def _lease(shard: Shard, selection_id: str, least: int, expected: int) -> Lease | None:
    limit = shard.terms.max_liability
    used, leased = shard.used.get(selection_id, 0), shard.leased.get(selection_id, 0)
    if limit is None or used + expected <= leased:
        return None
    piece = max(1, limit // LEASE_PIECES)
    return Lease(selection_id=selection_id, needed=used + least, wanted=-(-(used + expected) // piece) * piece)


def with_lease(shard: Shard, selection_id: str, held: int) -> Shard:
    """Record the total that is leased to the shard for a selection, in minor units."""
    assert held >= shard.leased.get(selection_id, 0), f"{selection_id}: a lease never shrinks"
    return shard.model_copy(update={"leased": {**shard.leased, selection_id: held}})


def may_be_on_turned_page(shard: Shard, request: ReserveLeg) -> bool:
    """Whether an interrupted attempt at this bet may have left a leg on the page that was stored last."""
    hashed = hash_of(bet_name(request.user_id, request.bet_id))
    return hashed in shard.turned and any(
        shard.turned.startswith(hashed, start) for start in range(0, len(shard.turned), HASH_LENGTH)
    )


def without_remains(shard: Shard, turned: BetPage, request: ReserveLeg) -> tuple[Shard, BetPage]:
    """Release what a killed attempt at this bet reserved, so that the bet is decided again on the current terms.

    This is safe because the attempt gave no answer. `turned` is the page that was stored last.
    """
    shard, turned = release(shard, turned, request.user_id, request.bet_id)
    shard, _ = release(shard, shard.newest, request.user_id, request.bet_id)
    return shard, turned


def reserve(
    shard: Shard, request: ReserveLeg, now: datetime | None = None
) -> tuple[Shard, Accepted | Delayed | Refused]:
    """Accept a leg at the current price, delay it or refuse it.

    The leg counts with its expected exposure, which assumes the requested prices at the other markets. If the limit has
    no room for that, it counts with its smallest exposure. It is counted exactly once all markets have answered. `now`
    is required if the market has a closing time.
    """
    assert now is not None or shard.terms.closes_at is None, "a market that closes by itself is asked with the time"
    name = bet_name(request.user_id, request.bet_id)
    assert name not in shard.newest.bets, "what was left of an earlier attempt is let go first"
    price = _acceptable(shard.terms.at(now), request)
    if not isinstance(price, Price):
        return shard, price
    selection_id, room = request.selection_id, _room(shard, request.selection_id)
    least, expected = request.least_exposure(price), request.exposure(price)
    exposure = expected if room is None or expected <= room else least
    if room is not None and exposure > room:
        return shard, _liability_limit(selection_id)
    assert exposure >= 0, "the house loses nothing less than nothing"
    bet = Reserved(
        user_id=request.user_id,
        bet_id=request.bet_id,
        selection_id=selection_id,
        price=price,
        exposure=exposure,
        withdrawals=len(shard.terms.withdrawn),
    )
    changed = shard.model_copy(
        update={
            "used": _used(shard, selection_id, exposure),
            "bets": shard.bets + 1,
            "newest": BetPage(bets={**shard.newest.bets, name: bet}),
        }
    )
    return changed, _accepted(shard, bet)


def expose(shard: Shard, page: BetPage, request: ExposeLeg) -> tuple[Shard, BetPage, Accepted | Refused]:
    """Count a reserved bet with its exact exposure. A repeated request changes nothing.

    Refuses with `liability_limit` if the limit has no room for it.
    """
    assert request.exposure >= 0, "the house loses nothing less than nothing"
    bet = page.bets[bet_name(request.user_id, request.bet_id)]
    room = _room(shard, bet.selection_id)
    if room is not None and request.exposure - bet.exposure > max(0, room):
        return shard, page, _liability_limit(bet.selection_id)
    changed, left = _with_exposure(shard, page, bet.model_copy(update={"exposure": request.exposure}))
    kept = Accepted(price=bet.price, page=request.page, exposure=request.exposure, withdrawals=bet.withdrawals)
    return changed, left, kept


def count(shard: Shard, page: BetPage, request: CountLeg) -> tuple[Shard, BetPage]:
    """Change the exposure of a bet. An old or repeated message changes nothing.

    The change is never refused, because the bet was accepted earlier. A correction may therefore take a shard over its
    limit.
    """
    assert request.exposure >= 0, "the house loses nothing less than nothing"
    bet = page.bets.get(bet_name(request.user_id, request.bet_id))
    if bet is None or request.changes <= bet.changes:
        return shard, page
    return _with_exposure(
        shard, page, bet.model_copy(update={"exposure": request.exposure, "changes": request.changes})
    )


def newest_pages(shard: Shard) -> list[int]:
    """The numbers of the two newest pages, newest first. A bet that was just reserved is on one of them."""
    return [shard.full_pages] if shard.full_pages == 0 else [shard.full_pages, shard.full_pages - 1]


def turn_page(shard: Shard) -> tuple[Shard, BetPage | None]:
    """If the newest page is full, start a new one. Returns the full page, to be stored under the old `full_pages`."""
    if len(shard.newest.bets) < PAGE_SIZE:
        return shard, None
    turned = "".join(map(hash_of, shard.newest.bets))
    changed = {"full_pages": shard.full_pages + 1, "newest": BetPage(), "turned": turned}
    return shard.model_copy(update=changed), shard.newest


def release(shard: Shard, page: BetPage, user_id: str, bet_id: str) -> tuple[Shard, BetPage]:
    """Release the exposure of a bet, once. `page` is the bet's page: the shard's newest, or a stored full one."""
    name = bet_name(user_id, bet_id)
    if (bet := page.bets.get(name)) is None:
        return shard, page
    assert shard.bets > 0, f"{name} is on a page of a shard without bets"
    left = BetPage(bets={other: kept for other, kept in page.bets.items() if other != name})
    changed = shard.model_copy(
        update={
            "used": _used(shard, bet.selection_id, -bet.exposure),
            "bets": shard.bets - 1,
            "newest": left if page is shard.newest else shard.newest,
        }
    )
    return changed, left


def _with_exposure(shard: Shard, page: BetPage, bet: Reserved) -> tuple[Shard, BetPage]:
    name = bet_name(bet.user_id, bet.bet_id)
    more = bet.exposure - page.bets[name].exposure
    left = BetPage(bets={**page.bets, name: bet})
    newest = left if page is shard.newest else shard.newest
    return shard.model_copy(update={"used": _used(shard, bet.selection_id, more), "newest": newest}), left


def _used(shard: Shard, selection_id: str, more: int) -> Mapping[str, int]:
    used = shard.used.get(selection_id, 0) + more
    assert used >= 0, f"{selection_id}: more is given back than was reserved"
    return {**shard.used, selection_id: used}


def _room(shard: Shard, selection_id: str) -> int | None:
    """The unused part of the shard's lease on a selection, in minor units; None if there is no limit."""
    if shard.terms.max_liability is None:
        return None
    return shard.leased.get(selection_id, 0) - shard.used.get(selection_id, 0)


def extent(shard: Shard) -> Extent:
    """Summarise the contents of a shard."""
    return Extent(bets=shard.bets, pages=shard.full_pages + 1, used=shard.used)


def bet_name(user_id: str, bet_id: str) -> str:
    """The name of a bet, unique over all players because ids contain no slash."""
    return f"{user_id}/{bet_id}"


class MarketPrices(Wire):
    """The answer to `prices`: what the market itself knows. `withdrawn` has deductions in percent."""

    market_id: str
    name: str
    status: MarketStatus
    prices: dict[str, Price]
    result_version: int
    currency: str
    event_id: str | None
    closes_at: Moment | None
    withdrawn: dict[str, int]


class MarketLiability(Wire):
    """The answer to `liability`: the number of bets, and the liability on each selection in minor units."""

    market_id: str
    bets: int
    liability: dict[str, int]


class MarketView(MarketPrices):
    """The answer to `get`.

    Only operators see the number of `bets`, the `liability` on each selection (in minor units), and `made_by`: who made
    the newest change of each kind.
    """

    bets: int | None = Field(None, exclude_if=is_none)
    liability: dict[str, int] | None = Field(None, exclude_if=is_none)
    made_by: dict[ChangeKind, Actor] | None = Field(None, exclude_if=is_none)


def market_prices(market_id: str, market: Market) -> MarketPrices:
    """Build what everybody may see of a market, from its state alone."""
    return MarketPrices(
        market_id=market_id,
        name=market.opened.name,
        status=market.status,
        prices=market.prices,
        result_version=market.result_version,
        currency=market.currency,
        event_id=market.opened.event_id,
        closes_at=market.opened.closes_at,
        withdrawn={one.selection_id: one.deduction for one in market.withdrawn},
    )


def market_liability(market_id: str, market: Market, extents: Iterable[Extent]) -> MarketLiability:
    """Sum up the contents of a market's shards."""
    shards = list(extents)
    return MarketLiability(
        market_id=market_id,
        bets=sum(shard.bets for shard in shards),
        liability={name: sum(shard.used.get(name, 0) for shard in shards) for name in market.prices},
    )


def market_view(market_id: str, market: Market) -> MarketView:
    """Build the view of a market that everybody may see."""
    return MarketView(**dict(market_prices(market_id, market)))


def operators_view(market_id: str, market: Market, extents: Iterable[Extent]) -> MarketView:
    """Build the view of a market for operators, from its state and the contents of its shards."""
    told = market_liability(market_id, market, extents)
    more = {"bets": told.bets, "liability": told.liability, "made_by": market.made_by or None}
    return market_view(market_id, market).model_copy(update=more)


def _held(market: Market, holders: set[Holder]) -> Market | Refused:
    if not market.status.takes_changes:
        return _not_open(market.status)
    if holders == market.holders:
        return market
    status = MarketStatus.SUSPENDED if holders else MarketStatus.OPEN
    return market.changed(status=status, held_by=sorted(holders))


def _accepted(shard: Shard, bet: Reserved) -> Accepted:
    return Accepted(
        price=bet.price,
        page=shard.full_pages,
        exposure=bet.exposure,
        event_id=shard.terms.event_id,
        withdrawals=bet.withdrawals,
    )


def _acceptable(terms: Terms, request: ReserveLeg) -> Price | Delayed | Refused:
    if terms.status is MarketStatus.SUSPENDED:
        return Refused(reason=Refusal.MARKET_SUSPENDED, message="this market is suspended")
    if terms.status is not MarketStatus.OPEN:
        return _not_open(terms.status)
    current = terms.prices.get(request.selection_id)
    if current is None:
        return _unknown_selection(request.selection_id)
    if terms.is_withdrawn(request.selection_id):
        return _selection_withdrawn(request.selection_id)
    price = price_taken(request.price, current, request.price_change)
    if price is None:
        return Refused(
            reason=Refusal.PRICE_CHANGED,
            message=f"{request.selection_id}: the price is now {current}",
            metadata={"price": str(current)},
        )
    if None not in (terms.currency, request.currency) and request.currency != terms.currency:
        return Refused(
            reason=Refusal.MARKET_CURRENCY,
            message=f"this market takes bets in {terms.currency}, not in {request.currency}",
            metadata={"currency": str(terms.currency)},
        )
    if (refused := _refuse_stake(terms, request)) is not None:
        return refused
    if terms.bet_delay_seconds > 0 and not request.delayed:
        return Delayed(seconds=terms.bet_delay_seconds, event_id=terms.event_id)
    return price


def _refuse_stake(terms: Terms, request: ReserveLeg) -> Refused | None:
    if terms.max_stake is not None and request.stake > terms.max_stake:
        return Refused(
            reason=Refusal.STAKE_TOO_HIGH,
            message=f"stake: this market takes at most {terms.max_stake}",
            metadata={"maxStake": str(terms.max_stake)},
        )
    most = terms.max_stake_per_player
    if most is not None and request.open_stake + request.stake > most:
        return Refused(
            reason=Refusal.STAKE_TOO_HIGH,
            message=f"stake: this market takes at most {most} of a player on a selection, {request.open_stake} is open",
            metadata={"maxStakePerPlayer": str(most)},
        )
    return None


def _liability_limit(selection_id: str) -> Refused:
    return Refused(reason=Refusal.LIABILITY_LIMIT, message=f"{selection_id}: the house takes no more on it")


def _not_open(status: MarketStatus) -> Refused:
    return Refused(reason=Refusal.MARKET_NOT_OPEN, message=f"this market is {status.value}")


def _selection_withdrawn(selection_id: str) -> Refused:
    return Refused(reason=Refusal.SELECTION_WITHDRAWN, message=f"selectionId: {selection_id} was withdrawn")


def _unknown_selection(selection_id: str) -> Refused:
    return Refused(reason=Refusal.UNKNOWN_SELECTION, message=f"selectionId: there is no selection {selection_id}")
