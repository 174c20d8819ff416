"""Which paused work a rescue resumes, by how its replay ended."""

from datetime import UTC, datetime

import pytest

from app.release.gates.replay import NO_ANSWER, Replayed
from app.release.rescue import stays
from app.release.restate_admin import Holding


@pytest.mark.parametrize(
    ("pinned", "replayed", "said"),
    [
        (True, Replayed(), ""),
        (True, Replayed("takes other steps: run"), "stays: the target takes other steps: run"),
        (True, Replayed(skipped=NO_ANSWER), f"stays: nothing is known, {NO_ANSWER}"),
        (True, None, "stays: it was not replayed; try again"),
        (False, None, ""),
    ],
    ids=["goes on", "other steps", "no answer", "not replayed", "begins anew"],
)
def test_only_what_the_target_would_go_on_with_is_resumed(pinned: bool, replayed: Replayed | None, said: str) -> None:
    held = Holding("inv_1", "paused", "W/w/run", pinned, datetime(2026, 1, 1, tzinfo=UTC), "a human", "")

    assert stays([held], {"inv_1": replayed} if replayed else {}) == {"inv_1": said}
