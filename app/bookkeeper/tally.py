"""What all players have together: each document is counted by itself, so it does not matter in which order they come.

A wallet is a closed double-entry book in one document, and a document changes as a whole. So each wallet sums to zero
at any moment, and so do all together, though the documents are not read at one moment.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from typing import Any, NamedTuple

from app.bookkeeper.books import Waiting
from app.bookkeeper.queries import Row
from app.bookkeeper.unreadable import moment_of
from app.domain.wallet import Account

NAMED = 10
"""The most wallets that one look names, and the most players whose documents cannot be read."""


NONE_WAITING = Waiting(0, None)


class Unbalanced(NamedTuple):
    """A wallet whose accounts do not sum to zero."""

    player: str
    wallet: str
    off: int

    def __str__(self) -> str:
        return f"player {self.player}: wallet {self.wallet} sums to {self.off}"


@dataclass
class Tally:
    """The sums over the players seen so far."""

    players: int = 0
    unreadable: int = 0
    """Players of whose documents something cannot be read. Nothing is said of that; the other players count."""
    unreadable_first: list[str] = field(default_factory=list)
    balances: dict[str, Counter[str]] = field(default_factory=dict)
    """The total of each account over all wallets, by currency."""
    unbalanced: int = 0
    unbalanced_first: list[Unbalanced] = field(default_factory=list)
    in_debt: int = 0
    deposits: Waiting = NONE_WAITING
    withdrawals: Waiting = NONE_WAITING
    under_way: "array[int]" = field(default_factory=lambda: array("Q"))
    """Partition keys of the players who may have something under way: a deposit, a withdrawal, a bet or a cash-out."""
    betting: "array[int]" = field(default_factory=lambda: array("Q"))
    """Partition keys of the players who may have an open bet."""

    def enter(self, row: Row, before: str) -> None:
        """Count a player's document. Deposits reserved `before` a moment have waited for too long."""
        self.players += 1
        if row.get("under_way"):
            self.under_way.append(row["place"])
        if row.get("betting"):
            self.betting.append(row["place"])
        try:
            if row.get("user_id") is None:
                raise ValueError("this is no player")
            self._enter_wallets(row["player"], _objects(row.get("wallets")))
            self.deposits = _both(self.deposits, _waiting(row.get("deposits"), "reserved", "reservedAt", before))
            self.withdrawals = _both(self.withdrawals, _waiting(row.get("withdrawals"), "held", "heldAt"))
        except (ValueError, TypeError, KeyError, AttributeError):
            self.unreadable += 1
            self.unreadable_first = nsmallest(NAMED, [*self.unreadable_first, row["player"]])

    def add(self, other: "Tally") -> None:
        """Count what another one has counted, of other players."""
        self.players += other.players
        self.unreadable += other.unreadable
        self.unreadable_first = nsmallest(NAMED, self.unreadable_first + other.unreadable_first)
        for currency, accounts in other.balances.items():
            _total(self.balances, currency).update(accounts)
        self.unbalanced += other.unbalanced
        self.unbalanced_first = nsmallest(NAMED, self.unbalanced_first + other.unbalanced_first)
        self.in_debt += other.in_debt
        self.deposits = _both(self.deposits, other.deposits)
        self.withdrawals = _both(self.withdrawals, other.withdrawals)
        self.under_way.extend(other.under_way)
        self.betting.extend(other.betting)

    def _enter_wallets(self, player: str, wallets: Mapping[str, Any]) -> None:
        in_debt = False
        for name, wallet in wallets.items():
            accounts = wallet["accounts"]
            if not isinstance(wallet["currency"], str) or not all(map(_is_amount, accounts.values())):
                raise ValueError("this is no wallet")
            total = _total(self.balances, wallet["currency"])
            for account, balance in accounts.items():
                total[account] += balance
            if off := sum(accounts.values()):
                self.unbalanced += 1
                self.unbalanced_first = nsmallest(NAMED, [*self.unbalanced_first, Unbalanced(player, name, off)])
            in_debt = in_debt or accounts.get(Account.CASH, 0) < 0
        self.in_debt += in_debt


def tally_of(rows: Iterable[Row], before: str) -> Tally:
    """Count these players."""
    tally = Tally()
    for row in rows:
        tally.enter(row, before)
    return tally


def _total(balances: dict[str, Counter[str]], currency: str) -> Counter[str]:
    """The totals of a currency; an account without entries has a total of 0."""
    return balances.setdefault(currency, Counter(dict.fromkeys(map(str, Account), 0)))


def _is_amount(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _objects(text: str | None) -> Mapping[str, Any]:
    """What a part of a document has; nothing if it is left out."""
    found = {} if text is None else json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("this is no object")
    return found


def _waiting(text: str | None, status: str, since: str, before: str | None = None) -> Waiting:
    """Those in this status since `before`, or since whenever."""
    moments = list(_moments(_objects(text), status, since, before))
    return Waiting(len(moments), min(moments, default=None))


def _moments(operations: Mapping[str, Any], status: str, since: str, before: str | None) -> Iterator[datetime]:
    for operation in operations.values():
        if operation["status"] == status and (before is None or operation[since] < before):
            if (moment := moment_of(operation[since])) is None:
                raise ValueError("this is no moment")
            yield moment


def _both(one: Waiting, other: Waiting) -> Waiting:
    moments = [waiting.oldest for waiting in (one, other) if waiting.oldest is not None]
    return Waiting(one.count + other.count, min(moments, default=None))
