"""What the operator of the markets knows of them: prices over time, results, and whether a market surely is settled."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf

from app.simulation.model import Leg, Moments, Withdrawn, leg_factor
from app.simulation.plan import Offer, Outcome

THOUSAND = 1_000
CLOCKS_APART_SECONDS = 1.0
"""How far the clock of a market's book may be from ours."""
LOWEST, HIGHEST = 1_010, 100_000
"""Prices stay within these thousandths, whatever moves them."""


@dataclass(slots=True)
class Quote:
    """A price that a selection has had: sent at one moment, known to be in force from another."""

    thousandths: int
    sent_at: float
    in_force_at: float = inf


@dataclass(slots=True)
class Market:
    """A market. `busy` keeps its operator to one change at a time, in the order of the season."""

    offer: Offer
    quotes: dict[str, list[Quote]]
    results: list[tuple[float, dict[str, Outcome]]] = field(default_factory=list)
    """Every result, with the moment it was sent."""
    withdrawn: list[Withdrawn] = field(default_factory=list)
    """Selections that were withdrawn, in the order of that."""
    closes_at: float = inf
    """When it stops taking bets by itself."""
    settled_at: float = inf
    """When the first result was answered: from then on no price can be had."""
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def offered(cls, offer: Offer) -> "Market":
        """A market that is about to open."""
        quotes = {selection: [Quote(price, -inf, -inf)] for selection, price in offer.prices.items()}
        return cls(offer, quotes)

    def price(self, selection: str) -> int:
        """What a player sees now, in thousandths."""
        return self.quotes[selection][-1].thousandths

    def moved(self, selection: str, percent: int) -> int:
        """The price after a move, in thousandths."""
        return min(max(self.price(selection) * (100 + percent) // 100, LOWEST), HIGHEST)

    def was_on_offer(self, selection: str, price: Fraction) -> bool:
        """Whether a price was ever asked for this selection."""
        return any(quote.thousandths == price * THOUSAND for quote in self.quotes[selection])

    def prices_between(self, selection: str, start: float, end: float) -> Iterator[Fraction]:
        """Every price that may have been in force at some moment between two."""
        for quote in reversed(self.quotes[selection]):
            if quote.sent_at <= end:
                yield Fraction(quote.thousandths, THOUSAND)
            if quote.in_force_at <= start:
                return

    def factors(self, leg: Leg, deductions: Sequence[int], cashed: Moments) -> list[Fraction]:
        """Everything that a leg may have been worth in a cash-out."""
        decided = [
            leg_factor(leg.price, outcomes[leg.selection], later)
            for sent_at, outcomes in self.results
            for later in deductions
            if sent_at <= cashed.end
        ]
        if self.settled_at <= cashed.start or not self.is_offered(leg.selection, cashed):
            return decided
        return decided + [leg.price / price for price in self.prices_between(leg.selection, cashed.start, cashed.end)]

    def is_offered(self, selection: str, when: Moments) -> bool:
        """Whether a selection may have been on offer at some moment: it was not withdrawn, and the time not over."""
        gone = any(one.selection == selection and one.answered_at <= when.start for one in self.withdrawn)
        return not gone and when.start < self.closes_at + CLOCKS_APART_SECONDS

    def is_going(self, selection: str) -> bool:
        """Whether the withdrawal of a selection has been sent."""
        return any(one.selection == selection for one in self.withdrawn)


def text(thousandths: int) -> str:
    """A price as requests have it: 2500 is 2.500."""
    return f"{thousandths // THOUSAND}.{thousandths % THOUSAND:03d}"
