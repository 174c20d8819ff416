"""Flows of markets that more than one crash matrix runs."""

from collections.abc import Iterator

from tests.helpers.bets import Customer, Game, refused
from tests.running import System


def movements(customer: Customer) -> list[tuple[str, int]]:
    """The customer's movements after the deposit, with what each did to the cash."""
    page = customer.does("getStatement", {"page": 1})
    assert page["pages"] == 1
    return [(entry["kind"], entry["amount"]) for entry in page["entries"][1:]]


def bets_and_liability(game: Game) -> tuple[int, int]:
    """How many bets the market has, and what the house loses if home wins."""
    view = game.does("get")
    assert view["liability"]["away"] == 0
    return view["bets"], view["liability"]["home"]


def a_suspension(betting: System) -> Iterator[None]:
    game, customer = Game(betting), Customer(betting)
    placed = customer.bets(game.home())
    yield

    assert game.does("suspend")["status"] == "suspended"

    assert refused(customer.bets(game.home(), status=409)) == "market_suspended"
    assert refused(customer.does("cashOut", {"betId": placed["betId"]}, 409)) == "cash_out_unavailable"
    assert customer.money == (9_000, 1_000)
    assert bets_and_liability(game) == (1, 1_500)


def a_settlement(betting: System) -> Iterator[None]:
    game, customer = Game(betting), Customer(betting)
    placed = customer.bets(game.home())
    yield

    progress = game.ends("won")

    assert progress == {"bets": 1, "settled": 1, "paid": 2_500, "done": True}
    assert customer.bet(placed)["returned"] == 2_500
    assert movements(customer) == [("stakeHeld", -1_000), ("betSettled", 2_500)]
    assert customer.money == (11_500, 0)
    assert bets_and_liability(game) == (1, 1_500)
    assert game.does("get")["status"] == "settled"


def a_correction(betting: System) -> Iterator[None]:
    game, customer = Game(betting), Customer(betting)
    placed = customer.bets(game.home())
    game.ends("won")
    yield

    progress = game.ends("halfWon", version=2)

    assert progress == {"bets": 1, "settled": 1, "paid": -750, "done": True}
    assert customer.bet(placed)["returned"] == 1_750
    assert movements(customer) == [("stakeHeld", -1_000), ("betSettled", 2_500), ("betCorrected", -750)]
    assert customer.money == (10_750, 0)
    assert game.does("get")["resultVersion"] == 2
