"""The simulation's own arithmetic, and its plans."""

from collections.abc import Iterable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.simulation.board import Market
from app.simulation.model import (
    Bet,
    Leg,
    Model,
    Moments,
    Payment,
    Terms,
    Withdrawn,
    bet_return,
    cash_out_bounds,
    leg_factor,
)
from app.simulation.plan import (
    Action,
    Deposit,
    Limit,
    Offer,
    Outcome,
    Purse,
    Result,
    SendBack,
    Size,
    TakeBack,
    Withdraw,
    plan_season,
)
from app.simulation.plan import Bet as PlannedBet

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


def test_deductions_of_withdrawals_add_to_the_results_own_up_to_ninety_percent() -> None:
    factors = [leg_factor(Fraction(5), Outcome("won", deduction=own), later) for own, later in ((0, 20), (60, 55))]

    assert factors == [Fraction("4.2"), Fraction("1.4")]


@pytest.mark.parametrize(
    ("struck", "deductions"),
    [
        (Moments(0, 1), [30]),
        (Moments(0, 2.5), [30, 20]),
        (Moments(2.5, 3.5), [30, 20]),
        (Moments(4, 4), [20]),
        (Moments(0, 9), [30, 20, 0]),
        (Moments(8, 9), [0]),
    ],
)
def test_a_withdrawal_takes_off_the_winnings_of_bets_struck_before(struck: Moments, deductions: list[int]) -> None:
    model = Model(TERMS, withdrawn={"m": [Withdrawn("home", 10, 2, 3), Withdrawn("away", 20, 5, 6)]})

    assert model.deductions(Leg("m", "draw", Fraction(5), Fraction(5)), struck) == deductions


def test_a_leg_that_was_withdrawn_or_whose_time_is_over_is_not_on_offer() -> None:
    market = Market.offered(Offer("m", {"home": 2_000, "away": 2_000}))
    market.withdrawn.append(Withdrawn("home", 0, 2, 3))
    market.closes_at = 5

    assert [market.is_offered("home", Moments(start, 9)) for start in (2.9, 3)] == [True, False]
    assert [market.is_offered("away", Moments(start, 9)) for start in (3, 5.9, 6)] == [True, True, False]


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
        deposits={
            "d": Payment("p", 100, "credited"),
            "lost": Payment("p", 100, "declined"),
            "refunded": Payment("p", 100, "refunded"),
            "charged back": Payment("p", 100, "chargedBack"),
        },
        withdrawals={
            "w": Payment("p", 20, "paid"),
            "held": Payment("p", 5, "held"),
            "back": Payment("p", 20, "sentBack", sent_back=True),
        },
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


def test_a_season_has_all_that_the_outside_world_does() -> None:
    season = plan_season(Size(120, 30, 1_500, deposit_limit=10_000), seed=1)

    actions = season.actions
    offers = {action.market: action for action in actions if isinstance(action, Offer)}
    assert {action.how for action in actions if isinstance(action, TakeBack)} == {
        "refund",
        "chargeback",
        "chargebackReversed",
    }
    assert any(isinstance(action, SendBack) for action in actions)
    assert any(offer.max_stake_per_player for offer in offers.values())
    assert any(offer.closes_in for offer in offers.values())
    events = [[offers[market].event or market for market, _ in bet.picks] for bet in _bets(actions)]
    related = sum(len(set(one)) < len(one) for one in events)
    assert 0 < related < len(events) // 20


@given(st.integers(0, 2**32))
def test_what_was_withdrawn_is_void_in_every_result(seed: int) -> None:
    actions = plan_season(Size(2, 10, 0, deposit_limit=10_000), seed).actions

    withdrawn = {(action.market, action.selection) for action in actions if isinstance(action, Withdraw)}

    for action in actions:
        if isinstance(action, Result):
            gone = [action.outcomes[name] for market, name in withdrawn if market == action.market]
            assert all(outcome == VOID for outcome in gone)


def _bets(actions: Iterable[Action]) -> list[PlannedBet]:
    return [action for action in actions if isinstance(action, PlannedBet)]


def test_a_bet_is_capped_by_the_terms_of_its_players_currency() -> None:
    legs = [Leg("m", "home", Fraction(10), Fraction(10))]
    model = Model(Terms(5, 50), others={"yen": Terms(5, 70)}, results={"m": {1: {"home": WON}}})

    returns = [model.returned(Bet(player, 10, None, "none", legs, 10, "open")) for player in ("euro", "yen")]

    assert returns == [50, 70]
