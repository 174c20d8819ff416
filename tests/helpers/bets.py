"""The people of a test: a customer who bets, a game with its operator, and crowds of players who are there already."""

import asyncio
from uuid import uuid4

from tests.bench.planting import plant
from tests.helpers.deposits import credited, request
from tests.running import System
from tests.strategies import rich


def ask(betting: System, service: str, key: str, handler: str, body: object = None, status: int = 200) -> dict:  # type: ignore[type-arg]
    response = betting.call(service, handler, body, key=key)
    assert response.status_code == status, response.text
    return response.json()  # type: ignore[no-any-return]


class Customer:
    """A player with money, and what they do."""

    def __init__(self, betting: System, amount: int = 10_000) -> None:
        self.betting = betting
        body = request(amount=amount, walletId="w-1")
        self.user_id = str(body["userId"])
        credited(betting, body)

    def does(self, handler: str, body: object = None, status: int = 200) -> dict:  # type: ignore[type-arg]
        return ask(self.betting, "PlayerService", self.user_id, handler, body, status)

    def bets(self, *legs: str, stake: int = 1_000, status: int = 200, **fields: object) -> dict:  # type: ignore[type-arg]
        """Place a bet on `market selection price`s."""
        asked = [dict(zip(("marketId", "selectionId", "price"), leg.split(), strict=True)) for leg in legs]
        body = {"betId": f"b-{uuid4().hex}", "walletId": "w-1", "stake": stake, "legs": asked, **fields}
        return self.does("placeBet", body, status)

    def bet(self, bet: dict) -> dict:  # type: ignore[type-arg]
        return self.does("getBet", {"betId": bet["betId"]})

    @property
    def money(self) -> tuple[int, int]:
        """Cash and locked stakes, after an audit."""
        assert self.does("audit")["balanced"] is True
        wallet = self.does("getAccount")["wallets"]["w-1"]
        return wallet["cash"], wallet["locked"]


class Game:
    """A market with a home win at 2.50 and an away win at 1.80, and what its operator does."""

    def __init__(self, betting: System, home: str = "2.50", away: str = "1.80", **fields: object) -> None:
        self.betting = betting
        self.market_id = f"m-{uuid4().hex}"
        self.offer = {
            "name": "A game",
            "selections": [
                {"selectionId": "home", "name": "Home", "price": home},
                {"selectionId": "away", "name": "Away", "price": away},
            ],
            **fields,
        }
        self.does("open", self.offer)

    def does(self, handler: str, body: object = None, status: int = 200) -> dict:  # type: ignore[type-arg]
        return ask(self.betting, "MarketService", self.market_id, handler, body, status)

    def ends(self, home: object, away: object = "lost", version: int = 1) -> dict:  # type: ignore[type-arg]
        """Settle, and wait until all bets are."""
        outcomes = {"home": home, "away": away}
        named = {name: {"result": how} if isinstance(how, str) else how for name, how in outcomes.items()}
        settlement = self.does("settle", {"version": version, "outcomes": named})["settlementId"]
        return self.betting.eventually(lambda: self._done(settlement))

    def _done(self, settlement: str) -> dict:  # type: ignore[type-arg]
        progress = ask(self.betting, "SettlementWorkflow", settlement, "progress")
        return progress if progress["done"] else {}

    def home(self, price: str = "2.50") -> str:
        """A leg on the home win."""
        return f"{self.market_id} home {price}"


def refused(answer: dict) -> str:  # type: ignore[type-arg]
    return answer["metadata"]["reason"]  # type: ignore[no-any-return]


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
