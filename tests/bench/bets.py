"""Bets: over many markets, on a hot one, and whether their cost grows with what has been bet before."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from tests.bench.measuring import FLOOR, Request, fresh, no_op
from tests.bench.planting import Planted, market_with_bets, plant, rich_player, with_history

PLAYERS = 256
MARKETS = 64
HISTORIES = (10, 1_000, 100_000)


def bet(players: Sequence[str], markets: Sequence[str]) -> Request:
    """A single at the current price."""
    body: dict[str, object] = {
        "betId": fresh(),
        "walletId": "w",
        "stake": 10,
        "legs": [{"marketId": random.choice(markets), "selectionId": "home", "price": "2.00"}],
    }
    return f"PlayerService/{random.choice(players)}/placeBet", body


def names(kind: str, many: int) -> list[str]:
    """So many new names."""
    return [f"{kind}-{fresh()}" for _ in range(many)]


async def flows(admin: str) -> dict[str, Callable[[], Request]]:
    """Bets beside the floor."""
    planted: list[Planted] = []
    players, markets, hot = names("u", PLAYERS), names("m", MARKETS), names("hot", 1)
    planted += [("PlayerService", user_id, {"player": rich_player(user_id)}) for user_id in players]
    for market_id in [*markets, *hot]:
        planted += market_with_bets(market_id, [])
    found: dict[str, Callable[[], Request]] = {
        FLOOR: no_op,
        "bet": partial(bet, players, markets),
        "bet on one hot market": partial(bet, players, hot),
    }
    for history in HISTORIES:
        [full] = names(f"full-{history}", 1)
        numbers = count()
        planted += market_with_bets(full, ((f"u-{next(numbers)}", f"b-{n}") for n in range(history)))
        found[f"bet on a market with {history:,} bets"] = partial(bet, players, [full])
    for history in HISTORIES:
        veterans = names("veteran", PLAYERS)
        planted += [
            ("PlayerService", user_id, {"player": with_history(rich_player(user_id), history)}) for user_id in veterans
        ]
        found[f"bet of a player with {history:,} bets"] = partial(bet, veterans, markets)
    await plant(admin, planted)
    return found
