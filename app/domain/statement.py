"""The statement, its pages, and the audit that adds the book up again from its postings.

The newest movements are in the player's document, full pages of older ones elsewhere, since a bet costs more the larger
the document is.
"""

from collections import defaultdict
from typing import TypeVar

from pydantic import Field

from app.domain.archive import Operations, name_of
from app.domain.model import Moment, State, Wire
from app.domain.player import Bet, Deposit, Player, Withdrawal
from app.domain.wallet import Account, Entry, Kind, total

Operation = TypeVar("Operation", Deposit, Withdrawal, Bet)

PAGE_SIZE = 50
MAX_ENDED = 30
"""Deposits, withdrawals and bets that ended stay in the document up to this many together."""
KEPT_ENDED = 5
"""When there are more, all but the newest of each kind are archived."""


class StatementPage(State):
    """A full page of movements."""

    entries: list[Entry]


class ArchivePage(State):
    """Deposits, withdrawals and bets that ended and left the player's document."""

    deposits: dict[str, Deposit] = Field(default_factory=dict)
    withdrawals: dict[str, Withdrawal] = Field(default_factory=dict)
    bets: dict[str, Bet] = Field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Everything on the page, as the index names it."""
        return [name_of(kind, operation_id) for kind in Operations for operation_id in getattr(self, kind)]


class EntryView(Wire):
    """A movement as the player sees it; `amount` is what it did to the cash."""

    seq: int
    at: Moment
    kind: Kind
    reference: str
    wallet_id: str
    amount: int
    cash_after: int


class StatementView(Wire):
    """One page of a statement, oldest movement first."""

    page: int
    pages: int
    entries: list[EntryView]


class Audit(Wire):
    """Whether a player's books add up, with every account's balance summed from the postings."""

    balanced: bool
    wallets: dict[str, dict[Account, int]]


def pages(player: Player) -> int:
    """How many pages the statement has; an empty one has one."""
    return max(1, -(-(player.paged_out + len(player.entries)) // PAGE_SIZE))


def entries_on(player: Player, page: int) -> list[Entry] | None:
    """The movements of a page, or None when that page is not in the document any more."""
    first = (page - 1) * PAGE_SIZE - player.paged_out
    return None if first < 0 else player.entries[first : first + PAGE_SIZE]


def statement_view(player: Player, page: int, entries: list[Entry]) -> StatementView:
    """A page as the player sees it."""
    return StatementView(
        page=page,
        pages=pages(player),
        entries=[
            EntryView(
                amount=entry.postings.get(Account.CASH, 0),
                **entry.model_dump(include=set(EntryView.model_fields), by_alias=False),
            )
            for entry in entries
        ],
    )


def full_pages(before: Player, after: Player) -> dict[int, StatementPage]:
    """The pages that a change has filled, by number."""
    filled = range(_movements(before) // PAGE_SIZE + 1, _movements(after) // PAGE_SIZE + 1)
    return {page: StatementPage(entries=entries_on(after, page) or []) for page in filled}


def without_full_pages(player: Player) -> Player:
    """Let go of full pages, which have been handed over."""
    full = len(player.entries) // PAGE_SIZE * PAGE_SIZE
    if full == 0:
        return player
    old, newer = player.entries[:full], player.entries[full:]
    return player.changed(entries=newer, paged_out=player.paged_out + full, carried=_balances(player.carried, old))


def archive_ended(player: Player) -> tuple[Player, ArchivePage | None]:
    """Take what ended out of the document but for the newest, when there is too much of it."""
    ended = ArchivePage(
        deposits={name: deposit for name, deposit in player.deposits.items() if deposit.status != "reserved"},
        withdrawals={
            name: withdrawal for name, withdrawal in player.withdrawals.items() if withdrawal.status != "held"
        },
        bets={name: bet for name, bet in player.bets.items() if not bet.status.holds_stake},
    )
    if len(ended.deposits) + len(ended.withdrawals) + len(ended.bets) <= MAX_ENDED:
        return player, None
    page = ArchivePage(deposits=_older(ended.deposits), withdrawals=_older(ended.withdrawals), bets=_older(ended.bets))
    kept = player.changed(
        has_archive=True,
        deposits=_without(player.deposits, page.deposits),
        withdrawals=_without(player.withdrawals, page.withdrawals),
        bets=_without(player.bets, page.bets),
    )
    return kept, page


def audit(player: Player) -> Audit:
    """Add up every posting again: each wallet must sum to zero and agree with the balances kept."""
    sums = _balances(player.carried, player.entries)
    wallets = {wallet_id: sums.get(wallet_id, {}) for wallet_id in player.wallets}
    balanced = all(
        sum(accounts.values()) == 0 and accounts == total([player.wallets[wallet_id].accounts])
        for wallet_id, accounts in wallets.items()
    )
    zeros = dict.fromkeys(Account, 0)
    return Audit(
        balanced=balanced, wallets={wallet_id: {**zeros, **accounts} for wallet_id, accounts in wallets.items()}
    )


def _older(ended: dict[str, Operation]) -> dict[str, Operation]:
    return dict(list(ended.items())[:-KEPT_ENDED])


def _without(operations: dict[str, Operation], archived: dict[str, Operation]) -> dict[str, Operation]:
    return {name: operation for name, operation in operations.items() if name not in archived}


def _movements(player: Player) -> int:
    return player.paged_out + len(player.entries)


def _balances(carried: dict[str, dict[Account, int]], entries: list[Entry]) -> dict[str, dict[Account, int]]:
    books = defaultdict(list, {wallet_id: [accounts] for wallet_id, accounts in carried.items()})
    for entry in entries:
        books[entry.wallet_id].append(entry.postings)
    return {wallet_id: total(postings) for wallet_id, postings in books.items()}
