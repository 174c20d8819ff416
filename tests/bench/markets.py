"""Reads and price changes of one market, without shards in use and with all of them."""

import random
from collections.abc import Callable
from functools import partial

from app.domain.markets import Market, open_market
from tests.bench.bets import names
from tests.bench.measuring import FLOOR, Body, Request, no_op
from tests.bench.planting import SHARDS, Planted, market_with_bets, offer, plant

READS = ("prices", "liability", "get")


def read(market_id: str, handler: str) -> Request:
    """A read of the market. No caller is named, so that it is answered as an operator's is."""
    return f"MarketService/{market_id}/{handler}", None


def price_change(market_id: str) -> Request:
    """A new price of one selection."""
    body: Body = {"prices": {"home": f"{random.randint(2_000, 3_000) / 1_000:.3f}"}}
    return f"MarketService/{market_id}/setPrices", body


async def flows(admin: str) -> dict[str, Callable[[], Request]]:
    """Reads and price changes beside the floor, each on a market of its own."""
    found: dict[str, Callable[[], Request]] = {FLOOR: no_op}
    planted: list[Planted] = []
    for shards in (0, SHARDS):
        for handler in (*READS, "price change"):
            [market_id] = names("m", 1)
            planted += market_with_bets(market_id, []) if shards else [without_shards(market_id)]
            flow = partial(read, market_id, handler) if handler in READS else partial(price_change, market_id)
            found[f"{handler}, {shards} shards"] = flow
    await plant(admin, planted)
    return found


def without_shards(market_id: str) -> Planted:
    """A market that nobody has bet on."""
    market = open_market(None, market_id, offer())
    assert isinstance(market, Market)
    return "MarketService", market_id, {"market": market}
