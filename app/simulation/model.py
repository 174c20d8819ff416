"""What the money should be: kept beside the system, from what was asked and answered, with an arithmetic of its own.

Nothing here comes from the code under test. Every line of a bet is enumerated, in fractions, as the public contract
words it. Amounts are in minor units, prices are fractions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from math import floor, inf, prod

from app.simulation.plan import Outcome

MAX_DEDUCTION = 90
ACCOUNTS = ("cash", "locked", "pendingOut", "provider", "house", "adjustment")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator of the system has decided: what a cash-out costs (percent), and the most a bet returns."""

    margin_percent: int
    max_payout: int


def leg_factor(price: Fraction, outcome: Outcome, later: int = 0) -> Fraction:
    """What 1 on a selection at this price returns; `later` is the deduction of withdrawals after that."""
    share = Fraction(*outcome.dead_heat) if outcome.dead_heat else Fraction(1)
    won = share * (1 + (price - 1) * (1 - Fraction(deducted(outcome, later), 100)))
    return {
        "won": won,
        "halfWon": (1 + won) / 2,
        "void": Fraction(1),
        "halfLost": Fraction(1, 2),
        "lost": Fraction(0),
    }[outcome.result]


def deducted(outcome: Outcome, later: int) -> int:
    """What is taken off the winnings in all, in percent: withdrawals add to the result's own, up to a limit."""
    return min(outcome.deduction + later, MAX_DEDUCTION)


def bet_return(stake: int, system_size: int | None, factors: Sequence[Fraction], max_payout: int) -> int:
    """What a bet returns: `stake` on every line there is, added up, rounded down once."""
    lines = combinations(factors, len(factors) if system_size is None else system_size)
    return min(floor(sum(stake * prod(line) for line in lines)), max_payout)


def cash_out_bounds(stake: int, legs: Iterable[Iterable[Fraction]], terms: Terms) -> tuple[int, int]:
    """The least and the most that a cash-out may pay, when each leg is worth one of several factors."""
    choices = [sorted(factors) for factors in legs]
    keeps = 1 - Fraction(terms.margin_percent, 100)
    least, most = (floor(stake * prod(choice[end] for choice in choices) * keeps) for end in (0, -1))
    return min(least, terms.max_payout), min(most, terms.max_payout)


def price_is_fair(price_change: str, asked: Fraction, taken: Fraction) -> bool:
    """Whether a player who asked for one price may be given another."""
    return {"none": taken == asked, "higher": taken >= asked, "any": True}[price_change]


@dataclass(slots=True)
class Leg:
    """A selection, the price that the player asked for, and the one that was taken."""

    market: str
    selection: str
    asked: Fraction
    price: Fraction
    later: int = 0
    """The deduction of withdrawals after it was struck, once that is sure."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Something happened at some moment between two."""

    start: float
    end: float


@dataclass(slots=True)
class Withdrawn:
    """A selection that was withdrawn: it was sent at one moment, and answered at another."""

    selection: str
    deduction: int
    sent_at: float
    answered_at: float = inf


@dataclass(slots=True)
class Bet:
    """A bet that the system took: open, delayed, refused (after a delay) or cashedOut; results tell the rest."""

    player: str
    stake: int
    system_size: int | None
    price_change: str
    legs: list[Leg]
    total_stake: int
    status: str
    cashed_out: int = 0
    struck: Moments = Moments(-inf, inf)
    """When its markets took it."""


@dataclass(slots=True)
class Payment:
    """A deposit or a withdrawal, and how it stands in the system's own words."""

    player: str
    amount: int
    status: str
    sent_back: bool = False
    """Whether the customer's bank does not take a withdrawal."""


@dataclass
class Model:
    """The season as it is known from outside."""

    terms: Terms
    others: Mapping[str, Terms] = field(default_factory=dict)
    """The terms of each player who does not play in the house's currency."""
    bets: dict[str, Bet] = field(default_factory=dict)
    deposits: dict[str, Payment] = field(default_factory=dict)
    withdrawals: dict[str, Payment] = field(default_factory=dict)
    withdrawn: dict[str, list[Withdrawn]] = field(default_factory=dict)
    """Selections of each market that were withdrawn, in the order of that."""
    results: dict[str, dict[int, dict[str, Outcome]]] = field(default_factory=dict)
    """Every version of each market's result that was sent; the highest counts."""
    settlements: set[str] = field(default_factory=set)
    """The runs that the system said it started."""

    def terms_of(self, player: str) -> Terms:
        """What the operator has decided for a player's currency."""
        return self.others.get(player, self.terms)

    def outcome(self, leg: Leg) -> Outcome | None:
        """How a leg ended, by the last correction; None while its market is open."""
        versions = self.results.get(leg.market)
        return versions[max(versions)][leg.selection] if versions else None

    def deductions(self, leg: Leg, struck: Moments) -> list[int]:
        """What withdrawals may take off a leg's winnings; more than one where it was struck during a withdrawal."""
        withdrawn = self.withdrawn.get(leg.market, [])
        least = sum(one.answered_at <= struck.start for one in withdrawn)
        most = sum(one.sent_at <= struck.end for one in withdrawn)
        return [sum(one.deduction for one in withdrawn[known:]) for known in range(least, most + 1)]

    def returned(self, bet: Bet) -> int | None:
        """What a bet brought back: its cash-out, its stake if it was refused, its return when all legs have ended."""
        if bet.status == "cashedOut":
            return bet.cashed_out
        if bet.status == "refused":
            return bet.total_stake
        outcomes = [self.outcome(leg) for leg in bet.legs]
        if bet.status == "delayed" or None in outcomes:
            return None
        factors = [
            leg_factor(leg.price, outcome, leg.later)
            for leg, outcome in zip(bet.legs, outcomes, strict=True)
            if outcome is not None
        ]
        return bet_return(bet.stake, bet.system_size, factors, self.terms_of(bet.player).max_payout)

    @staticmethod
    def lines(bet: Bet) -> int:
        """How many lines a bet has."""
        return 1 if bet.system_size is None else len(list(combinations(bet.legs, bet.system_size)))

    def potential(self, bet: Bet) -> int:
        """What a bet returns if all its legs win."""
        prices = [leg.price for leg in bet.legs]
        return bet_return(bet.stake, bet.system_size, prices, self.terms_of(bet.player).max_payout)

    def accounts(self, players: Iterable[str]) -> dict[str, dict[str, int]]:
        """What each player's wallet must hold on every account of its book."""
        books = {player: dict.fromkeys(ACCOUNTS, 0) for player in players}
        for deposit in self.deposits.values():
            if deposit.status == "credited":
                _move(books[deposit.player], "provider", "cash", deposit.amount)
        for withdrawal in self.withdrawals.values():
            if withdrawal.status == "paid":
                _move(books[withdrawal.player], "cash", "provider", withdrawal.amount)
            elif withdrawal.status in {"held", "inReview", "payingOut"}:
                _move(books[withdrawal.player], "cash", "pendingOut", withdrawal.amount)
        for bet in self.bets.values():
            if (returned := self.returned(bet)) is None:
                _move(books[bet.player], "cash", "locked", bet.total_stake)
            else:
                _move(books[bet.player], "cash", "house", bet.total_stake - returned)
        return books


def _move(book: dict[str, int], source: str, target: str, amount: int) -> None:
    book[source] -= amount
    book[target] += amount
