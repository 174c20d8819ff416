"""The statement, its pages, and the audit that recomputes the ledger's balances from the postings.

The newest movements are in the player's document. Full pages of older ones are stored elsewhere, because a larger
document makes every bet slower.
"""

from collections import defaultdict

from pydantic import Field

from app.domain.access import Actor, Role
from app.domain.model import Moment, State, Wire, is_none
from app.domain.player import Player
from app.domain.wallet import Account, Entry, Kind, total

PAGE_SIZE = 50
OTHERS = frozenset({Kind.BET_SETTLED, Kind.BET_CORRECTED})
"""The movements that the player never causes. Without an actor, nobody knows whose result it was."""


class StatementPage(State):
    """A full page of movements."""

    entries: list[Entry]


class EntryView(Wire):
    """A movement. `amount` is the change of cash, in minor units. `by` is who caused it, which only operators see."""

    seq: int
    at: Moment
    kind: Kind
    reference: str
    wallet_id: str
    amount: int
    cash_after: int
    by: Actor | None = Field(None, exclude_if=is_none)


class StatementView(Wire):
    """One page of a statement, oldest movement first."""

    page: int
    pages: int
    entries: list[EntryView]


class Audit(Wire):
    """The result of an audit, with the balance of every account as the sum of its postings, in minor units."""

    balanced: bool
    wallets: dict[str, dict[Account, int]]


def pages(player: Player) -> int:
    """The number of pages of the statement, at least 1."""
    return max(1, -(-player.movements // PAGE_SIZE))


def entries_on(player: Player, page: int) -> list[Entry] | None:
    """The movements of a page, or None if the page is no longer in the document."""
    first = (page - 1) * PAGE_SIZE - player.paged_out
    return None if first < 0 else player.entries[first : first + PAGE_SIZE]


def by_whom(player: Player, entry: Entry) -> Actor | None:
    """Who caused a movement: the actor that is stored with it, or else the player, whose request it carried out.

    None for a result that came from an unknown caller, or was entered before actors were stored.
    """
    if entry.by is not None or entry.kind in OTHERS:
        return entry.by
    return Actor(user=player.user_id, role=Role.PLAYER)


def statement_view(player: Player, page: int, entries: list[Entry], for_operator: bool = False) -> StatementView:
    """Build the view of a page. Only operators see who caused a movement."""
    return StatementView(
        page=page,
        pages=pages(player),
        entries=[
            EntryView(
                amount=entry.postings.get(Account.CASH, 0),
                by=by_whom(player, entry) if for_operator else None,
                **entry.model_dump(include=set(EntryView.model_fields) - {"by"}, by_alias=False),
            )
            for entry in entries
        ],
    )


def full_pages(before: Player, after: Player) -> dict[int, StatementPage]:
    """The pages that a change has filled, by page number."""
    filled = range(before.movements // PAGE_SIZE + 1, after.movements // PAGE_SIZE + 1)
    return {page: StatementPage(entries=entries_on(after, page) or []) for page in filled}


def without_full_pages(player: Player) -> Player:
    """Remove full pages from the document. The caller must have stored them elsewhere."""
    full = len(player.entries) // PAGE_SIZE * PAGE_SIZE
    if full == 0:
        return player
    old, newer = player.entries[:full], player.entries[full:]
    return player.changed(
        entries=newer,
        paged_out=player.paged_out + full,
        paged_until=old[-1].at,
        carried=_balances(player.carried, old),
    )


def audit(player: Player) -> Audit:
    """Sum all postings again. Each wallet must sum to zero and agree with its stored balances."""
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


def _balances(carried: dict[str, dict[Account, int]], entries: list[Entry]) -> dict[str, dict[Account, int]]:
    books = defaultdict(list, {wallet_id: [accounts] for wallet_id, accounts in carried.items()})
    for entry in entries:
        books[entry.wallet_id].append(entry.postings)
    return {wallet_id: total(postings) for wallet_id, postings in books.items()}
