"""What is reserved, held, or settled in part, and what nobody works on any more; and the request that sends it on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.access import BOOKKEEPER, headers_of
from app.domain.model import iso


class Kind(StrEnum):
    """What can be left behind, by the handler of RepairService that mends it."""

    DEPOSIT = "deposit"
    """Reserved, and nobody asks the provider any more."""
    WITHDRAWAL = "withdrawal"
    """Held, and nobody reviews or pays it any more."""
    BET = "bet"
    """Its stake is locked, and nobody asks the markets any more; or a cash-out that nobody decides."""
    LEG = "leg"
    """Reserved in a market for a bet that its player does not have."""
    SETTLEMENT = "settlement"
    """A result that is not carried out on every bet, and nobody does it."""
    TERMS = "terms"
    """A market's change that one of its books has not heard of, and nobody tells it."""


OWN_TIME = frozenset({Kind.DEPOSIT, Kind.WITHDRAWAL, Kind.BET})
"""What says itself since when it waits; of the others it counts since when the bookkeeper has seen them."""


@dataclass(frozen=True)
class Stranded:
    """One thing that was left behind: by its names, which are also what its repair takes, and since when."""

    kind: Kind
    names: Mapping[str, str | int]
    since: datetime = field(compare=False)

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it apart from all others."""
        return self.kind, *self.names.items()

    @property
    def body(self) -> dict[str, str | int]:
        """What `RepairService/{kind}` takes."""
        return dict(self.names)

    def command(self, ingress: str) -> str:
        """What mends it, to paste into a shell: ids have no character that would need quoting there."""
        body = json.dumps(self.body, separators=(",", ":"))
        headers = {"content-type": "application/json", **headers_of(BOOKKEEPER)}
        named = " ".join(f"-H '{name}: {value}'" for name, value in headers.items())
        return f"curl {ingress}/RepairService/{self.kind} {named} -d '{body}'"

    def __str__(self) -> str:
        names = ", ".join(f"{name} {value}" for name, value in self.names.items())
        return f"{self.kind} ({names}) since {iso(self.since)}"


@dataclass(frozen=True)
class Strandings:
    """All that was left behind: how much of each kind, and the first of them."""

    totals: Mapping[Kind, int] = field(default_factory=dict)
    first: tuple[Stranded, ...] = ()

    @property
    def count(self) -> int:
        """How many things, of all kinds."""
        return sum(self.totals.values())


class Suspicions:
    """Things of which a look cannot tell since when they are as they are: seen for long enough, they are stranded.

    A leg is reserved before its bet is stored, and a result is entered before its run begins.
    """

    def __init__(self) -> None:
        self._since: dict[tuple[object, ...], Stranded] = {}
        self.unconfirmed: frozenset[tuple[object, ...]] = frozenset()
        """What was seen in the last look, and not for long enough yet, by its key."""

    @property
    def all(self) -> Sequence[Stranded]:
        """What was suspected in the last look, to be looked at again in the next."""
        return tuple(self._since.values())

    def confirm(self, seen: Iterable[Stranded], now: datetime, grace: timedelta) -> list[Stranded]:
        """What of all that is seen now was seen in every look for as long as `grace`; what is not seen is cleared."""
        self._since = {thing.key: self._since.get(thing.key, thing) for thing in seen}
        confirmed = [thing for thing in self._since.values() if now - thing.since >= grace]
        self.unconfirmed = frozenset(self._since.keys() - {thing.key for thing in confirmed})
        return confirmed
