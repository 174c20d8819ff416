"""Who did it: the actor and the role that every movement, limit, restriction, review and market change carries."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.domain.access import RECEIVED_HEADER, ROLES_HEADER, USER_HEADER
from tests.running import REPLAYING, System, running

PEOPLE = {
    "ann": "",
    "sue": "support",
    "tom": "trader",
    "tim": "trader",
    "pia": "payments",
    "ada": "auditor",
    "fay": "feed",
}
SETTINGS = {
    "BETTING_REQUIRE_IDENTITY": "true",
    "BETTING_REVIEW_THRESHOLD": "5000",
    "BETTING_REVIEW_TIMEOUT_SECONDS": "600",
}
OFFER = {
    "name": "A game",
    "selections": [
        {"selectionId": "home", "name": "Home", "price": "2.00"},
        {"selectionId": "away", "name": "Away", "price": "2.00"},
    ],
}


@pytest.fixture(scope="module", params=[{}, REPLAYING], ids=["plain", "replaying"])
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("actors"), SETTINGS | request.param) as system:
        yield system


def ask(door: System, who: str | None, path: str, body: object = None) -> httpx.Response:
    service, *key, handler = path.split("/")
    headers = {} if who is None else {USER_HEADER: who, ROLES_HEADER: PEOPLE.get(who, "")}
    return door.call(service, handler, body, key[0] if key else None, headers)


def did(door: System, who: str | None, path: str, body: object = None) -> dict[str, Any]:
    answer = ask(door, who, path, body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def deposited(door: System, player: str, amount: int = 10_000) -> None:
    body = {
        "walletId": "w",
        "userId": player,
        "email": f"{player}@example.com",
        "amount": amount,
        "paymentMethod": "card",
        "depositId": f"d-{player}",
    }
    assert did(door, player, "PaymentService/deposit", body)["status"] == "credited"


def bet(door: System, player: str, market: str) -> None:
    leg = {"marketId": market, "selectionId": "home", "price": "2.00"}
    body = {"betId": f"b-{player}", "walletId": "w", "stake": 1_000, "legs": [leg]}
    assert did(door, player, f"PlayerService/{player}/placeBet", body)["status"] == "accepted"


def result(version: int, home: str) -> dict[str, Any]:
    away = {"won": "lost", "lost": "won"}[home]
    return {"version": version, "outcomes": {"home": {"result": home}, "away": {"result": away}}}


def by(door: System, player: str) -> list[tuple[str, str | None]]:
    """Each movement of a player, and who caused it as `role:user`."""
    entries = did(door, "ada", f"PlayerService/{player}/getStatement")["entries"]
    return [(one["kind"], f"{one['by']['role']}:{one['by']['user']}" if "by" in one else None) for one in entries]


def actor(user: str) -> dict[str, str]:
    return {"user": user, "role": PEOPLE.get(user) or "player"}


def test_a_movement_is_by_whoever_caused_it_and_only_operators_see_them(door: System) -> None:
    player, market = "ann", "m-ann"
    deposited(door, player)
    did(door, "tom", f"MarketService/{market}/open", OFFER)
    bet(door, player, market)
    did(door, "tom", f"MarketService/{market}/settle", result(1, "won"))
    door.eventually(lambda: len(by(door, player)) == 3)
    did(door, "tim", f"MarketService/{market}/settle", result(2, "lost"))
    door.eventually(lambda: len(by(door, player)) == 4)

    assert by(door, player) == [
        ("deposit", "player:ann"),
        ("stakeHeld", "player:ann"),
        ("betSettled", "trader:tom"),
        ("betCorrected", "trader:tim"),
    ]
    entries = did(door, player, f"PlayerService/{player}/getStatement")["entries"]
    assert len(entries) == 4
    assert all("by" not in entry for entry in entries)


def test_a_cash_out_is_by_its_player(door: System) -> None:
    player, market = "cas", "m-cas"
    deposited(door, player)
    did(door, "tom", f"MarketService/{market}/open", OFFER)
    bet(door, player, market)
    did(door, player, f"PlayerService/{player}/cashOut", {"betId": f"b-{player}"})

    assert by(door, player)[-1] == ("betCashedOut", "player:cas")


@pytest.mark.parametrize(
    ("decision", "body", "ended"),
    [("approve", {}, "withdrawalPaid"), ("reject", {"reason": "no"}, "withdrawalReturned")],
)
def test_a_reviewed_withdrawal_is_by_its_operator_whatever_the_body_says(
    door: System, decision: str, body: dict[str, str], ended: str
) -> None:
    player = f"wim-{decision}"
    deposited(door, player)
    withdrawal = {
        "walletId": "w",
        "userId": player,
        "amount": 5_000,
        "destination": "bank",
        "withdrawalId": f"x-{decision}",
    }
    assert did(door, player, "PaymentService/withdraw", withdrawal)["status"] == "inReview"
    did(door, "pia", f"WithdrawalWorkflow/x-{decision}/{decision}", {"operator": "somebody else", **body})
    door.eventually(lambda: by(door, player)[-1][0] == ended)

    assert by(door, player)[-2:] == [("withdrawalHeld", f"player:{player}"), (ended, "payments:pia")]


def test_a_refund_is_by_the_provider(door: System) -> None:
    deposited(door, "ria")
    httpx.post(f"{door.sandbox}/charges/d-ria/refund").raise_for_status()
    door.eventually(lambda: len(by(door, "ria")) == 2)

    assert by(door, "ria")[-1] == ("depositRefunded", "provider:provider")


def test_a_limit_and_a_restriction_say_who_changed_them_last(door: System) -> None:
    limit = {"kind": "stake", "period": "week"}

    def seen(who: str) -> dict[str, Any]:
        limits = did(door, who, "PlayerService/lea/getLimits")["limits"]
        return next(one for one in limits if (one["kind"], one["period"]) == ("stake", "week"))

    def restriction(who: str) -> dict[str, Any]:
        found: dict[str, Any] = did(door, who, "PlayerService/lea/getAccount")["restriction"]
        return found

    did(door, "lea", "PlayerService/lea/setLimit", limit | {"amount": 5_000})
    assert seen("ada")["by"] == actor("lea")
    did(door, "sue", "PlayerService/lea/setLimit", limit | {"amount": 4_000})
    did(door, "lea", "PlayerService/lea/setLimit", limit | {"amount": 4_000})  # changes nothing
    assert seen("ada")["by"] == actor("sue")
    assert "by" not in seen("lea")

    did(door, "lea", "PlayerService/lea/takeBreak", {"days": 1})
    assert restriction("ada")["by"] == actor("lea")
    did(door, "sue", "PlayerService/lea/selfExclude", {"months": 6, "confirm": True})
    assert restriction("ada")["by"] == actor("sue")
    assert "by" not in restriction("lea")


def test_a_market_says_who_changed_it_last_and_shows_its_liability_to_operators_only(door: System) -> None:
    market = "m-tim"
    did(door, "tom", f"MarketService/{market}/open", OFFER)
    did(door, "fay", f"MarketService/{market}/setPrices", {"prices": {"home": "2.10"}})
    did(door, "tim", f"MarketService/{market}/setPrices", {"prices": {"home": "2.10"}})  # changes nothing
    did(door, "tim", f"MarketService/{market}/suspend")
    did(door, "tom", f"MarketService/{market}/settle", result(1, "won"))

    seen = did(door, "ada", f"MarketService/{market}/get")
    assert seen["madeBy"] == {
        "opening": actor("tom"),
        "prices": actor("fay"),
        "status": actor("tim"),
        "result": actor("tom"),
    }
    assert (seen["bets"], seen["liability"]) == (0, {"home": 0, "away": 0})
    for who in (None, "ann", "fay"):
        told = did(door, who, f"MarketService/{market}/get")
        assert told["prices"] == seen["prices"]
        assert told.keys().isdisjoint({"bets", "liability", "madeBy"})
        assert (
            told
            == did(door, who, f"MarketService/{market}/prices")
            == did(door, "ada", f"MarketService/{market}/prices")
        )


def test_a_record_is_by_whoever_sent_it_and_a_retried_one_by_whoever_retried_it(door: System) -> None:
    market = "m-fay"
    changed = {"type": "setPrices", "content": {"prices": {"home": "2.20"}}}
    assert did(door, "fay", f"MarketFeed/{market}/take", changed)["status"] == "parked"
    did(door, "fay", f"MarketFeed/{market}/take", {"type": "open", "content": OFFER})
    record = door.eventually(lambda: did(door, "tom", f"MarketQuarantine/{market}/list")["records"])[0]["recordId"]
    assert did(door, "tom", f"MarketQuarantine/{market}/retry", {"recordId": record})["applied"] is True
    did(door, "tim", f"MarketFeed/{market}/take", {"type": "suspend"})

    made_by = did(door, "ada", f"MarketService/{market}/get")["madeBy"]
    assert made_by == {"opening": actor("fay"), "prices": actor("tom"), "status": actor("tim")}


def test_the_time_of_a_request_is_when_the_door_received_it_and_movements_never_go_back(door: System) -> None:
    player, market = "tia", "m-tia"
    deposited(door, player)
    did(door, "tom", f"MarketService/{market}/open", OFFER)

    def placed_at(bet_id: str, received: str) -> datetime:
        leg = {"marketId": market, "selectionId": "home", "price": "2.00"}
        body = {"betId": bet_id, "walletId": "w", "stake": 10, "legs": [leg]}
        headers = {USER_HEADER: player, RECEIVED_HEADER: received}
        answer = door.call("PlayerService", "placeBet", body, player, headers)
        assert answer.status_code == 200, answer.text
        shown = did(door, player, f"PlayerService/{player}/getBet", {"betId": bet_id})
        return datetime.fromisoformat(shown["placedAt"])

    assert placed_at("b-future", "4102444800123") == datetime(2100, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    assert placed_at("b-past", "946684800123") < datetime(2090, 1, 1, tzinfo=UTC)  # not 13 digits: the service's clock
    moments = [one["at"] for one in did(door, "ada", f"PlayerService/{player}/getStatement")["entries"]]
    assert moments == sorted(moments)
    assert moments[-1] == "2100-01-01T00:00:00.123Z"
