"""Markets and their shards: a market owns status, prices and limits; each of its shards accepts bets on a copy of them.

The most that the house may lose on a selection is leased to the shards in small pieces, so that the sum over all shards
is never over the limit. A bet's exposure is what the house loses if it wins: its potential return at the prices taken,
less its stake. A multiple counts with all of it on each of its legs, since each of them may be the one that decides it,
for as long as its return is open.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

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
)
from app.domain.odds import Price, PriceChange, price_taken
from app.domain.refusals import Refusal, Refused, id_reused
from app.domain.settlement import MAX_DEDUCTION, Result, SelectionOutcome

MAX_SELECTIONS = 200
MAX_VERSION = 2**53 - 1
"""The greatest whole number that every reader of JSON keeps exactly."""
MAX_SHARDS = 16
PAGE_SIZE = 50
"""Bets on one page of a shard's index."""
LEASE_PIECES = 400
"""A limit is leased in such parts of it: what 16 shards hold unused is less than 16/400, 4 %, of the limit."""

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]


class MarketStatus(StrEnum):
    """Whether a market takes bets; closed and settled ones never do again."""

    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    SETTLED = "settled"

    @property
    def takes_changes(self) -> bool:
        """Whether the market may still be suspended, resumed, or priced."""
        return self in {MarketStatus.OPEN, MarketStatus.SUSPENDED}


class SelectionOffer(State):
    """Something to bet on, and its first price."""

    selection_id: KnownId
    name: Name
    price: Price


class OpenMarket(State):
    """What a market offers. Amounts are in minor units of its currency; without a limit there is none."""

    name: Name
    selections: Annotated[tuple[SelectionOffer, ...], Field(min_length=1, max_length=MAX_SELECTIONS)]
    max_stake: Amount | None = None
    max_stake_per_player: Amount | None = None
    """The most that a player may have on a selection, over all open bets."""
    max_liability: Amount | None = None
    bet_delay_seconds: Annotated[int, Field(strict=True, ge=0, le=60)] | None = None
    event_id: Id | None = None
    """What the market is about: legs of one event are related, whichever markets they are on."""
    closes_at: GivenMoment | None = None
    """At and after it no bet is taken, whatever else has become of the market."""
    currency: Currency | None = None
    """The currency of its amounts, and of the bets that it takes; without one the house's."""

    @model_validator(mode="after")
    def _selections_differ(self) -> Self:
        if len({selection.selection_id for selection in self.selections}) < len(self.selections):
            raise ValueError("selections: two of them have one selectionId")
        return self


class WithdrawSelection(Wire):
    """A selection that does not take part, and what that takes off the winnings (percent) of bets struck before it."""

    selection_id: Id
    deduction: Annotated[int, Field(strict=True, ge=0, le=MAX_DEDUCTION)] = 0


class Withdrawn(State):
    """A selection that was withdrawn."""

    selection_id: str
    deduction: int


class Holder(StrEnum):
    """Who holds a market suspended."""

    TRADER = "trader"
    FEED = "feed"


class SettleMarket(Wire):
    """The result of a market; a higher version corrects a lower one."""

    version: Annotated[int, Field(strict=True, ge=1, le=MAX_VERSION)]
    outcomes: dict[KnownId, SelectionOutcome]


class Terms(State):
    """What a shard needs to know of its market. A higher revision is newer, whenever it arrives."""

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
    """Bets in this currency are taken; in any where a shard does not know it yet."""
    withdrawn: list[Withdrawn] = Field(default_factory=list)
    """Selections that were withdrawn, in the order of that."""

    @property
    def is_open(self) -> bool:
        """Whether the market takes bets now."""
        return self.status is MarketStatus.OPEN

    def is_withdrawn(self, selection_id: str) -> bool:
        """Whether a selection takes part no more."""
        return any(one.selection_id == selection_id for one in self.withdrawn)

    def current_price(self, selection_id: str, known: int) -> Price | None:
        """What a bet's leg can be cashed out at, which was struck when so many withdrawals were known.

        None where bets are not taken, and where a later withdrawal makes the leg void or takes something off it: the
        price of today is of another field than the leg's.
        """
        bears = any(one.deduction for one in self.withdrawn[known:])
        return None if not self.is_open or self.is_withdrawn(selection_id) or bears else self.prices[selection_id]

    def at(self, now: datetime | None) -> "Terms":
        """The terms as they hold at a moment, which needs to be known only where the market closes at one."""
        if self.closes_at is None or now is None or now < self.closes_at or not self.status.takes_changes:
            return self
        return self.model_copy(update={"status": MarketStatus.CLOSED})


class Market(State):
    """A market as it was opened, and what has become of it."""

    opened: OpenMarket
    prices: dict[str, Price]
    currency: str = DEFAULT_CURRENCY
    status: MarketStatus = MarketStatus.OPEN
    revision: int = 1
    result_version: int = 0
    outcomes: dict[str, SelectionOutcome] = Field(default_factory=dict)
    leases: dict[int, dict[str, int]] = Field(default_factory=dict)
    """For each shard in use, what it holds of the limit of each selection."""
    withdrawn: list[Withdrawn] = Field(default_factory=list)
    """Selections that were withdrawn, in the order of that."""
    held_by: list[Holder] = Field(default_factory=list)
    """Who holds the market suspended, while it is."""

    @property
    def holders(self) -> set[Holder]:
        """Who holds the market suspended; an earlier version did not say, and then it may be the trader."""
        if self.status is not MarketStatus.SUSPENDED:
            return set()
        return set(self.held_by) or {Holder.TRADER}

    @property
    def terms(self) -> Terms:
        """What its shards are told."""
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
        """The market with some fields replaced, which its shards must hear of."""
        return self.model_copy(update={**fields, "revision": self.revision + 1})


def open_market(
    market: Market | None, market_id: str, request: OpenMarket, currency: str = DEFAULT_CURRENCY
) -> Market | Refused:
    """Open a market, in the house's currency if it names none, for good.

    The same again changes nothing, whatever has become of it; other content is a conflict.
    """
    asked = OpenMarket.model_validate(request.model_dump())
    if market is None:
        prices = {selection.selection_id: selection.price for selection in asked.selections}
        return Market(opened=asked, prices=prices, currency=currency if asked.currency is None else asked.currency)
    return market if market.opened == asked else id_reused("marketId", market_id)


def set_prices(market: Market, prices: dict[str, Price]) -> Market | Refused:
    """Offer some selections at other prices from now on."""
    if not market.status.takes_changes:
        return _not_open(market.status)
    for selection_id in prices:
        if selection_id not in market.prices:
            return _unknown_selection(selection_id)
        if market.terms.is_withdrawn(selection_id):
            return _selection_withdrawn(selection_id)
    changed = {**market.prices, **prices}
    return market if changed == market.prices else market.changed(prices=changed)


def suspend(market: Market, by: Holder = Holder.TRADER) -> Market | Refused:
    """Take no bets for now, until whoever says so lifts it."""
    return _held(market, market.holders | {by})


def resume(market: Market, by: Holder = Holder.TRADER) -> Market | Refused:
    """Lift a suspension: the feed lifts its own, a trader whatever there is. Then bets are taken if none is left."""
    return _held(market, market.holders - {by} if by is Holder.FEED else set())


def close(market: Market) -> Market:
    """Take no bets any more."""
    return market.changed(status=MarketStatus.CLOSED) if market.status.takes_changes else market


def withdraw(market: Market, request: WithdrawSelection) -> Market | Refused:
    """Take no bets on a selection any more; its legs are void once there is a result. Until then, closed or not.

    The same again changes nothing; another deduction is a conflict.
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
    """Enter a result. An older version than the stored one changes nothing; the same stands for one content.

    Withdrawn selections are void, and need not be named.
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
    """What a market's outcome is for a bet that was struck when so many withdrawals were known.

    Deductions of later ones come on top of the outcome's own, up to the most that there is.
    """
    later = sum(one.deduction for one in withdrawn[known:])
    return outcome.model_copy(update={"deduction": min(outcome.deduction + later, MAX_DEDUCTION)}) if later else outcome


def settlement_id(market_id: str, version: int) -> str:
    """The name of one result's run over a market's bets."""
    return f"{market_id}:{version}"


def join(market: Market, shard: int) -> Market:
    """Note that a shard is in use, so that it hears of every change from now on."""
    return market if shard in market.leases else market.model_copy(update={"leases": {**market.leases, shard: {}}})


class Lease(Wire):
    """What a shard asks of a selection's limit in all: at least `needed`, or nothing more; at best `wanted`."""

    selection_id: str
    needed: int
    wanted: int


def lease(market: Market, shard: int, request: Lease) -> tuple[Market, int]:
    """Let a shard hold more of a selection's limit, and say how much it now holds. Asking again changes nothing."""
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
    """A bet's leg for its market to accept; amounts are of the whole bet, at the prices asked, in minor units.

    `open_stake` is what the player's other open bets have on the same selection. An earlier version tells no `shape`.
    """

    user_id: str
    bet_id: str
    selection_id: str
    price: Price
    price_change: PriceChange
    stake: int
    potential_return: int
    delayed: bool = False
    """Whether the bet has waited as long as a market in play wants."""
    currency: str | None = None
    """What the amounts are in; an older version does not tell."""
    shape: Shape | None = None
    open_stake: int = 0

    def exposure(self, price: Price) -> int:
        """What the house loses if the bet wins, with this leg at a price and the others at those asked."""
        if self.shape is not None:
            return self.shape.exposure(price)
        return max(0, self.potential_return * price.thousandths // self.price.thousandths - self.stake)

    def least_exposure(self, price: Price) -> int:
        """What the house then loses at least, whatever prices the bet's other markets take."""
        return self.exposure(price) if self.shape is None else self.shape.least_exposure(price, self.price_change)


class ExposeLeg(Wire):
    """What the house loses if a bet wins, now that the prices at all its markets are known."""

    user_id: str
    bet_id: str
    page: int
    exposure: int


class CountLeg(Wire):
    """What a bet counts with from now on: nothing once its return is certain, its exposure if that is open again.

    `changes` numbers what is told of a bet. Bets of an earlier version do not know on which page they are.
    """

    user_id: str
    bet_id: str
    page: int | None
    exposure: int
    changes: int


class Reserved(State):
    """A bet on a page of the index; `changes` is the number of the last change of its exposure that was told."""

    user_id: str
    bet_id: str
    selection_id: str
    price: Price
    exposure: int
    changes: int = 0
    withdrawals: int = 0
    """How many withdrawals the shard knew of: deductions of later ones are this bet's too."""


class BetPage(State):
    """A page of a shard's index of bets. One leg of a bet is on a market, so player and bet name it."""

    bets: dict[str, Reserved] = Field(default_factory=dict)


class Shard(State):
    """A market's slice that accepts the bets of some players; the newest page of its index is part of it."""

    terms: Terms
    leased: dict[str, int] = Field(default_factory=dict)
    used: dict[str, int] = Field(default_factory=dict)
    bets: int = 0
    full_pages: int = 0
    newest: BetPage = Field(default_factory=BetPage)
    turned: str = ""
    """Hashes of the names on the page that was let go last: a bet that is asked for again may be there."""


class Extent(Wire):
    """How much a shard holds: its bets, on how many pages, and what the house loses on each selection if it wins."""

    bets: int = 0
    pages: int = 0
    used: dict[str, int] = Field(default_factory=dict)


class Accepted(Wire):
    """The leg is reserved at this price; `page` is where the shard keeps it, and `exposure` what it counts with."""

    price: Price
    page: int
    exposure: int | None = None
    event_id: str | None = None
    """What the market is about, if it says so."""
    withdrawals: int = 0
    """How many withdrawals the shard knew of."""


class Delayed(Wire):
    """The market is in play: it will be asked again after this time."""

    seconds: int
    event_id: str | None = None

    @property
    def pause(self) -> timedelta:
        """The time to wait."""
        return timedelta(seconds=self.seconds)


def shard_of(user_id: str, shards: int) -> int:
    """The shard, from 0, in which a player bets on any market, always the same."""
    return int.from_bytes(blake2b(user_id.encode(), digest_size=8).digest()) % shards


def apply_terms(shard: Shard | None, terms: Terms) -> Shard:
    """Take over what the market says, unless something newer is known."""
    if shard is None:
        return Shard(terms=terms)
    return shard.model_copy(update={"terms": terms}) if terms.revision > shard.terms.revision else shard


def lease_wanted(shard: Shard, request: ReserveLeg) -> Lease | None:
    """What the shard must ask its market for before it can take a leg; None if it has enough, or will refuse anyway."""
    price = _acceptable(shard.terms, request)
    if not isinstance(price, Price):
        return None
    return _lease(shard, request.selection_id, request.least_exposure(price), request.exposure(price))


def lease_to_expose(shard: Shard, page: BetPage, request: ExposeLeg) -> Lease | None:
    """What the shard must ask its market for before it can count a bet with another exposure."""
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
    """The shard with what it holds of a selection's limit."""
    assert held >= shard.leased.get(selection_id, 0), f"{selection_id}: a lease never shrinks"
    return shard.model_copy(update={"leased": {**shard.leased, selection_id: held}})


def may_be_on_turned_page(shard: Shard, request: ReserveLeg) -> bool:
    """Whether an earlier, broken attempt at this bet may have left a leg on the page that was let go last."""
    hashed = hash_of(bet_name(request.user_id, request.bet_id))
    return hashed in shard.turned and any(
        shard.turned.startswith(hashed, start) for start in range(0, len(shard.turned), HASH_LENGTH)
    )


def without_remains(shard: Shard, turned: BetPage, request: ReserveLeg) -> tuple[Shard, BetPage]:
    """Let go of what a killed attempt at this bet has reserved: the bet is decided anew, as the market is now.

    Nobody was told of that attempt. `turned` is the page that was let go last.
    """
    shard, turned = release(shard, turned, request.user_id, request.bet_id)
    shard, _ = release(shard, shard.newest, request.user_id, request.bet_id)
    return shard, turned


def reserve(
    shard: Shard, request: ReserveLeg, now: datetime | None = None
) -> tuple[Shard, Accepted | Delayed | Refused]:
    """Accept a leg at the current price, or say why not.

    It counts with what it may lose the house as far as this market can tell, and where the limit has no room for that,
    with what it surely may: once all markets have answered, it is counted exactly. The time must be known where the
    market closes at one.
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
    """Count a reserved bet exactly, or say that the limit has no room for that. Asking again changes nothing."""
    assert request.exposure >= 0, "the house loses nothing less than nothing"
    bet = page.bets[bet_name(request.user_id, request.bet_id)]
    room = _room(shard, bet.selection_id)
    if room is not None and request.exposure - bet.exposure > max(0, room):
        return shard, page, _liability_limit(bet.selection_id)
    changed, left = _with_exposure(shard, page, bet.model_copy(update={"exposure": request.exposure}))
    kept = Accepted(price=bet.price, page=request.page, exposure=request.exposure, withdrawals=bet.withdrawals)
    return changed, left, kept


def count(shard: Shard, page: BetPage, request: CountLeg) -> tuple[Shard, BetPage]:
    """Count a bet otherwise from now on; what was told of it before, or is told again, changes nothing.

    It is not refused: the bet was accepted long ago. So a correction may bring a shard over its limit.
    """
    assert request.exposure >= 0, "the house loses nothing less than nothing"
    bet = page.bets.get(bet_name(request.user_id, request.bet_id))
    if bet is None or request.changes <= bet.changes:
        return shard, page
    return _with_exposure(
        shard, page, bet.model_copy(update={"exposure": request.exposure, "changes": request.changes})
    )


def newest_pages(shard: Shard) -> list[int]:
    """The page that is part of the shard and the one let go before: where a bet is that was reserved a moment ago."""
    return [shard.full_pages] if shard.full_pages == 0 else [shard.full_pages, shard.full_pages - 1]


def turn_page(shard: Shard) -> tuple[Shard, BetPage | None]:
    """Let go of the newest page when it is full; it then is page number `full_pages` before this."""
    if len(shard.newest.bets) < PAGE_SIZE:
        return shard, None
    turned = "".join(map(hash_of, shard.newest.bets))
    changed = {"full_pages": shard.full_pages + 1, "newest": BetPage(), "turned": turned}
    return shard.model_copy(update=changed), shard.newest


def release(shard: Shard, page: BetPage, user_id: str, bet_id: str) -> tuple[Shard, BetPage]:
    """Give back what a bet reserved, once; `page` is where it is, the newest or a full one that the shard let go."""
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
    """What the shard may still lose on a selection; None where there is no limit."""
    if shard.terms.max_liability is None:
        return None
    return shard.leased.get(selection_id, 0) - shard.used.get(selection_id, 0)


def extent(shard: Shard) -> Extent:
    """How much a shard holds."""
    return Extent(bets=shard.bets, pages=shard.full_pages + 1, used=shard.used)


def bet_name(user_id: str, bet_id: str) -> str:
    """A bet's name among those of all players; ids have no slash."""
    return f"{user_id}/{bet_id}"


class MarketView(Wire):
    """What `get` tells of a market."""

    market_id: str
    name: str
    status: MarketStatus
    prices: dict[str, Price]
    bets: int
    liability: dict[str, int]
    result_version: int
    currency: str
    event_id: str | None
    closes_at: Moment | None
    withdrawn: dict[str, int]


def market_view(market_id: str, market: Market, extents: Iterable[Extent]) -> MarketView:
    """A market with what its shards have taken."""
    shards = list(extents)
    return MarketView(
        market_id=market_id,
        name=market.opened.name,
        status=market.status,
        prices=market.prices,
        bets=sum(shard.bets for shard in shards),
        liability={name: sum(shard.used.get(name, 0) for shard in shards) for name in market.prices},
        result_version=market.result_version,
        currency=market.currency,
        event_id=market.opened.event_id,
        closes_at=market.opened.closes_at,
        withdrawn={one.selection_id: one.deduction for one in market.withdrawn},
    )


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
