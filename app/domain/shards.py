"""The shards of a market: they accept its bets, on a copy of its terms, within what they lease of its limits.

Only a correction can exceed the limit of a selection, because it reopens bets that were accepted earlier.

The exposure of a bet is what the house loses if the bet wins: the potential return at the accepted prices, less the
stake. A multiple counts with its full exposure on each of its legs, because any leg may decide it, until its return is
certain. Exposures, liabilities and stakes are in minor units of the market's currency.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b

from pydantic import Field

from app.domain.archive import HASH_LENGTH, hash_of
from app.domain.exposure import Shape
from app.domain.markets import Lease, MarketStatus, Terms, not_open, selection_withdrawn, unknown_selection
from app.domain.model import State, Wire
from app.domain.odds import Price, PriceChange, price_taken
from app.domain.refusals import Refusal, Refused

MAX_SHARDS = 16
PAGE_SIZE = 50
"""The number of bets on a full page of a shard's index."""
LEASE_PIECES = 400
"""The number of pieces into which a limit is divided for leases. A shard takes what it needs, rounded up to whole
pieces, so that 16 shards together take less than 16/400 (4 %) of the limit more than they need."""


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
        return not_open(terms.status)
    current = terms.prices.get(request.selection_id)
    if current is None:
        return unknown_selection(request.selection_id)
    if terms.is_withdrawn(request.selection_id):
        return selection_withdrawn(request.selection_id)
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
