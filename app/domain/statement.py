"""The statement, its pages, and the audit that adds the book up again from its postings.

The newest movements are in the player's document, full pages of older ones elsewhere, since a bet costs more the larger
the document is.
"""

from collections import defaultdict

from app.domain.model import Moment, State, Wire
from app.domain.player import Player
from app.domain.wallet import Account, Entry, Kind, total

PAGE_SIZE = 50


class StatementPage(State):
    """A full page of movements."""

    entries: list[Entry]


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


def _movements(player: Player) -> int:
    return player.paged_out + len(player.entries)


def _balances(carried: dict[str, dict[Account, int]], entries: list[Entry]) -> dict[str, dict[Account, int]]:
    books = defaultdict(list, {wallet_id: [accounts] for wallet_id, accounts in carried.items()})
    for entry in entries:
        books[entry.wallet_id].append(entry.postings)
    return {wallet_id: total(postings) for wallet_id, postings in books.items()}
