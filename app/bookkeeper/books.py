"""The state of all players' books in one look."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from app.bookkeeper.reconcile import Difference, Reconciliation
from app.bookkeeper.stranded import Stranded, Strandings
from app.domain.model import iso
from app.domain.wallet import Account

_DIFFERS = {
    Difference.NOT_HERE: "moved by the provider and not in the books",
    Difference.NOT_THERE: "in the books and not moved by the provider",
    Difference.OTHER: "moved otherwise by the provider than in the books",
}
assert _DIFFERS.keys() == set(Difference)
_UNREAD = "the document cannot be read, so nothing is said of its money"


@dataclass(frozen=True)
class Waiting:
    """Unfinished work of one kind, and when the oldest item started to wait."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True)
class Books:
    """The result of one complete look at all books. Amounts are in minor units of their currency."""

    seen_at: datetime
    """When the look began. It may have missed anything entered later."""
    players: int
    sampled: int
    """Number of players whose movements were summed again."""
    disagreeing: tuple[str, ...]
    """Audited players whose balances differ from the sum of their movements."""
    balances: Mapping[str, Mapping[str, int]]
    """The total of each account over all wallets, by currency."""
    unbalanced_wallets: int
    unbalanced_examples: tuple[str, ...]
    """The first of them, each with what its accounts sum to instead of zero."""
    players_in_debt: int
    open_markets: int
    liability: Mapping[str, int]
    """The house's loss if the worst selection of every open market wins, by currency."""
    deposits: Waiting
    """Deposits reserved for longer than the provider timeout, whose outcome is still unknown."""
    withdrawals: Waiting
    """Withdrawals that are held, and neither paid nor returned yet."""
    settlements: Waiting
    """Results that have not been applied to every bet yet."""
    settlement_bets_left: int
    stranded: Strandings = field(default_factory=Strandings)
    """Unfinished work that no invocation is working on."""
    repaired: tuple[Stranded, ...] = ()
    """What was sent on before this look, because an earlier one found it stranded."""
    reconciled: Reconciliation | None = None
    """What the provider says it moved beside what the books say; None where it could not be asked."""
    not_reconciled: str = ""
    """Why it could not."""
    seconds: float = 0.0
    """How long the look took."""
    unreadable: int = 0
    """Players whose documents, or balances in them, cannot be read, as far as they were looked at."""
    unreadable_players: tuple[str, ...] = ()
    """The first of them."""

    @property
    def balanced(self) -> bool:
        """Whether the books add up and, if the provider was asked, agree with it: all of them that could be read."""
        return self.adds_up and not (self.reconciled is not None and self.reconciled.count)

    @property
    def adds_up(self) -> bool:
        """Whether each wallet and the total sum to zero, and all audited players' movements match their balances."""
        return not (
            self.unbalanced_wallets
            or self.disagreeing
            or any(sum(accounts.values()) for accounts in self.balances.values())
        )

    @property
    def wrong(self) -> tuple[str, ...]:
        """Describe everything that does not balance or cannot be read, one sentence each."""
        more = self.unbalanced_wallets - len(self.unbalanced_examples)
        unread = self.unreadable - len(self.unreadable_players)
        return (
            *self.unbalanced_examples,
            *((f"{more} more wallets do not sum to zero",) if more else ()),
            *(f"player {player}: the audit does not balance" for player in self.disagreeing),
            *self._differing,
            *(f"player {player}: {_UNREAD}" for player in self.unreadable_players),
            *((f"{unread} more documents of players cannot be read",) if unread else ()),
        )

    @property
    def _differing(self) -> Iterator[str]:
        """Describe the differences between the books and the provider."""
        if self.reconciled is None:
            return
        yield from (f"{_DIFFERS[finding.difference]}: {finding}" for finding in self.reconciled.first)
        if (more := self.reconciled.count - len(self.reconciled.first)) > 0:
            yield f"{more} more references differ"


def balances_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return the totals by currency; an account without entries has a total of 0."""
    balances: dict[str, dict[str, int]] = {}
    for row in rows:
        accounts = balances.setdefault(row["currency"], dict.fromkeys(map(str, Account), 0))
        accounts[row["account"]] = row["balance"]
    return balances


def as_json(books: Books, ingress: str) -> dict[str, Any]:
    """Return every number as JSON for programs, with the verdict first."""
    apart = {"stranded", "repaired", "reconciled", "not_reconciled"}
    numbers = {name: value for name, value in asdict(books).items() if name not in apart}
    told = {"balanced": books.balanced, **numbers}
    return {_camel(name): _plain(value) for name, value in told.items()} | {
        "stranded": {
            "count": books.stranded.count,
            "totals": dict(books.stranded.totals),
            "first": [
                {"kind": thing.kind, **thing.body, "since": iso(thing.since), "repair": thing.command(ingress)}
                for thing in books.stranded.first
            ],
        },
        "repaired": [{"kind": thing.kind, **thing.body, "since": iso(thing.since)} for thing in books.repaired],
        "reconciled": None if books.reconciled is None else _findings(books.reconciled),
        "notReconciled": books.not_reconciled,
    }


def _findings(reconciled: Reconciliation) -> dict[str, Any]:
    return {
        "count": reconciled.count,
        "compared": reconciled.compared,
        "totals": dict(reconciled.totals),
        "first": [
            {
                "difference": finding.difference,
                **{_camel(name): value for name, value in finding.key._asdict().items()},
                "provider": dict(finding.provider),
                "books": dict(finding.books),
                "since": iso(finding.since),
            }
            for finding in reconciled.first
        ],
    }


def as_text(books: Books, ingress: str) -> str:
    """Return a report for people: totals, waiting work, and the verdict last."""
    now = books.seen_at
    lines = [
        *(f"{currency} {_amounts(accounts)}" for currency, accounts in sorted(books.balances.items())),
        f"players: {books.players}, in debt {books.players_in_debt}",
        f"open markets: {books.open_markets}, liability {_liability(books.liability)}",
        f"deposits of unknown outcome: {_waiting(books.deposits, now)}",
        f"withdrawals held: {_waiting(books.withdrawals, now)}",
        f"settlements running: {_waiting(books.settlements, now)}, {books.settlement_bets_left} bets left",
        *(f"sent on: {thing}" for thing in books.repaired),
        *_stranded(books.stranded, ingress),
        _compared(books),
        *books.wrong,
        f"{verdict(books)}: all wallets of {_players(books)}, and the movements of {books.sampled} of them",
    ]
    return "\n".join(lines)


def _compared(books: Books) -> str:
    if books.reconciled is None:
        return f"not reconciled with the provider: {books.not_reconciled}"
    return f"reconciled with the provider: {books.reconciled.compared} movements, {books.reconciled.count} differ"


def _stranded(stranded: Strandings, ingress: str) -> Iterator[str]:
    yield f"stranded: {stranded.count}"
    for thing in stranded.first:
        yield f"  {thing}: {thing.command(ingress)}"
    if (more := stranded.count - len(stranded.first)) > 0:
        yield f"  and {more} more"
    if stranded.count:
        yield "  betting books --once --repair sends all of it on"


def verdict(books: Books) -> str:
    """Whether the books balance, in a few words."""
    if not books.balanced:
        return "NOT balanced"
    return "NOT all seen" if books.unreadable else "balanced"


def _players(books: Books) -> str:
    without = f" but {books.unreadable} that cannot be read" if books.unreadable else ""
    return f"{books.players} players{without}"


def _amounts(accounts: Mapping[str, int]) -> str:
    return ", ".join(f"{account} {balance}" for account, balance in accounts.items())


def _liability(by_currency: Mapping[str, int]) -> str:
    return ", ".join(f"{currency} {amount}" for currency, amount in sorted(by_currency.items())) or "0"


def _waiting(waiting: Waiting, now: datetime) -> str:
    if waiting.oldest is None:
        return f"{waiting.count}"
    return f"{waiting.count}, the oldest for {(now - waiting.oldest).total_seconds():.0f} s"


def _plain(value: object) -> object:
    match value:
        case datetime():
            return iso(value)
        case Mapping():
            return {name: _plain(part) for name, part in value.items()}
        case Sequence() if not isinstance(value, str):
            return [_plain(part) for part in value]
        case _:
            return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
