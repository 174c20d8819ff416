"""Bets: over many markets, on a hot one, and whether their cost grows with what has been bet before."""

import random
from collections.abc import Callable, Sequence
from functools import partial

from app.domain.archive_pages import MAX_ENDED
from tests.bench.door import Door
from tests.bench.measuring import FLOOR, Request, fresh, in_order, no_op
from tests.bench.planting import Planted, market_with_bets, plant, rich_player, veterans

PLAYERS = 1_024
VETERANS = 64
MARKETS = 64
HISTORIES = (10, 1_000, 100_000)
WITHOUT_ORDER = ", ids in no order"


def bet(players: Sequence[str], markets: Sequence[str]) -> Request:
    """A single at the current price."""
    body: dict[str, object] = {
        "betId": in_order(),
        "walletId": "w",
        "stake": 10,
        "legs": [{"marketId": random.choice(markets), "selectionId": "home", "price": "2.00"}],
    }
    return f"PlayerService/{random.choice(players)}/placeBet", body


def names(kind: str, many: int) -> list[str]:
    """So many new names."""
    return [f"{kind}-{fresh()}" for _ in range(many)]


def through(door: Door, flow: Callable[[], Request]) -> Callable[[], Request]:
    """A flow's requests at the door, each with its player's token."""

    def request() -> Request:
        path, body, *_ = flow()
        _, player, _ = path.split("/")
        return f"{door.url}/{path}", body, {"authorization": f"Bearer {door.token(player)}"}

    return request


async def flows(admin: str, door: Door, named: Sequence[str]) -> dict[str, Callable[[], Request]]:
    """Bets beside the floor. Only the histories of the named flows are planted, or of all if none is named."""
    histories = [many for many in HISTORIES if not named or any(f" {many:,} bets" in name for name in named)]
    planted: list[Planted] = []

    def by_new_players(markets: Sequence[str]) -> Callable[[], Request]:
        players = names("u", PLAYERS)
        planted.extend(("PlayerService", user_id, {"player": rich_player(user_id)}) for user_id in players)
        return partial(bet, players, markets)

    markets, hot = names("m", MARKETS), names("hot", 1)
    for market_id in [*markets, *hot]:
        planted += market_with_bets(market_id, [])
    found: dict[str, Callable[[], Request]] = {
        FLOOR: no_op,
        "bet": by_new_players(markets),
        "bet through the edge": through(door, by_new_players(markets)),
        "bet on one hot market": by_new_players(hot),
    }
    for history in histories:
        [full] = names(f"full-{history}", 1)
        planted += market_with_bets(full, ((f"u-{number}", f"b-{number}") for number in range(history)))
        found[f"bet on a market with {history:,} bets"] = by_new_players([full])
    await plant(admin, planted)
    for history in histories:
        players = names("veteran", VETERANS)
        await plant(admin, veterans(players, history))
        found[f"bet of a player with {history:,} bets"] = partial(bet, players, markets)
        if history > MAX_ENDED:
            players = names("unmarked", VETERANS)
            await plant(admin, veterans(players, history, marked=False))
            found[f"bet of a player with {history:,} bets{WITHOUT_ORDER}"] = partial(bet, players, markets)
    return found
