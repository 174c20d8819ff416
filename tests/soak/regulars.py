"""A few players who bet after each season: the history of each grows, and a bet of theirs must not cost more for it."""

import asyncio
import itertools
import time

import aiohttp

from tests.bench.bets import bet
from tests.bench.costs import Meter
from tests.bench.measuring import Body, Round, ask, fresh, one_round
from tests.bench.payments import deposit

PLAYERS = 4
BETS = 160
"""In each look, by one client. A player has fewer open bets than the 200 that may be."""
BEFORE = 500
"""What each has bet before the first look: then a player's document has its final size."""
AT_ONCE = 125
SETTLED_LOOK_SECONDS = 0.05


class Regulars:
    """Who they are, and the markets they bet on: a new one each time, on which they win."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self._players: list[str] = []

    async def begin(self, meter: Meter) -> None:
        """Pay in, and bet until each has a history."""
        for _ in range(PLAYERS):
            path, body, *_ = deposit()
            assert body is not None
            await ask(self._client, path, {**body, "amount": 10_000})
            self._players.append(str(body["userId"]))
        for _ in range(BEFORE // AT_ONCE):
            await self._bet(PLAYERS, PLAYERS * AT_ONCE, meter)

    async def bet(self, meter: Meter) -> tuple[Round, float]:
        """A round of bets by one client, and how many milliseconds of it it takes to settle one of them."""
        return await self._bet(1, BETS, meter)

    async def _bet(self, clients: int, count: int, meter: Meter) -> tuple[Round, float]:
        market = f"soak-{fresh()}"
        selections = [{"selectionId": name, "name": name, "price": "2.00"} for name in ("home", "away")]
        await ask(self._client, f"MarketService/{market}/open", {"name": "A game", "selections": selections})
        players = itertools.cycle(self._players)

        def next_bet() -> tuple[str, Body]:
            path, body, *_ = bet([next(players)], [market])
            return path, body

        placed = await one_round(self._client, next_bet, clients, count, meter)
        started = time.perf_counter()
        outcomes = {"home": {"result": "won"}, "away": {"result": "lost"}}
        await ask(self._client, f"MarketService/{market}/settle", {"version": 1, "outcomes": outcomes})
        while await self._settled(market) < count:  # noqa: ASYNC110, another process knows
            await asyncio.sleep(SETTLED_LOOK_SECONDS)
        return placed, (time.perf_counter() - started) * 1000 / count

    async def _settled(self, market: str) -> int:
        async with self._client.post(f"/SettlementWorkflow/{market}:1/progress") as answer:
            settled: int = (await answer.json()).get("settled", 0)
            return settled
