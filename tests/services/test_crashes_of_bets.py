"""Bets, and the crash matrix: whatever is killed, at whichever step, one stake is held and one return is paid.

Each row of the printed table is a flow, a step and what was killed there: all steps of what a flow is about, but not
again those that it shares with a flow before it, so that the whole takes a minute or two.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from rich.console import Console

from app.domain.shards import PAGE_SIZE
from tests.helpers.bets import Customer, Game, refused
from tests.helpers.flows import a_correction, a_settlement, a_suspension, bets_and_liability, movements
from tests.running import System
from tests.services.crash_matrix import PATIENCE_SECONDS, Crashing, Flow, matrix


def a_single(betting: System) -> Iterator[None]:
    game, customer = Game(betting, maxLiability=100_000), Customer(betting)
    yield

    placed = customer.bets(game.home())

    assert placed["status"] == "accepted"
    assert customer.bet(placed)["status"] == "open"
    assert movements(customer) == [("stakeHeld", -1_000)]
    assert customer.money == (9_000, 1_000)
    assert bets_and_liability(game) == (1, 1_500)


def a_double_that_one_market_refuses(betting: System) -> Iterator[None]:
    takes, refuses, customer = Game(betting), Game(betting), Customer(betting)
    refuses.does("suspend")
    yield

    answer = customer.bets(takes.home(), refuses.home(), status=409)

    assert refused(answer) == "market_suspended"
    assert customer.does("listBets") == {"bets": []}
    assert movements(customer) == []
    assert customer.money == (10_000, 0)
    assert (bets_and_liability(takes), bets_and_liability(refuses)) == ((0, 0), (0, 0))


def a_bet_in_play(betting: System) -> Iterator[None]:
    game, customer = Game(betting, betDelaySeconds=1), Customer(betting)
    yield

    placed = customer.bets(game.home())

    betting.eventually(lambda: customer.bet(placed)["status"] == "open")
    assert movements(customer) == [("stakeHeld", -1_000)]
    assert customer.money == (9_000, 1_000)
    assert bets_and_liability(game) == (1, 1_500)


def a_double_that_waits(betting: System) -> tuple[Game, Game, Customer, dict[str, object]] | None:
    """A double that one of its markets will refuse; none if it was decided before the suspension was everywhere."""
    quick, slow, customer = Game(betting), Game(betting, betDelaySeconds=4), Customer(betting)
    placed = customer.bets(quick.home(), slow.home())
    slow.does("suspend")
    # It waits for its turn behind a decision that has begun, and may have asked the market before the suspension.
    customer.does("cashOut", {"betId": placed["betId"]}, 409)
    return (quick, slow, customer, placed) if customer.bet(placed)["status"] == "delayed" else None


def a_double_in_play_that_one_market_refuses(betting: System) -> Iterator[None]:
    waiting = betting.eventually(lambda: a_double_that_waits(betting), PATIENCE_SECONDS)
    assert waiting is not None
    quick, slow, customer, placed = waiting
    yield

    betting.eventually(lambda: customer.bet(placed)["status"] == "refused")

    assert movements(customer) == [("stakeHeld", -1_000), ("stakeReturned", 1_000)]
    assert customer.money == (10_000, 0)
    assert (bets_and_liability(quick), bets_and_liability(slow)) == ((0, 0), (0, 0))


def a_cash_out(betting: System) -> Iterator[None]:
    game, customer = Game(betting, home="4.00"), Customer(betting)
    placed = customer.bets(game.home("4.00"))
    game.does("setPrices", {"prices": {"home": "2.00"}})
    yield

    paid = customer.does("cashOut", {"betId": placed["betId"]})

    assert paid["amount"] == 1_900
    assert customer.bet(placed)["status"] == "cashedOut"
    assert movements(customer) == [("stakeHeld", -1_000), ("betCashedOut", 1_900)]
    assert customer.money == (10_900, 0)
    betting.eventually(lambda: bets_and_liability(game) == (1, 0))


def a_double_refused_on_a_page_that_it_filled(betting: System) -> Iterator[None]:
    full, refuses, customer = Game(betting), Game(betting), Customer(betting)
    refuses.does("suspend")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: customer.bets(full.home(), stake=10), range(PAGE_SIZE - 1)))
    yield

    customer.bets(full.home(), refuses.home(), status=409)

    customer.bets(full.home(), stake=10)
    assert bets_and_liability(full) == (PAGE_SIZE, PAGE_SIZE * 15)
    assert full.ends("won") == {"bets": PAGE_SIZE, "settled": PAGE_SIZE, "paid": PAGE_SIZE * 25, "done": True}
    assert customer.money == (10_000 + PAGE_SIZE * 15, 0)
    assert customer.does("getStatement")["pages"] == -(-(1 + 2 * PAGE_SIZE) // 50)


def a_double(betting: System) -> Iterator[None]:
    games, customer = [Game(betting, maxLiability=100_000) for _ in range(2)], Customer(betting)
    yield

    placed = customer.bets(*(game.home("1.50") for game in games), priceChange="any")

    assert customer.bet(placed)["status"] == "open"
    assert customer.money == (9_000, 1_000)
    betting.eventually(lambda: [bets_and_liability(game) for game in games] == [(1, 5_250), (1, 5_250)])


def a_bet_in_play_that_is_asked_for_again(betting: System) -> Iterator[None]:
    game, customer = Game(betting, betDelaySeconds=1), Customer(betting)
    bet = {"betId": f"b-{uuid4().hex}"}
    yield

    def decided() -> bool:
        customer.bets(game.home(), betId=bet["betId"])
        return bool(customer.bet(bet)["status"] == "open")

    betting.eventually(decided)
    assert movements(customer) == [("stakeHeld", -1_000)]
    assert customer.money == (9_000, 1_000)
    betting.eventually(lambda: bets_and_liability(game) == (1, 1_500))


def a_cash_out_that_is_asked_for_again(betting: System) -> Iterator[None]:
    game, customer = Game(betting, home="4.00"), Customer(betting)
    quiet = Game(betting)
    placed = customer.bets(game.home("4.00"), quiet.home())
    game.does("setPrices", {"prices": {"home": "2.00"}})
    yield

    def freed() -> bool:
        paid = customer.does("cashOut", {"betId": placed["betId"]})
        return (paid["amount"], bets_and_liability(game), bets_and_liability(quiet)) == (1_900, (1, 0), (1, 0))

    betting.eventually(freed)
    assert movements(customer) == [("stakeHeld", -1_000), ("betCashedOut", 1_900)]
    assert customer.money == (10_900, 0)


def a_cash_out_in_play(betting: System) -> Iterator[None]:
    game, customer = Game(betting, home="4.00", betDelaySeconds=1), Customer(betting)
    placed = customer.bets(game.home("4.00"))
    betting.eventually(lambda: customer.bet(placed)["status"] == "open")
    game.does("setPrices", {"prices": {"home": "2.00"}})
    yield

    def paid() -> bool:
        answer = customer.does("cashOut", {"betId": placed["betId"]})
        return answer["status"] == "cashedOut" and bets_and_liability(game) == (1, 0)

    betting.eventually(paid)
    assert movements(customer) == [("stakeHeld", -1_000), ("betCashedOut", 1_900)]
    assert customer.money == (10_900, 0)


FLOWS: dict[Flow, tuple[str, ...]] = {
    a_single: ("PlayerService/placeBet", "MarketBook/reserve", "MarketService/"),
    a_double_that_one_market_refuses: ("PlayerService/placeBet", "MarketBook/release"),
    a_bet_in_play: (".*/placeBet .* (OneWayCall|SetState)", "PlayerService/decideBet"),
    a_double_in_play_that_one_market_refuses: (".*/decideBet .* (Call|SetState)", ".*/release .* SetState"),
    a_cash_out: ("PlayerService/cashOut", "MarketBook/terms"),
    a_suspension: ("MarketService/suspend", "MarketService/change", "MarketBook/hear"),
    a_settlement: (
        "MarketService/settle",
        "SettlementWorkflow/",
        "SettlementService/",
        "MarketBook/(extent|page)",
        "PlayerService/applyResult",
    ),
    a_correction: ("SettlementService/", "PlayerService/applyResult"),
    a_double_refused_on_a_page_that_it_filled: (
        "MarketBookPage/keep .* SetState",
        "MarketBookPage/read .* Output",
        ".*/release .* (SetState|OneWayCall)",
        ".*/keepArchive .* SetState",
    ),
}
"""The flows, with the steps at which each is killed."""


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_a_kill_at_any_step_changes_nothing_about_the_end(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], flow: Flow
) -> None:
    table, ends = matrix(crashing, flow, FLOWS[flow])

    assert ends > len(FLOWS[flow])
    with capsys.disabled():
        Console(width=150).print(table)


STOPPED: dict[Flow, tuple[str, ...]] = {
    a_single: ("PlayerService/placeBet", "MarketBook/reserve", "MarketService/"),
    a_double: ("PlayerService/placeBet", "MarketBook/"),
    a_double_that_one_market_refuses: ("PlayerService/placeBet", "MarketBook/"),
    a_bet_in_play_that_is_asked_for_again: ("PlayerService/", "MarketBook/"),
    a_cash_out_that_is_asked_for_again: ("PlayerService/", "MarketBook/"),
    a_cash_out_in_play: ("PlayerService/", "MarketBook/"),
}
"""The flows that are cancelled and killed, by the steps; what was sent and killed is sent on when it is asked again."""


@pytest.mark.parametrize("column", ["cancel", "kill"])
@pytest.mark.parametrize("flow", STOPPED, ids=lambda flow: flow.__name__)
def test_a_bet_that_is_stopped_at_any_step_ends_the_same_once_it_is_asked_for_again(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], flow: Flow, column: str
) -> None:
    table, ends = matrix(crashing, flow, STOPPED[flow], [column])

    assert ends > len(STOPPED[flow])
    with capsys.disabled():
        Console(width=130).print(table)
