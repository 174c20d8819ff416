"""Bet ids that were never used are told without a look at the archive, if they sort after all that were.

Who makes ids that grow with time (UUIDv7, ULID) pays nothing for a long history. Other ids stay as safe, and are looked
for in the archive. No clock is believed: an id is compared with the ids that were used, never with the time.
"""

from collections.abc import Iterable

from app.domain.archive import Operations
from app.domain.player import HighWaterMark, Player


def may_be_archived(player: Player, kind: Operations, ids: Iterable[str]) -> list[str]:
    """Those of the ids that are not in the document, and that the archive may have."""
    if not player.has_archive:
        return []
    missing = [operation_id for operation_id in ids if operation_id not in getattr(player, kind)]
    highest = _highest(player) if kind is Operations.BETS else None
    return missing if highest is None else [operation_id for operation_id in missing if operation_id <= highest]


def with_high_water(before: Player, after: Player, kept: Player) -> Player:
    """Raise the mark to the highest bet id of a changed document. `kept` is what stays of it beside the archive.

    Without an archive no mark is needed. An archive that began without one, or went on without it, gets none: nobody
    knows which ids it has.
    """
    if not kept.has_archive:
        return kept
    # Before anything was archived, the document had every bet that there ever was.
    highest = _highest(before) if before.has_archive else max(before.bets, default="")
    if highest is None:
        return kept.changed(high_water=None)
    mark = HighWaterMark(bet_id=max([highest, *after.bets]), movements=kept.movements)
    return kept.changed(high_water=mark)


def _highest(player: Player) -> str | None:
    """The highest bet id that the player has used; None if it is not known."""
    mark = player.high_water
    return mark.bet_id if mark is not None and mark.movements == player.movements else None
