"""Markets, bets and settlement, each scenario of the contract, with and without forced replay."""

from uuid import uuid4

from tests.running import System
from tests.services.test_deposits import deposit, request

HALF = {"result": "won", "deadHeat": {"places": 1, "tied": 2}}


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
        deposit(betting, body)

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

    def _done(self, settlement: str) -> dict | None:  # type: ignore[type-arg]
        progress = ask(self.betting, "SettlementWorkflow", settlement, "progress")
        return progress if progress["done"] else None

    def home(self, price: str = "2.50") -> str:
        """A leg on the home win."""
        return f"{self.market_id} home {price}"


def test_a_bet_from_market_to_payout(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)

    placed = customer.bets(game.home())

    assert placed == {
        "betId": placed["betId"],
        "status": "accepted",
        "totalStake": 1_000,
        "lines": 1,
        "potentialReturn": 2_500,
        "legs": [{"marketId": game.market_id, "selectionId": "home", "price": "2.50"}],
        "balance": {"cash": 9_000, "locked": 1_000, "pendingOut": 0},
    }
    assert customer.money == (9_000, 1_000)
    assert game.does("get")["liability"] == {"home": 1_500, "away": 0}
    assert game.ends("won") == {"bets": 1, "settled": 1, "paid": 2_500, "done": True}
    assert customer.money == (11_500, 0)
    assert customer.bet(placed)["status"] == "settled"
    assert game.does("get")["status"] == "settled"
