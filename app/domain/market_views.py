"""What is told of a market: to everybody from the market alone, to operators with the contents of its shards."""

from collections.abc import Iterable

from pydantic import Field

from app.domain.access import Actor
from app.domain.markets import ChangeKind, Market, MarketStatus
from app.domain.model import Moment, Wire, is_none
from app.domain.odds import Price
from app.domain.shards import Extent


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
