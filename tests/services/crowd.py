"""Many players at once, with money that no deposit had to bring them."""

import asyncio
from uuid import uuid4

from tests.bench.planting import plant
from tests.running import System
from tests.services.test_bets import Customer
from tests.strategies import rich


class Found(Customer):
    """A player who is there already."""

    def __init__(self, betting: System, user_id: str) -> None:
        self.betting = betting
        self.user_id = user_id


def crowd(betting: System, many: int, amount: int = 10_000) -> list[Customer]:
    """So many players with this much in the wallet w-1, given to Restate as state, as deposits would have left it."""
    document = rich(amount)
    names = [f"u-{uuid4().hex}" for _ in range(many)]
    players = [("PlayerService", name, {"player": document.changed(user_id=name)}) for name in names]
    asyncio.run(plant(betting.admin, players))
    return [Found(betting, name) for name in names]
