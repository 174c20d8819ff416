"""Which paused work a rescue resumes, by how its replay ended."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from app.release import cli
from app.release.gates.replay import NO_ANSWER, Replayed
from app.release.plan import Observed, Plan, plan
from app.release.rescue import stays
from app.release.restate_admin import LISTED, Holding, RefusedError
from tests.release.plans import ON_V2, V1, V2


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


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Restate:
    """Work that is paused, oldest first, and what is asked of it."""

    def __init__(self, count: int) -> None:
        self.paused = [
            Holding(f"inv_{number}", "paused", "W/w/run", True, NOON, "a human", "") for number in range(count)
        ]
        self.refused: set[str] = set()
        self.resumed: list[str] = []

    def holding(
        self, *_: object, statuses: Collection[str], chosen: Collection[str], past: Collection[str]
    ) -> tuple[Holding, ...]:
        found = [
            held
            for held in self.paused
            if held.status in statuses and (not chosen or held.id in chosen) and held.id not in past
        ]
        return tuple(found[:LISTED])

    def resume(self, invocation: str, deployment: str) -> None:
        assert deployment == "dp_v2"
        if invocation in self.refused:
            raise RefusedError(f"{invocation} is refused")
        self.resumed.append(invocation)
        self.paused = [held for held in self.paused if held.id != invocation]


class Release:
    """A release whose v2 goes on with all but some paused work of v1."""

    cluster = None

    def __init__(self, restate: Restate, stay: Collection[str]) -> None:
        self.restate, self.stay = restate, stay

    def plan(self) -> Plan:
        return plan(Observed((V1, V2), "v2", ON_V2))

    def rehearsed(self, cluster: Any, restate: Any, version: Any, ids: Collection[str]) -> dict[str, Replayed]:
        return {id: Replayed("takes other steps" if id in self.stay else "") for id in ids}

    def rescue(self, *options: str) -> list[str]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(cli, "rehearsed", self.rehearsed)
            told = CliRunner().invoke(cli.main.commands["rescue"], ["v1", *options], obj=lambda: self)
        assert told.exit_code == 0, told.output
        return told.output.splitlines()


def ids(first: int, end: int) -> list[str]:
    return [f"inv_{number}" for number in range(first, end)]


def test_what_stays_does_not_hide_what_is_behind_it() -> None:
    release = Release(Restate(LISTED + 50), ids(0, LISTED + 20))

    said = release.rescue()

    assert release.restate.resumed == ids(LISTED + 20, LISTED + 50)
    assert said[0] == "resume inv_0 W/w/run on dp_v2: stays: the target takes other steps"
    assert len(said) == LISTED + 50


def test_what_restate_refuses_does_not_hide_what_is_behind_it() -> None:
    release = Release(Restate(LISTED + 1), ())
    release.restate.refused = set(ids(0, LISTED))

    assert release.rescue()[0].endswith("inv_0 is refused")

    assert release.restate.resumed == ids(LISTED, LISTED + 1)


def test_a_rescue_ends_when_a_hundred_went_on_and_the_next_one_goes_on_from_there() -> None:
    release = Release(Restate(LISTED + 10), ())

    assert len(release.rescue("--dry-run")) == LISTED
    assert release.restate.resumed == []
    release.rescue()
    assert release.restate.resumed == ids(0, LISTED)
    release.rescue()
    assert release.restate.resumed == ids(0, LISTED + 10)
    assert release.rescue() == ["plan: nothing to do; no work of v1 is paused"]


def test_an_invocation_that_is_named_is_found_wherever_it_is() -> None:
    release = Release(Restate(3 * LISTED), ())

    release.rescue(f"--invocation=inv_{2 * LISTED}")

    assert release.restate.resumed == [f"inv_{2 * LISTED}"]
