"""Markets, bets and settlement, each scenario of the contract, with and without forced replay."""

import json
from uuid import uuid4

import pytest

from tests.helpers.bets import Customer, Game, ask, refused
from tests.helpers.deposits import deposit, request
from tests.running import System

HALF = {"result": "won", "deadHeat": {"places": 1, "tied": 2}}


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
    liability = {"marketId": game.market_id, "bets": 1, "liability": {"home": 1_500, "away": 0}}
    assert game.does("liability") == liability
    assert game.does("prices") | liability == game.does("get")
    assert game.ends("won") == {"bets": 1, "settled": 1, "paid": 2_500, "done": True}
    assert customer.money == (11_500, 0)
    assert customer.bet(placed)["status"] == "settled"
    assert game.does("get")["status"] == "settled"


@pytest.mark.parametrize(
    ("now", "change", "price"),
    [
        ("2.50", "none", "2.50"),
        ("2.40", "none", None),
        ("2.60", "none", None),
        ("2.60", "higher", "2.60"),
        ("2.40", "higher", None),
        ("2.40", "any", "2.40"),
        ("2.60", "any", "2.60"),
    ],
)
def test_a_bet_is_at_a_price_that_its_player_takes(betting: System, now: str, change: str, price: str | None) -> None:
    game, customer = Game(betting), Customer(betting)
    customer.bets(game.home(), stake=10)  # so that the book has joined before the price moves
    game.does("setPrices", {"prices": {"home": now}})

    answer = customer.bets(game.home(), priceChange=change, status=200 if price else 409)

    if price is None:
        assert answer["metadata"] == {"reason": "price_changed", "price": now}
        assert customer.money == (9_990, 10)
    else:
        assert answer["legs"][0]["price"] == price
        assert answer["potentialReturn"] == round(1_000 * float(price))


def test_if_one_market_refuses_no_leg_stays_reserved(betting: System) -> None:
    takes, refuses, customer = Game(betting), Game(betting), Customer(betting)
    refuses.does("suspend")

    answer = customer.bets(takes.home(), refuses.home(), status=409)

    assert answer["metadata"]["reason"] == "market_suspended"
    assert customer.money == (10_000, 0)
    view = takes.does("get")
    assert (view["bets"], view["liability"]) == (0, {"home": 0, "away": 0})
    assert customer.does("listBets") == {"bets": []}
    refuses.does("resume")
    assert customer.bets(takes.home(), refuses.home())["potentialReturn"] == 6_250


def test_what_cannot_be_bet_on_is_refused_and_changes_nothing(betting: System) -> None:
    game, other, customer = Game(betting, maxStake=2_000), Game(betting), Customer(betting)
    unknown = f"m-{uuid4().hex}"

    assert refused(customer.bets(f"{unknown} home 2.50", status=404)) == "unknown_market"
    assert refused(customer.bets(f"{game.market_id} draw 2.50", status=404)) == "unknown_selection"
    assert refused(customer.bets(game.home(), walletId="w-2", status=404)) == "unknown_wallet"
    assert refused(customer.bets(game.home(), f"{game.market_id} away 1.80", status=422)) == "related_legs"
    assert refused(customer.bets(game.home(), stake=2_001, status=422)) == "stake_too_high"
    short = customer.bets(other.home(), stake=10_001, status=422)
    assert short["metadata"] == {"reason": "insufficient_funds", "available": "10000"}
    game.does("close")
    assert refused(customer.bets(game.home(), status=409)) == "market_not_open"
    assert refused(game.does("resume", status=409)) == "market_not_open"
    assert refused(customer.does("getBet", {"betId": "b-none"}, 404)) == "unknown_bet"
    assert refused(customer.does("cashOut", {"betId": "b-none"}, 404)) == "unknown_bet"

    assert customer.money == (10_000, 0)
    assert customer.does("getAccount")["openBets"] == 0
    assert ask(betting, "MarketService", unknown, "get", status=404)["metadata"]["reason"] == "unknown_market"


GOOD = {
    "betId": "b",
    "walletId": "w-1",
    "stake": 1_000,
    "legs": [{"marketId": "m", "selectionId": "home", "price": "2.50"}],
}
LEG = {"marketId": "m", "selectionId": "home", "price": "2.50"}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"stake": 0}, "stake"),
        ({"stake": -1}, "stake"),
        ({"stake": "1000"}, "stake"),
        ({"stake": 10.5}, "stake"),
        ({"betId": "b 1"}, "betId"),
        ({"betId": None}, "betId"),
        ({"legs": []}, "legs"),
        ({"legs": [{**LEG, "price": "1.000"}]}, "price"),
        ({"legs": [{**LEG, "price": "2.5001"}]}, "price"),
        ({"legs": [{**LEG, "price": 1_001}]}, "price"),
        ({"legs": [{**LEG, "odds": "2.50"}]}, "odds"),
        ({"legs": [{**LEG, "marketId": f"m-{n}"} for n in range(21)]}, "legs"),
        ({"legs": [{**LEG, "marketId": f"m-{n}"} for n in range(20)], "systemSize": 10}, "systemSize"),
        ({"systemSize": 2}, "systemSize"),
        ({"systemSize": 0}, "systemSize"),
        ({"priceChange": "lower"}, "priceChange"),
        ({"currency": "EUR"}, "currency"),
    ],
)
def test_a_bet_that_cannot_be_understood_names_the_field(system: System, fields: dict[str, object], named: str) -> None:
    body = {name: value for name, value in {**GOOD, **fields}.items() if value is not None}

    answer = ask(system, "PlayerService", "u-nobody", "placeBet", body, 400)

    assert refused(answer) == "invalid_request"
    assert named in answer["message"]


@pytest.mark.parametrize(
    ("handler", "body", "named"),
    [
        ("open", {"name": "A game", "selections": []}, "selections"),
        ("open", {"name": "A game", "selections": [{"selectionId": "a", "name": "A", "price": "1"}]}, "price"),
        ("open", {"name": "A", "selections": [{"selectionId": "a", "name": "A", "price": "2"}] * 2}, "selections"),
        ("setPrices", {"prices": {"home": "0.5"}}, "prices.home"),
        ("setPrices", {}, "prices"),
        ("settle", {"version": 0, "outcomes": {"home": {"result": "won"}, "away": {"result": "lost"}}}, "version"),
        ("settle", {"version": 1, "outcomes": {"home": {"result": "won"}}}, "away"),
        ("settle", {"version": 1, "outcomes": {"home": {"result": "draw"}, "away": {"result": "lost"}}}, "result"),
        ("settle", {"version": 1, "outcomes": {"home": {**HALF, "deduction": 91}}}, "deduction"),
        ("settle", {"version": 1, "outcomes": {"home": {**HALF, "extra": 1}}}, "extra"),
        ("suspend", {"why": "rain"}, "why"),
    ],
)
def test_a_market_request_that_cannot_be_understood_changes_nothing(
    system: System, handler: str, body: object, named: str
) -> None:
    game = Game(system)
    before = game.does("get")

    answer = game.does(handler, body, 400)

    assert refused(answer) == "invalid_request"
    assert named in answer["message"]
    assert game.does("get") == before


def test_opening_again_changes_nothing_and_other_content_is_a_conflict(betting: System) -> None:
    game = Game(betting)
    game.does("setPrices", {"prices": {"home": "2.60"}})

    assert game.does("open", game.offer)["prices"] == {"home": "2.60", "away": "1.80"}
    assert refused(game.does("open", {**game.offer, "name": "Another"}, 409)) == "id_reused"


def test_the_same_bet_is_answered_the_same_even_after_it_ended(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)
    placed = customer.bets(game.home())

    assert customer.bets(game.home(), betId=placed["betId"]) == placed
    assert refused(customer.bets(game.home(), betId=placed["betId"], stake=999, status=409)) == "id_reused"
    game.ends("won")
    assert customer.bets(game.home(), betId=placed["betId"]) == placed
    assert customer.money == (11_500, 0)
    assert game.does("get")["bets"] == 1


def test_a_lost_leg_settles_a_multiple_at_once(betting: System) -> None:
    games, customer = [Game(betting), Game(betting), Game(betting)], Customer(betting)
    placed = customer.bets(*(game.home() for game in games))
    assert placed["potentialReturn"] == 15_625

    games[1].ends("lost", "won")

    assert customer.money == (9_000, 0)
    games[0].ends("won")
    assert customer.money == (9_000, 0)
    ended = customer.bet(placed)
    assert (ended["status"], ended["returned"]) == ("settled", 0)


def test_a_system_returns_its_winning_lines(betting: System) -> None:
    games = [Game(betting, home="1.50"), Game(betting, home="1.50"), Game(betting, home="2.00")]
    customer = Customer(betting)
    placed = customer.bets(games[0].home("1.50"), games[1].home("1.50"), games[2].home("2.00"), systemSize=2)
    assert (placed["lines"], placed["totalStake"]) == (3, 3_000)
    assert customer.money == (7_000, 3_000)

    for game, how in zip(games, ("won", "won", "lost"), strict=True):
        game.ends(how)

    assert customer.bet(placed)["returned"] == 2_250
    assert customer.money == (9_250, 0)


def test_a_voided_market_gives_stakes_back_and_dead_heats_and_deductions_count(betting: System) -> None:
    void, shared, customer = Game(betting), Game(betting, home="6.00"), Customer(betting)
    customer.bets(void.home())
    customer.bets(shared.home("6.00"), stake=6_000)

    void.ends("void", "void")
    assert customer.money == (4_000, 6_000)
    shared.ends({"result": "won", "deadHeat": {"places": 1, "tied": 3}})
    assert customer.money == (16_000, 0)


def test_a_bet_in_play_waits_without_blocking_and_is_then_accepted(betting: System) -> None:
    game, customer = Game(betting, betDelaySeconds=1), Customer(betting)

    delayed = customer.bets(game.home())

    assert delayed["status"] == "delayed"
    assert customer.money == (9_000, 1_000)
    betting.eventually(lambda: customer.bet(delayed)["status"] == "open")
    assert customer.bets(game.home(), betId=delayed["betId"])["status"] == "accepted"
    game.ends("won")
    assert customer.money == (11_500, 0)


def test_a_bet_in_play_is_given_back_when_the_market_moves_meanwhile(betting: System) -> None:
    game, quiet, customer = Game(betting, betDelaySeconds=12), Game(betting), Customer(betting)

    delayed = customer.bets(game.home(), quiet.home())
    game.does("setPrices", {"prices": {"home": "2.20"}})

    assert quiet.does("get")["bets"] == 0
    other = customer.bets(quiet.home(), stake=500)
    assert customer.bet(delayed)["status"] == "delayed"
    betting.eventually(lambda: customer.bet(delayed)["status"] == "refused")
    assert customer.bet(delayed)["refused"]["reason"] == "price_changed"
    assert customer.money == (9_500, 500)
    assert refused(customer.bets(game.home(), quiet.home(), betId=delayed["betId"], status=409)) == "price_changed"
    assert (quiet.does("get")["bets"], game.does("get")["bets"]) == (1, 0)
    assert customer.bet(other)["status"] == "open"


def test_a_cash_out_pays_what_the_bet_is_worth_now(betting: System) -> None:
    game, customer = Game(betting, home="4.00"), Customer(betting)
    placed = customer.bets(game.home("4.00"))
    which = {"betId": placed["betId"]}
    game.does("setPrices", {"prices": {"home": "2.00"}})

    moved = customer.does("cashOut", {**which, "minAmount": 1_901}, 409)
    assert moved["metadata"] == {"reason": "cash_out_changed", "amount": "1900"}
    game.does("suspend")
    assert refused(customer.does("cashOut", which, 409)) == "cash_out_unavailable"
    game.does("resume")
    paid = customer.does("cashOut", which)

    assert paid == {**which, "status": "cashedOut", "amount": 1_900}
    assert customer.does("cashOut", {**which, "minAmount": 1_900}) == paid
    assert customer.money == (10_900, 0)
    game.ends("won")
    game.ends("lost", "won", version=2)
    assert customer.money == (10_900, 0)


def test_a_settled_bet_cannot_be_cashed_out(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)
    placed = customer.bets(game.home())
    game.ends("lost", "won")

    assert refused(customer.does("cashOut", {"betId": placed["betId"]}, 409)) == "bet_not_open"
    assert customer.money == (9_000, 0)


def test_a_correction_moves_the_difference_and_old_versions_change_nothing(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)
    placed = customer.bets(game.home())
    game.ends("won", version=2)
    assert customer.money == (11_500, 0)

    assert game.ends("lost", "won", version=1)["paid"] == 2_500
    assert game.does("get")["resultVersion"] == 2
    assert game.ends("lost", "won", version=3)["paid"] == -2_500
    assert customer.money == (9_000, 0)
    assert customer.bet(placed)["returned"] == 0
    game.ends("halfWon", "lost", version=4)
    assert customer.money == (10_750, 0)
    kinds = [entry["kind"] for entry in customer.does("getStatement")["entries"]]
    assert kinds == ["deposit", "stakeHeld", "betSettled", "betCorrected", "betCorrected"]


def test_a_correction_of_money_that_is_gone_leaves_a_debt_that_a_deposit_lifts(betting: System) -> None:
    game, customer = Game(betting), Customer(betting, amount=1_000)
    customer.bets(game.home())
    game.ends("won")
    out = {"walletId": "w-1", "userId": customer.user_id, "amount": 2_500, "destination": "bank"}
    assert betting.call("PaymentService", "withdraw", out).status_code == 200
    game.ends("lost", "won", version=2)

    assert customer.does("getAccount")["inDebt"] is True
    betting.eventually(lambda: customer.money == (-2_500, 0))
    assert refused(customer.bets(game.home(), status=403)) == "in_debt"
    assert refused(betting.call("PaymentService", "withdraw", out).json()) == "in_debt"
    deposit(betting, request(userId=customer.user_id, walletId="w-1", amount=3_000))
    assert customer.does("getAccount")["inDebt"] is False
    assert customer.money == (500, 0)


def test_stakes_and_losses_count_against_limits_and_winnings_against_losses(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)
    customer.does("setLimit", {"kind": "loss", "period": "day", "amount": 1_500})
    customer.does("setLimit", {"kind": "stake", "period": "week", "amount": 3_000})
    customer.bets(game.home())

    too_much = customer.bets(game.home(), stake=501, status=422)

    assert too_much["metadata"] == {"reason": "loss_limit", "remaining": "500", "period": "day"}
    assert game.does("get")["bets"] == 1
    game.ends("won")
    other = Game(betting)
    customer.bets(other.home(), stake=1_500)
    customer.bets(other.home(), stake=500)
    assert refused(customer.bets(other.home(), stake=1, status=422)) == "stake_limit"
    limits = {(limit["kind"], limit["period"]): limit for limit in customer.does("getLimits")["limits"]}
    assert limits["loss", "day"]["used"] == 500
    assert limits["stake", "week"]["used"] == 3_000


def test_a_restricted_player_cannot_bet_but_open_bets_go_on(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)
    customer.bets(game.home())
    customer.does("takeBreak", {"days": 1})

    assert refused(customer.bets(game.home(), status=403)) == "on_a_break"
    game.ends("won")
    assert customer.money == (11_500, 0)


def test_a_market_takes_no_more_than_its_liability(betting: System) -> None:
    game, customer, other = Game(betting, maxLiability=3_000), Customer(betting), Customer(betting)

    customer.bets(game.home(), stake=1_000)
    assert refused(other.bets(game.home(), stake=1_100, status=422)) == "liability_limit"
    other.bets(game.home(), stake=900)

    assert game.does("get")["liability"]["home"] == 2_850
    assert other.money == (9_100, 900)


def test_bets_that_left_the_document_are_remembered_and_corrected(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)
    placed = [customer.bets(game.home(), stake=10) for _ in range(120)]
    assert game.ends("won")["settled"] == 120
    assert customer.money == (11_800, 0)
    assert customer.does("getAccount")["openBets"] == 0

    later = customer.bets(Game(betting).home(), stake=10)

    assert len(customer.does("listBets")["bets"]) < 120
    assert customer.bet(placed[0])["returned"] == 25
    assert customer.bets(game.home(), betId=placed[0]["betId"], stake=10) == placed[0]
    assert game.ends("lost", "won", version=2)["paid"] == -3_000
    assert customer.money == (8_790, 10)
    assert customer.bet(placed[0])["returned"] == 0
    assert customer.bet(later)["status"] == "open"


def liability(game: Game) -> int:
    return game.does("get")["liability"]["home"]  # type: ignore[no-any-return]


def test_the_price_asked_does_not_switch_a_limit_off(betting: System) -> None:
    first, second = (Game(betting, home="10.00", maxLiability=20_000) for _ in range(2))
    customer = Customer(betting)

    double = [first.home("1.001"), second.home("1.001")]
    assert refused(customer.bets(*double, priceChange="higher", status=422)) == "liability_limit"
    assert (liability(first), liability(second)) == (0, 0)
    assert customer.bets(*double, stake=100, priceChange="higher")["potentialReturn"] == 10_000
    assert (liability(first), liability(second)) == (9_900, 9_900)
    assert customer.money == (9_900, 100)


def test_a_cash_out_and_a_decisive_leg_free_what_the_bet_counted_with_elsewhere(betting: System) -> None:
    games, customer = [Game(betting) for _ in range(2)], Customer(betting)
    first = customer.bets(*(game.home() for game in games))
    customer.bets(*(game.home() for game in games))
    assert [liability(game) for game in games] == [10_500, 10_500]

    customer.does("cashOut", {"betId": first["betId"]})
    betting.eventually(lambda: [liability(game) for game in games] == [5_250, 5_250])
    games[0].ends("lost", "won")
    betting.eventually(lambda: liability(games[1]) == 0)
    games[0].ends("won", version=2)
    betting.eventually(lambda: liability(games[1]) == 5_250)
    assert games[1].ends("won") == {"bets": 2, "settled": 2, "paid": 6_250, "done": True}


def test_the_stakes_of_a_player_on_a_selection_are_limited_together(betting: System) -> None:
    game, customer, another = Game(betting, maxStakePerPlayer=1_500), Customer(betting), Customer(betting)
    first = customer.bets(game.home())

    high = customer.bets(game.home(), stake=501, status=422)
    assert high["metadata"] == {"reason": "stake_too_high", "maxStakePerPlayer": "1500"}
    customer.bets(game.home(), stake=500)
    another.bets(game.home(), stake=1_500)
    customer.bets(f"{game.market_id} away 1.80", stake=1_500)
    customer.does("cashOut", {"betId": first["betId"]})
    customer.bets(game.home())


@pytest.mark.parametrize("delay", [0, 1])
def test_two_legs_of_one_event_are_related(betting: System, delay: int) -> None:
    winner, score = Game(betting, eventId="e-1"), Game(betting, eventId="e-1", betDelaySeconds=delay)
    elsewhere, customer = Game(betting, eventId="e-2"), Customer(betting)

    assert refused(customer.bets(winner.home(), score.home(), elsewhere.home(), status=422)) == "related_legs"

    assert [game.does("get")["bets"] for game in (winner, score, elsewhere)] == [0, 0, 0]
    assert customer.money == (10_000, 0)
    customer.bets(winner.home(), elsewhere.home())


def goes_in_play(game: Game, delay: int) -> None:
    """Give a market a delay once its bets are placed, which then need not wait for it themselves."""
    stored = game.betting.state("MarketService", game.market_id)
    market = json.loads(stored["market"])
    market["opened"]["betDelaySeconds"] = delay
    game.betting.plant("MarketService", game.market_id, {**stored, "market": json.dumps(market).encode()})
    game.does("suspend")
    game.does("resume")


def test_a_cash_out_in_play_is_paid_at_the_price_of_a_moment_later(betting: System) -> None:
    game, customer = Game(betting, home="4.00"), Customer(betting)
    placed = customer.bets(game.home("4.00"))
    which = {"betId": placed["betId"]}
    goes_in_play(game, 12)

    delayed = {**which, "status": "delayed"}
    assert customer.does("cashOut", {**which, "minAmount": 900}) == delayed
    assert customer.does("cashOut", which) == delayed
    assert customer.bet(placed)["cashOut"]["status"] == "delayed"
    game.does("setPrices", {"prices": {"home": "5.00"}})
    betting.eventually(lambda: customer.bet(placed)["cashOut"]["status"] == "refused")
    shown = customer.bet(placed)
    assert (shown["status"], shown["cashOut"]["reason"], shown["cashOut"]["amount"]) == (
        "open",
        "cash_out_changed",
        760,
    )
    assert customer.money == (9_000, 1_000)

    assert customer.does("cashOut", which) == delayed
    game.does("setPrices", {"prices": {"home": "2.00"}})
    betting.eventually(lambda: customer.bet(placed)["status"] == "cashedOut")
    assert customer.does("cashOut", which) == {**which, "status": "cashedOut", "amount": 1_900}
    assert customer.money == (10_900, 0)
    betting.eventually(lambda: liability(game) == 0)


def test_a_result_that_comes_while_a_cash_out_waits_pays_alone(betting: System) -> None:
    game, customer = Game(betting), Customer(betting)
    placed = customer.bets(game.home())
    goes_in_play(game, 25)

    assert customer.does("cashOut", {"betId": placed["betId"]})["status"] == "delayed"
    game.ends("won")

    assert customer.bet(placed)["cashOut"]["reason"] == "bet_not_open"
    assert customer.money == (11_500, 0)
    assert refused(customer.does("cashOut", {"betId": placed["betId"]}, 409)) == "bet_not_open"


def test_a_bet_that_waits_in_play_is_given_back_to_a_player_who_excludes_themselves(betting: System) -> None:
    game, customer = Game(betting, betDelaySeconds=12), Customer(betting)
    placed = customer.bets(game.home())

    customer.does("selfExclude", {"months": 6, "confirm": True})

    betting.eventually(lambda: customer.bet(placed)["status"] == "refused")
    assert customer.bet(placed)["refused"]["reason"] == "self_excluded"
    assert customer.money == (10_000, 0)
    assert game.does("get")["bets"] == 0
