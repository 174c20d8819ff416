"""The life of a market: when it closes, what it takes, who holds it suspended, and what is withdrawn from it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from tests.helpers.bets import Customer, Game, ask, crowd, refused
from tests.helpers.feed import Feed
from tests.running import System

WON = {"home": {"result": "won"}, "away": {"result": "lost"}}


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_market_takes_no_bet_from_the_moment_it_closes_at(betting: System) -> None:
    customer = Customer(betting)
    game = Game(betting, closesAt=in_seconds(14))
    placed = customer.bets(game.home())

    def is_refused() -> bool:
        return betting.call("PlayerService", "placeBet", a_small_bet(game), key=customer.user_id).status_code == 409

    betting.eventually(is_refused)

    assert refused(customer.bets(game.home(), status=409)) == "market_not_open"
    assert refused(customer.does("cashOut", {"betId": placed["betId"]}, 409)) == "cash_out_unavailable"
    past = Game(betting, closesAt="2026-01-01T13:00:00+01:00")
    assert past.does("get")["closesAt"] == "2026-01-01T12:00:00.000Z"
    assert refused(customer.bets(past.home(), status=409)) == "market_not_open"
    assert game.ends("won")["done"]


def a_small_bet(game: Game) -> dict[str, object]:
    leg = {"marketId": game.market_id, "selectionId": "home", "price": "2.50"}
    return {"betId": f"b-{uuid4().hex}", "walletId": "w-1", "stake": 10, "legs": [leg]}


def test_a_bet_that_waits_while_its_market_closes_gives_its_stake_back(betting: System) -> None:
    customer = Customer(betting)
    game = Game(betting, betDelaySeconds=14, closesAt=in_seconds(12))

    placed = customer.bets(game.home())

    assert placed["status"] == "delayed"
    bet = betting.eventually(lambda: bet if (bet := customer.bet(placed))["status"] == "refused" else {})
    assert bet["refused"]["reason"] == "market_not_open"
    assert customer.money == (10_000, 0)


@pytest.mark.parametrize("closes_at", ["2026-01-01T12:00:00", "soon", 1_767_225_600, "9999-12-31T23:59:59-23:00"])
def test_a_market_that_closes_at_no_moment_is_refused(system: System, closes_at: object) -> None:
    offer = {"name": "A", "selections": [{"selectionId": "a", "name": "A", "price": "2"}], "closesAt": closes_at}

    answer = ask(system, "MarketService", f"m-{uuid4().hex}", "open", offer, 400)

    assert refused(answer) == "invalid_request"
    assert answer["message"].startswith("closesAt: ")


def test_a_market_takes_bets_in_its_currency_only(betting: System) -> None:
    game, customer = Game(betting, currency="JPY", maxStake=100), Customer(betting)

    answer = customer.bets(game.home(), status=409)

    assert answer["metadata"] == {"reason": "market_currency", "currency": "JPY"}
    assert (game.does("get")["currency"], game.does("get")["bets"]) == ("JPY", 0)
    assert customer.money == (10_000, 0)


def test_a_withdrawal_takes_off_the_winnings_of_bets_before_it_only(betting: System) -> None:
    game, customer, voided = Game(betting, home="5.00"), Customer(betting), Customer(betting)
    before = customer.bets(game.home("5.00"))
    on_the_withdrawn = voided.bets(f"{game.market_id} away 1.80")

    standing = game.does("withdraw", {"selectionId": "away", "deduction": 20})
    assert game.does("withdraw", {"selectionId": "away", "deduction": 20}) == standing
    assert refused(game.does("withdraw", {"selectionId": "away"}, 409)) == "id_reused"
    game.does("setPrices", {"prices": {"home": "4.00"}})
    after = customer.bets(game.home("4.00"))

    assert game.does("get")["withdrawn"] == {"away": 20}
    assert refused(customer.bets(f"{game.market_id} away 1.80", status=409)) == "selection_withdrawn"
    assert refused(game.does("setPrices", {"prices": {"away": "3.00"}}, 409)) == "selection_withdrawn"
    assert refused(voided.does("cashOut", {"betId": on_the_withdrawn["betId"]}, 409)) == "cash_out_unavailable"
    assert refused(customer.does("cashOut", {"betId": before["betId"]}, 409)) == "cash_out_unavailable"
    third = customer.bets(game.home("4.00"))
    assert customer.does("cashOut", {"betId": third["betId"]})["amount"] == 950
    assert refused(game.does("settle", {"version": 1, "outcomes": WON}, 409)) == "selection_withdrawn"
    game.does("settle", {"version": 1, "outcomes": {"home": {"result": "won"}}})
    betting.eventually(lambda: customer.bet(after)["status"] == "settled")
    betting.eventually(lambda: voided.bet(on_the_withdrawn)["status"] == "settled")
    betting.eventually(lambda: customer.bet(before)["status"] == "settled")
    assert (customer.bet(before)["returned"], customer.bet(after)["returned"]) == (4_200, 4_000)
    assert voided.money == (10_000, 0)


def test_the_feed_lifts_its_own_suspension_and_not_the_traders(betting: System) -> None:
    game = Game(betting)
    feed = Feed(betting, game.market_id)

    game.does("suspend")
    assert feed.brings("suspend") == feed.brings("resume") == {"status": "applied"}
    assert feed.market["status"] == "suspended"
    assert game.does("resume")["status"] == "open"
    feed.brings("suspend")
    assert feed.market["status"] == "suspended"
    feed.brings("resume")
    assert feed.market["status"] == "open"


def test_the_feed_withdraws_a_selection(betting: System) -> None:
    game = Game(betting)
    feed = Feed(betting, game.market_id)

    assert feed.brings("withdraw", {"selectionId": "away", "deduction": 5}) == {"status": "applied"}

    assert feed.market["withdrawn"] == {"away": 5}
    assert feed.brings("withdraw", {"selectionId": "away"})["reason"] == "id_reused"


def test_a_version_with_other_outcomes_is_refused_and_parked(betting: System) -> None:
    game = Game(betting)
    feed = Feed(betting, game.market_id)
    game.ends("won", version=2)
    lost = {"home": {"result": "lost"}, "away": {"result": "won"}}

    assert refused(game.does("settle", {"version": 2, "outcomes": lost}, 409)) == "id_reused"
    assert feed.brings("settle", {"version": 2, "outcomes": lost})["reason"] == "id_reused"
    assert game.does("settle", {"version": 1, "outcomes": lost})["settlementId"] == f"{game.market_id}:2"
    assert game.ends("lost", "won", version=2**53 - 1)["done"]
    assert refused(game.does("settle", {"version": 2**53, "outcomes": WON}, 400)) == "invalid_request"


@pytest.mark.parametrize("name", ["{}:1", "{}:3", "{}", "m-unknown:0", "m-unknown:1", "a b:1", ":1", "{}:01"])
def test_progress_of_a_settlement_that_never_was_is_not_found(betting: System, name: str) -> None:
    game = Game(betting)
    game.ends("won", version=2)

    assert refused(ask(betting, "SettlementWorkflow", name.format(game.market_id), "progress", None, 404)) == (
        "unknown_settlement"
    )


def stop(system: System, invocation: str, how: str) -> None:
    httpx.patch(f"{system.admin}/invocations/{invocation}/{how}", timeout=30)


def running(system: System, service: str, key: str) -> list[str]:
    sql = f"""select id from sys_invocation_status where target_service_name = '{service}'
      and target_service_key = '{key}' and status <> 'completed'"""
    return [row["id"] for row in system.query(sql)]


@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_a_settlement_that_is_stopped_is_done_by_the_same_settle(system: System, how: str) -> None:
    game, customers = Game(system), crowd(system, 120)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda customer: customer.bets(game.home()), customers))
    settlement = game.does("settle", {"version": 1, "outcomes": WON})["settlementId"]

    for _ in range(3):
        for service in ("SettlementWorkflow", "SettlementRun"):
            for invocation in running(system, service, settlement):
                stop(system, invocation, how)
    game.does("settle", {"version": 1, "outcomes": WON})

    done = {"bets": 120, "settled": 120, "paid": 120 * 2_500, "done": True}
    system.eventually(lambda: ask(system, "SettlementWorkflow", settlement, "progress") == done)
    assert {customer.money for customer in customers} == {(11_500, 0)}
