"""What the hook prints after an upgrade: lines for people, the last of which says how it ended."""

from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.release import rounds
from app.release.cli import main
from app.release.cluster import Intent
from app.release.plan import Observed, Plan, Restate, plan
from tests.release.plans import BOTH, ON_V2, V1, V2, routed_to, version


class Cluster:
    """What the registration does to Kubernetes, noted."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def intent(self) -> Intent:
        return Intent("v2", {})

    def adopt(self) -> None:
        self.done.append("adopt")

    def adopt_secrets(self) -> None:
        self.done.append("adopt secrets")

    def forget_choice_before(self, live: str) -> None:
        self.done.append(f"forget the choice before {live}")

    def note_deployed(self) -> None:
        self.done.append("deployed")

    def way_back(self) -> str:
        return "helm rollback betting 3 -n shop"


class Release:
    """A release that stays as it is."""

    silence = ""

    def __init__(self, made: Plan) -> None:
        self.made, self.cluster = made, Cluster()

    def plan(self) -> Plan:
        return self.made

    def forget_answers(self) -> None:
        """There are none."""

    def carry_out(self, actions: Any, made: Plan, tell: Any) -> None:
        """Nothing comes of it."""


def registered(release: Release, deadline: int = 0) -> Result:
    return CliRunner().invoke(main.commands["register"], [f"--deadline={deadline}"], obj=lambda: release)


def test_a_registration_ends_with_the_version_that_takes_new_work_and_remembers_the_revision() -> None:
    release = Release(plan(Observed((V1, V2), "v2", ON_V2)))

    told = registered(release)

    assert told.exit_code == 0
    assert told.output.splitlines()[-1].endswith("v2 takes all new work")
    assert "│" not in told.output
    assert release.cluster.done[-2:] == ["forget the choice before v2", "deployed"]


def test_an_image_that_does_not_exist_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pulls = 'ImagePullBackOff: Back-off pulling image "betting:typo"'
    for trouble, seconds in (("InvalidImageName: couldn't parse betting::b", 999.0), (pulls, 0.0)):
        monkeypatch.setattr(rounds, "NO_IMAGE_SECONDS", seconds)
        waiting = version("v2", available=0, trouble=trouble)
        release = Release(plan(Observed((V1, waiting), "v2", Restate(BOTH[:1], routed_to("v1")))))

        told = registered(release, deadline=999)

        assert str(told.exception).startswith(f"v2 does not start: {trouble}")


def test_pods_that_are_slow_to_start_are_counted() -> None:
    slow = version("v2", available=1)
    release = Release(plan(Observed((V1, slow), "v2", Restate(BOTH[:1], routed_to("v1")))))

    assert str(registered(release).exception).startswith("v2 is not live after 0 s: 1 of 2 pods are ready")


def test_one_that_fails_says_how_to_go_back_and_does_not_count_as_deployed() -> None:
    crashing = version("v2", available=0, trouble="crashed: no such setting")
    release = Release(plan(Observed((V1, crashing), "v2", Restate(BOTH[:1], routed_to("v1")))))

    told = registered(release)

    assert str(told.exception).endswith("crashed: no such setting; to go back: helm rollback betting 3 -n shop")
    assert "│" not in told.output
    assert "deployed" not in release.cluster.done
