"""Archive pages: ended operations leave the player's document, because a larger document makes every bet slower."""

from typing import TypeVar

from pydantic import Field

from app.domain.archive import Operations, name_of
from app.domain.model import State
from app.domain.player import Bet, Deposit, DepositStatus, Player, Withdrawal, WithdrawalStatus

Operation = TypeVar("Operation", Deposit, Withdrawal, Bet)

MAX_ENDED = 30
"""The most ended deposits, withdrawals and bets, taken together, that stay in the document."""
KEPT_ENDED = 5
"""How many of each kind, the newest, stay in the document when the others are archived."""


class ArchivePage(State):
    """One page of ended deposits, withdrawals and bets that are no longer in the player's document."""

    deposits: dict[str, Deposit] = Field(default_factory=dict)
    withdrawals: dict[str, Withdrawal] = Field(default_factory=dict)
    bets: dict[str, Bet] = Field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of everything on the page, as the index uses them."""
        return [name_of(kind, operation_id) for kind in Operations for operation_id in getattr(self, kind)]


def archive_ended(player: Player) -> tuple[Player, ArchivePage | None]:
    """If the document has too many ended operations, move all but the newest to an archive page."""
    ended = ArchivePage(
        deposits={
            name: deposit for name, deposit in player.deposits.items() if deposit.status is not DepositStatus.RESERVED
        },
        withdrawals={
            name: withdrawal
            for name, withdrawal in player.withdrawals.items()
            if withdrawal.status is not WithdrawalStatus.HELD
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


def _older(ended: dict[str, Operation]) -> dict[str, Operation]:
    return dict(list(ended.items())[:-KEPT_ENDED])


def _without(operations: dict[str, Operation], archived: dict[str, Operation]) -> dict[str, Operation]:
    return {name: operation for name, operation in operations.items() if name not in archived}
