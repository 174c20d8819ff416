"""Another image under an old key: taken while Restate has never known the version, refused from then on."""

from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from app.release.cli import prepare
from app.release.plan import Deployment, Restate, Version
from app.release.restate_admin import UnknownError
from tests.release.plans import BOTH, routed_to, version

CRASHES = version("v2", available=0, known_image="", declared_image="betting:corrected")


class Namespace:
    """Versions that run, no keys to make, and no hook that was lent an image."""

    def __init__(self, *versions: Version) -> None:
        self._versions = versions

    def versions(self, images: Any) -> tuple[Version, ...]:
        return self._versions

    def pods(self, component: str) -> list[Any]:
        return []

    def way_back(self) -> str:
        return ""


@dataclass
class Admin:
    deployments: tuple[Deployment, ...] | None = BOTH[:1]

    def observe(self) -> Restate:
        if self.deployments is None:
            raise UnknownError("POST /query: no route to host")
        return Restate(self.deployments, routed_to("v1"))


@dataclass
class AnyRelease:
    cluster: Namespace
    restate: Admin
    own_image: str = "betting:v2"


def refused(changed: Version, admin: Admin) -> str:
    """Why it is refused; empty if it is not."""
    release = AnyRelease(Namespace(version("v1"), changed), admin)
    told = CliRunner().invoke(prepare, ["--images={}", "--no-signing-key"], obj=lambda: release)
    return str(told.exception or "")


def test_a_version_that_restate_has_never_known_may_get_another_image() -> None:
    assert refused(CRASHES, Admin()) == ""


def test_a_version_that_restate_knows_may_not() -> None:
    said = refused(CRASHES, Admin(BOTH))

    assert said.startswith("versions.v2.image is betting:v2 and would become betting:corrected: versions are immutable")


def test_a_version_that_restate_once_knew_may_not_either() -> None:
    retired = version("v2", replicas=0, available=0, declared_image="betting:corrected")

    assert "versions are immutable" in refused(retired, Admin())


def test_a_version_may_go_back_to_the_image_that_restate_came_to_know() -> None:
    moved = version("v2", image="betting:moved", known_image="betting:v2", declared_image="betting:v2")
    stays = version("v2", image="betting:moved", known_image="betting:v2")

    assert refused(moved, Admin()) == ""
    assert "versions.v2.image is betting:v2 and would become betting:moved" in refused(stays, Admin())


def test_while_restate_does_not_answer_no_image_is_changed() -> None:
    said = refused(CRASHES, Admin(None))

    assert "betting:v2 and would become betting:corrected; Restate does not say whether it knows v2" in said
    assert "nothing has changed" in said
    assert "no route to host" in said


def test_restate_is_not_asked_where_no_image_changes() -> None:
    assert refused(version("v2", declared_image=None), Admin(None)) == ""
    assert refused(version("v2"), Admin(None)) == ""
