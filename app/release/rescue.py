"""Which paused work goes on with a version: told by replays, before anything is resumed."""

from collections.abc import Iterable, Mapping

from app.release.gates.replay import Replayed
from app.release.restate_admin import Holding


def stays(chosen: Iterable[Holding], replayed: Mapping[str, Replayed]) -> Mapping[str, str]:
    """Why each of them is not resumed; empty for one that the target would go on with, or that begins anew there."""
    return {held.id: _stays(held, replayed.get(held.id)) for held in chosen}


def _stays(held: Holding, replayed: Replayed | None) -> str:
    if replayed is None:
        return "" if not held.pinned else "stays: it was not replayed; try again"
    if replayed.skipped:
        return f"stays: nothing is known, {replayed.skipped}"
    return f"stays: the target {replayed.problem}" if replayed.problem else ""
