"""Returns of bets: computed as exact fractions, rounded down once (in favour of the house), then capped.

Stakes and returns are in minor units. Deductions are in percent of the winnings, the part of a return beyond the stake.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from fractions import Fraction
from math import comb, floor, prod
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.domain.model import State
from app.domain.odds import Price

MAX_LEGS = 20
MAX_LINES = 1_000
MAX_TIED = 1_000
MAX_DEDUCTION = 90
"""The maximum deduction, in percent of the winnings."""


class Result(StrEnum):
    """The result of a selection."""

    WON = "won"
    LOST = "lost"
    VOID = "void"
    HALF_WON = "halfWon"
    HALF_LOST = "halfLost"


class DeadHeat(State):
    """A dead heat: more selections tied than there were places."""

    places: Annotated[int, Field(strict=True, ge=1)]
    tied: Annotated[int, Field(strict=True, le=MAX_TIED)]

    @model_validator(mode="after")
    def _fewer_places_than_tied(self) -> Self:
        if self.places >= self.tied:
            raise ValueError("places must be fewer than tied")
        return self


class SelectionOutcome(State):
    """The result of a selection, the deduction from its winnings in percent, and a dead heat if there was one."""

    result: Result
    deduction: Annotated[int, Field(strict=True, ge=0, le=MAX_DEDUCTION)] = 0
    dead_heat: DeadHeat | None = None


Leg = tuple[Price, SelectionOutcome | None]
"""The price of a leg and its outcome, which is None until it is known."""


def leg_factor(price: Price, outcome: SelectionOutcome) -> Fraction:
    """The return of a stake of 1 on this leg alone."""
    match outcome.result:
        case Result.WON:
            return _won(price, outcome)
        case Result.HALF_WON:
            return (1 + _won(price, outcome)) / 2
        case Result.VOID:
            return Fraction(1)
        case Result.HALF_LOST:
            return Fraction(1, 2)
        case Result.LOST:
            return Fraction(0)


def line_count(legs: int, system_size: int | None) -> int:
    """The number of lines: 1 for a single or multiple; for a system, the number of choices of `system_size` legs."""
    return comb(legs, legs if system_size is None else system_size)


def bet_return(stake: int, system_size: int | None, legs: Sequence[Leg], max_payout: int) -> int | None:
    """The return of a bet if it is certain, otherwise None. `stake` is the stake per line.

    The factor of an open leg is at least 0 and at most its price, and the return of a bet never falls when the factor
    of a leg rises. The return is therefore certain if the worst and the best case are equal.
    """
    worst = [Fraction(0) if outcome is None else leg_factor(price, outcome) for price, outcome in legs]
    best = [price.factor if outcome is None else leg_factor(price, outcome) for price, outcome in legs]
    least = _payout(stake, system_size, worst, max_payout)
    return least if least == _payout(stake, system_size, best, max_payout) else None


def least_return(stake: int, system_size: int | None, legs: Sequence[Leg]) -> int:
    """The minimum return of a bet, given the known outcomes and before any maximum payout."""
    worst = [Fraction(0) if outcome is None else leg_factor(price, outcome) for price, outcome in legs]
    return _uncapped(stake, system_size, worst)


def potential_return(stake: int, system_size: int | None, prices: Iterable[Price], max_payout: int) -> int:
    """The return of a bet if all its legs win. `stake` is the stake per line."""
    return _payout(stake, system_size, [price.factor for price in prices], max_payout)


def cash_out_value(
    stake: int,
    decided: Iterable[Fraction],
    moved: Iterable[tuple[Price, Price]],
    margin_percent: int,
    max_payout: int | None = None,
) -> int:
    """The cash-out value of a single or multiple.

    It is the stake, times the factors of the decided legs, times accepted price / current price of each open leg, less
    the margin, rounded down. `moved` has the accepted and the current price of each open leg.
    """
    fair = stake * prod(decided, start=Fraction(1))
    for price, current in moved:
        fair *= price.factor / current.factor
    value = floor(fair * Fraction(100 - margin_percent, 100))
    return value if max_payout is None else min(value, max_payout)


def _won(price: Price, outcome: SelectionOutcome) -> Fraction:
    share = Fraction(outcome.dead_heat.places, outcome.dead_heat.tied) if outcome.dead_heat else Fraction(1)
    return share * (1 + (price.factor - 1) * Fraction(100 - outcome.deduction, 100))


def _payout(stake: int, system_size: int | None, factors: Sequence[Fraction], max_payout: int) -> int:
    return min(_uncapped(stake, system_size, factors), max_payout)


def _uncapped(stake: int, system_size: int | None, factors: Sequence[Fraction]) -> int:
    size = len(factors) if system_size is None else system_size
    return floor(stake * _sum_over_lines(factors, size))


def _sum_over_lines(factors: Iterable[Fraction], size: int) -> Fraction:
    """The sum over all choices of `size` factors of their product: an elementary symmetric polynomial."""
    sums = [Fraction(1)] + [Fraction(0)] * size
    for factor in factors:
        for chosen in range(size, 0, -1):
            sums[chosen] += sums[chosen - 1] * factor
    return sums[size]
