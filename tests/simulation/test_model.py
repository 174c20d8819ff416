"""The simulation's own arithmetic, and its plans."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.simulation.model import Bet, Leg, Model, Payment, Terms, bet_return, cash_out_bounds, leg_factor
from app.simulation.plan import Deposit, Limit, Offer, Outcome, Purse, Size, plan_season

MOST = 100_000_000
TERMS = Terms(margin_percent=5, max_payout=MOST)
WON, LOST, VOID = Outcome("won"), Outcome("lost"), Outcome("void")


@pytest.mark.parametrize(
    ("stake", "system_size", "legs", "returned"),
    [
        (1_000, None, [("2.50", WON), ("1.80", WON), ("3.20", WON)], 14_400),
        (1_000, None, [("2.50", WON), ("1.80", VOID), ("3.20", WON)], 8_000),
        (1_000, None, [("2.50", WON), ("1.80", LOST), ("3.20", WON)], 0),
        (1_000, None, [("2.00", WON), ("1.95", Outcome("halfWon")), ("1.50", WON)], 4_425),
        (6_000, None, [("6.00", Outcome("won", dead_heat=(1, 3)))], 12_000),
        (1_000, None, [("9.00", Outcome("won", deduction=25))], 7_000),
        (2_000, None, [("1.95", Outcome("halfLost"))], 1_000),
        (1_000, 2, [("1.50", WON), ("1.50", WON), ("2.00", LOST)], 2_250),
    ],
)
def test_returns_are_those_of_the_contract(
    stake: int, system_size: int | None, legs: list[tuple[str, Outcome]], returned: int
) -> None:
    factors = [leg_factor(Fraction(price), outcome) for price, outcome in legs]

    assert bet_return(stake, system_size, factors, MOST) == returned


def test_a_cash_out_is_worth_what_the_contract_says() -> None:
    assert cash_out_bounds(1_000, [[Fraction("4.00") / Fraction("2.00")]], TERMS) == (1_900, 1_900)


def test_every_movement_of_the_model_keeps_its_books_at_zero() -> None:
    legs = [Leg("m", "home", Fraction(2), Fraction(2))]
    model = Model(
        TERMS,
        bets={
            "open": Bet("p", 10, None, "none", [Leg("other", "home", Fraction(2), Fraction(2))], 10, "open"),
            "won": Bet("p", 10, None, "none", legs, 10, "open"),
            "cashed out": Bet("p", 10, None, "none", legs, 10, "cashedOut", 7),
            "refused": Bet("p", 10, None, "none", legs, 10, "refused"),
        },
        deposits={"d": Payment("p", 100, "credited"), "lost": Payment("p", 100, "declined")},
        withdrawals={"w": Payment("p", 20, "paid"), "held": Payment("p", 5, "held")},
        results={"m": {1: {"home": LOST}, 2: {"home": WON}}},
    )

    assert model.accounts(["p"]) == {
        "p": {"cash": 72, "locked": 10, "pendingOut": 5, "provider": -80, "house": -7, "adjustment": 0}
    }


@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 15), st.integers(0, 60))
def test_the_same_seed_is_the_same_season_of_the_size_asked_for(
    seed: int, players: int, markets: int, bets: int
) -> None:
    size = Size(players, markets, bets, deposit_limit=10_000)

    season = plan_season(size, seed)

    assert season == plan_season(size, seed)
    kinds = [type(action).__name__ for action in season.actions]
    assert (len(season.players), kinds.count("Offer"), kinds.count("Bet")) == (players, markets, bets)


@given(st.integers(0, 2**32), st.sampled_from([1_500_000, 5_000]))
def test_a_second_currency_has_players_markets_and_amounts_of_its_own(seed: int, deposit_limit: int) -> None:
    size = Size(12, 8, 60, deposit_limit=10_000, other=Purse("JPY", deposit_limit))

    season = plan_season(size, seed)

    assert season.currencies == {"p4": "JPY", "p8": "JPY", "p12": "JPY"}
    offers = {action.market: action for action in season.actions if isinstance(action, Offer)}
    assert {market for market, offer in offers.items() if offer.currency == "JPY"} == {"m4", "m8"}
    for action in season.actions:
        if isinstance(action, Deposit | Limit):
            assert action.currency == season.currencies.get(action.player)
    firsts = {action.player: action.amount for action in reversed(season.actions) if isinstance(action, Deposit)}
    assert (firsts["p4"], firsts["p1"]) == (deposit_limit * 7 // 10, 7_000)


def test_a_bet_is_capped_by_the_terms_of_its_players_currency() -> None:
    legs = [Leg("m", "home", Fraction(10), Fraction(10))]
    model = Model(Terms(5, 50), others={"yen": Terms(5, 70)}, results={"m": {1: {"home": WON}}})

    returns = [model.returned(Bet(player, 10, None, "none", legs, 10, "open")) for player in ("euro", "yen")]

    assert returns == [50, 70]
