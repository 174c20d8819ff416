"""What the provider says it moved beside what the books have on their accounts `provider`: both must be the same money.

Amounts are minor units, above zero where the money came to the house. A charge, its refunds and chargebacks are one
matter, and so are a payout and its coming back: what counts is what they come to under their reference.
"""

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self

from app.domain.model import iso
from app.domain.payments import OF_CHARGES, Movement, MovementKind
from app.domain.wallet import Kind

MAX_OPEN = 100_000
"""The most differing references that a look keeps at one time. This bounds its memory."""

_CAME = frozenset({MovementKind.CHARGE, MovementKind.CHARGEBACK_REVERSED, MovementKind.SENT_BACK})
"""Kinds of movement that bring money to the house; all others take money from it."""
_PAYOUTS = ("withdrawal", "payout")
"""Prefixes of entry kinds that concern a payout; all other entries on `provider` concern a charge."""


class Matter(StrEnum):
    """What a reference identifies. A deposit and a withdrawal may share the same reference."""

    CHARGE = "charge"
    PAYOUT = "payout"


class Difference(StrEnum):
    """How the two sides differ."""

    NOT_HERE = "notHere"
    """The provider moved money that the books do not contain."""
    NOT_THERE = "notThere"
    """The books contain money that the provider did not move."""
    OTHER = "other"
    """Both sides have an amount, but the amounts differ."""


class Side(StrEnum):
    """The side that reported a movement."""

    PROVIDER = "provider"
    BOOKS = "books"


class Key(NamedTuple):
    """The unit of comparison: one reference of one player. The provider does not know about wallets."""

    matter: Matter
    reference: str
    user_id: str


@dataclass(frozen=True)
class Moved:
    """A movement of money, as reported by one side."""

    side: Side
    key: Key
    amount: int
    currency: str
    at: datetime


@dataclass(frozen=True)
class Finding:
    """A reference on which the sides differ, with each side's movements since they last agreed, by currency."""

    key: Key
    provider: Mapping[str, int]
    books: Mapping[str, int]
    since: datetime = field(compare=False)
    """The newest movement of it."""

    @property
    def difference(self) -> Difference:
        """How they differ."""
        if not self.books:
            return Difference.NOT_HERE
        return Difference.OTHER if self.provider else Difference.NOT_THERE

    def __str__(self) -> str:
        matter, reference, user = self.key
        sides = f"provider {_amounts(self.provider)}, books {_amounts(self.books)}"
        return f"{matter} {reference} of player {user}: {sides}, since {iso(self.since)}"


@dataclass(frozen=True)
class Reconciliation:
    """One comparison: what was found, how many movements were looked at for it, and until when they count."""

    seen_at: datetime
    compared: int
    totals: Mapping[Difference, int]
    first: tuple[Finding, ...]

    @property
    def count(self) -> int:
        """Return the number of references that differ."""
        return sum(self.totals.values())


class Open:
    """What does not agree so far, while movements of both sides come in, in whatever order. What agrees is let go."""

    def __init__(self) -> None:
        self._gaps: dict[Key, _Gap] = {}

    def enter(self, moved: Moved) -> None:
        """Add a movement to the comparison."""
        gap = self._gaps.setdefault(moved.key, _Gap(moved.at))
        gap.enter(moved)
        if gap.closed:
            del self._gaps[moved.key]
        if len(self._gaps) > MAX_OPEN:
            raise ValueError(f"more than {MAX_OPEN} references differ")

    def older_than(self, moment: datetime) -> dict[Key, Finding]:
        """Return the differences that both sides should have had before the given moment."""
        return {
            key: Finding(key, _nonzero(gap.provider), _nonzero(gap.books), gap.last)
            for key, gap in self._gaps.items()
            if gap.last < moment
        }

    def copy(self) -> Self:
        """Return an independent copy."""
        return deepcopy(self)


@dataclass
class _Gap:
    last: datetime
    provider: Counter[str] = field(default_factory=Counter)
    books: Counter[str] = field(default_factory=Counter)

    def enter(self, moved: Moved) -> None:
        side = self.provider if moved.side is Side.PROVIDER else self.books
        side[moved.currency] += moved.amount
        self.last = max(self.last, moved.at)

    @property
    def closed(self) -> bool:
        return _nonzero(self.provider) == _nonzero(self.books)


def moved_there(movement: Movement) -> Moved:
    """What the provider says."""
    matter = Matter.CHARGE if movement.kind in OF_CHARGES else Matter.PAYOUT
    amount = movement.amount if movement.kind in _CAME else -movement.amount
    key = Key(matter, movement.reference, movement.user_id)
    return Moved(Side.PROVIDER, key, amount, movement.currency, movement.at)


def moved_here(kind: Kind | str, reference: str, user_id: str, posting: int, currency: str, at: datetime) -> Moved:
    """What an entry says that was posted on `provider`: that account mirrors what the provider holds of ours."""
    matter = Matter.PAYOUT if kind.startswith(_PAYOUTS) else Matter.CHARGE
    return Moved(Side.BOOKS, Key(matter, reference, user_id), -posting, currency, at)


def reconciliation(seen_at: datetime, compared: int, found: Mapping[Key, Finding], named: int) -> Reconciliation:
    """Return the findings, oldest first, up to a limit."""
    totals = Counter(finding.difference for finding in found.values())
    first = sorted(found.values(), key=lambda finding: (finding.since, finding.key))[:named]
    return Reconciliation(seen_at, compared, {each: totals[each] for each in Difference}, tuple(first))


def _nonzero(amounts: Mapping[str, int]) -> dict[str, int]:
    return {currency: amount for currency, amount in amounts.items() if amount != 0}


def _amounts(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{amount} {currency}" for currency, amount in sorted(amounts.items())) or "nothing"
