from fractions import Fraction
from itertools import combinations
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.odds import Price
from app.domain.settlement import (
    Leg,
    Result,
    SelectionOutcome,
    bet_return,
    cash_out_value,
    leg_factor,
    line_count,
    potential_return,
)
from tests.strategies import outcome, outcomes, prices

NO_CAP = 10**30


def legs(text: str) -> list[Leg]:
    """Legs in short: price and result, such as `2.50 won, 1.95 halfWon, 3.20 ?`, where ? is open."""
    pairs = [leg.split() for leg in text.split(", ")]
    return [(Price.of(price), None if result == "?" else outcome(result)) for price, result in pairs]


@pytest.mark.parametrize(
    ("stake", "system_size", "bet", "expected"),
    [
        (1_000, None, "2.50 won, 1.80 won, 3.20 won", 14_400),
        (1_000, None, "2.50 won, 1.80 void, 3.20 won", 8_000),
        (1_000, None, "2.50 ?, 1.80 lost, 3.20 ?", 0),
        (1_000, None, "2.00 won, 1.95 halfWon, 1.50 won", 4_425),
        (2_000, None, "1.95 halfLost", 1_000),
        (1_000, 2, "1.50 won, 1.50 won, 2.00 lost", 2_250),
        (1_000, None, "2.50 won, 1.80 ?, 3.20 won", None),
        (1_000, None, "2.50 ?", None),
        (1_000, None, "2.50 void, 1.80 void", 1_000),
        (1_000, 2, "1.50 lost, 1.50 lost, 2.00 ?", 0),
        (1_000, 2, "1.50 lost, 1.50 won, 2.00 ?", None),
        (1_000, 2, "1.50 lost, 1.50 ?, 2.00 ?", None),
        (1_000, 1, "1.50 lost, 1.50 lost, 2.00 ?", None),
        (1_000, 2, "1.50 void, 1.50 void, 2.00 void", 3_000),
        (1_000, 2, "1.50 won, 1.50 void, 2.00 won", 6_500),
        (999, None, "1.001 won", 999),
        (1, 1, "1.50 won, 1.50 won", 3),
    ],
)
def test_a_bet_returns_what_the_contract_says(stake: int, system_size: int | None, bet: str, expected: object) -> None:
    assert bet_return(stake, system_size, legs(bet), NO_CAP) == expected


def test_a_dead_heat_shares_the_places() -> None:
    shared = outcome("won", dead_heat={"places": 1, "tied": 3})

    assert bet_return(6_000, None, [(Price.of("6.00"), shared)], NO_CAP) == 12_000


def test_a_deduction_takes_from_the_winnings_alone() -> None:
    deducted = outcome("won", deduction=25)

    assert bet_return(1_000, None, [(Price.of("9.00"), deducted)], NO_CAP) == 7_000


def test_the_cap_comes_after_the_rounding_and_can_make_a_return_certain() -> None:
    assert bet_return(1_000, None, legs("9.00 won"), 8_999) == 8_999
    assert bet_return(1_000, 2, legs("9.00 won, 9.00 won, 2.00 ?"), 80_000) == 80_000
    assert bet_return(1_000, 2, legs("9.00 won, 9.00 won, 2.00 ?"), 82_000) is None


@pytest.mark.parametrize(
    "bad",
    [
        {"result": "drawn"},
        {"result": "won", "deduction": 91},
        {"result": "won", "deduction": -1},
        {"result": "won", "deduction": 2.5},
        {"result": "won", "deadHeat": {"places": 0, "tied": 2}},
        {"result": "won", "deadHeat": {"places": 2, "tied": 2}},
        {"result": "won", "deadHeat": {"places": 1, "tied": 1_001}},
    ],
)
def test_an_outcome_that_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SelectionOutcome.model_validate(bad)


@pytest.mark.parametrize(("count", "system_size", "expected"), [(1, None, 1), (5, None, 1), (5, 2, 10), (5, 5, 1)])
def test_a_system_has_a_line_for_every_choice(count: int, system_size: int | None, expected: int) -> None:
    assert line_count(count, system_size) == expected


@st.composite
def bets(draw: st.DrawFn, open_legs: bool) -> tuple[int, int | None, list[Leg]]:
    result = st.one_of(st.none(), outcomes) if open_legs else outcomes
    drawn: list[Leg] = draw(st.lists(st.tuples(prices, result), min_size=1, max_size=7))
    return draw(st.integers(1, 10_000)), draw(st.none() | st.integers(1, len(drawn))), drawn


def naive_factor(price: Price, outcome: SelectionOutcome) -> Fraction:
    heat = outcome.dead_heat
    odds = Fraction(str(price))
    profit = (odds - 1) - (odds - 1) * outcome.deduction / 100
    won = (1 + profit) if heat is None else (1 + profit) * heat.places / heat.tied
    return {
        Result.WON: won,
        Result.LOST: Fraction(0),
        Result.VOID: Fraction(1),
        Result.HALF_WON: Fraction(1, 2) + won / 2,
        Result.HALF_LOST: Fraction(1, 2),
    }[outcome.result]


def naive_return(stake: int, system_size: int | None, factors: list[Fraction], cap: int) -> int:
    lines = combinations(factors, len(factors) if system_size is None else system_size)
    amount = sum((stake * prod(line, start=Fraction(1)) for line in lines), Fraction(0))
    return min(amount.numerator // amount.denominator, cap)


@settings(max_examples=300)
@given(bets(open_legs=False), st.integers(1, 10**9))
def test_returns_agree_with_lines_counted_one_by_one(bet: tuple[int, int | None, list[Leg]], cap: int) -> None:
    stake, system_size, drawn = bet

    factors = [naive_factor(price, result) for price, result in drawn if result is not None]
    assert [leg_factor(price, result) for price, result in drawn if result is not None] == factors
    assert bet_return(stake, system_size, drawn, cap) == naive_return(stake, system_size, factors, cap)


@settings(max_examples=300)
@given(bets(open_legs=True), st.data())
def test_a_return_that_is_certain_is_what_comes_and_else_two_things_can_come(
    bet: tuple[int, int | None, list[Leg]], data: st.DataObject
) -> None:
    stake, system_size, drawn = bet
    early = bet_return(stake, system_size, drawn, 10**6)

    def end(result: SelectionOutcome | None) -> int | None:
        return bet_return(stake, system_size, [(p, o or result or data.draw(outcomes)) for p, o in drawn], 10**6)

    if early is None:
        assert end(outcome("lost")) != end(outcome("won"))
    else:
        assert end(None) == early


@given(bets(open_legs=False))
def test_the_potential_return_is_what_comes_when_all_legs_win(bet: tuple[int, int | None, list[Leg]]) -> None:
    stake, system_size, drawn = bet
    won: list[Leg] = [(price, outcome("won")) for price, _ in drawn]

    potential = potential_return(stake, system_size, [price for price, _ in drawn], 10**6)

    assert potential == bet_return(stake, system_size, won, 10**6)


def test_a_bet_of_the_largest_size_is_settled_exactly() -> None:
    drawn = [(Price(1_001 + 7 * number), outcome("won", deduction=number)) for number in range(14)]

    factors = [naive_factor(*leg) for leg in drawn]
    assert bet_return(123_457, 10, list(drawn), NO_CAP) == naive_return(123_457, 10, factors, NO_CAP)
    assert line_count(14, 10) == 1_001


@pytest.mark.parametrize(
    ("decided", "moved", "margin", "expected"),
    [
        ([], [("4.00", "2.00")], 5, 1_900),
        ([], [("4.00", "4.00")], 5, 950),
        ([], [("4.00", "2.00")], 0, 2_000),
        ([], [("2.00", "3.00")], 5, 633),
        ([("2.50", "won")], [("4.00", "2.00")], 5, 4_750),
        ([("2.50", "void"), ("1.95", "halfLost")], [("4.00", "2.00"), ("2.00", "4.00")], 5, 475),
        ([("1000", "won")], [("1000", "1.001")], 5, 500_000),
    ],
)
def test_a_cash_out_pays_what_the_bet_is_worth_less_the_margin(
    decided: list[tuple[str, str]], moved: list[tuple[str, str]], margin: int, expected: int
) -> None:
    factors = [leg_factor(Price.of(price), outcome(result)) for price, result in decided]
    changes = [(Price.of(price), Price.of(current)) for price, current in moved]

    assert cash_out_value(1_000, factors, changes, margin, 500_000) == expected
