"""A hook whose image cannot be pulled gets the loop's, and only that one, and only when it is sure."""

from types import SimpleNamespace as Thing
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from app.release import lending
from app.release.cluster import Cluster
from app.release.lending import LENT_BECAUSE, Lender, refuse_if_lent, why_not_pulled
from app.release.rounds import NO_IMAGE_SECONDS

MESSAGE = "Back-off pulling image"
OWN, CANDIDATE = "betting:1", "betting:2"
NAME = "betting-prepare-1"


def container(reason: str, name: str = "release") -> Any:
    """A container that waits for a reason; with none, it runs."""
    waiting = Thing(reason=reason, message=MESSAGE) if reason else None
    return Thing(name=name, state=Thing(waiting=waiting))


def pod(reason: str, image: str = CANDIDATE, name: str = NAME, notes: dict[str, str] | None = None) -> Any:
    """A pod of the hook, beside whose container somebody has put one more."""
    return Thing(
        metadata=Thing(name=name, annotations=notes, resource_version="7"),
        spec=Thing(containers=[Thing(name="proxy", image="proxy:1"), Thing(name="release", image=image)]),
        status=Thing(container_statuses=[container("ErrImagePull", "proxy"), container(reason)]),
    )


class Namespace:
    """The part of Kubernetes' API by which the loop sees and changes hooks' pods."""

    def __init__(self, *pods: Any) -> None:
        self.pods, self.asked = pods, ""
        self.changed: dict[str, Any] = {}
        self.refuses = 0

    def cluster(self) -> Cluster:
        made = Cluster.__new__(Cluster)
        vars(made).update(_namespace="shop", _release="betting", _core=self)
        return made

    def list_namespaced_pod(self, namespace: str, label_selector: str, **_: object) -> Any:
        self.asked = label_selector
        return Thing(items=self.pods)

    def patch_namespaced_pod(self, name: str, namespace: str, change: Any, _content_type: str, **_: object) -> None:
        assert _content_type == "application/strategic-merge-patch+json", "another kind replaces all containers"
        if self.refuses:
            raise ApiException(status=self.refuses, reason="Forbidden")
        self.changed[name] = change


class Loop:
    """The loop's looks at a namespace, each at a second of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cluster: Namespace, own_image: str = OWN) -> None:
        self.seconds = 0.0
        self.told: list[str] = []
        self.cluster = cluster
        self._lender = Lender(cluster.cluster(), own_image, self.told.append)
        monkeypatch.setattr(lending, "time", Thing(monotonic=lambda: self.seconds))

    def look(self, *pods: Any, after: float = 0) -> bool:
        """Look at these pods after so many seconds more; whether one was lent the image."""
        self.seconds += after
        self.cluster.pods = pods
        self._lender.look()
        return bool(self.cluster.changed)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("", ""),
        ("ContainerCreating", ""),
        ("CrashLoopBackOff", ""),
        ("ErrImagePull", f"ErrImagePull: {MESSAGE}"),
        ("ImagePullBackOff", f"ImagePullBackOff: {MESSAGE}"),
        ("InvalidImageName", f"InvalidImageName: {MESSAGE}"),
        ("ErrImageNeverPull", f"ErrImageNeverPull: {MESSAGE}"),
    ],
)
def test_the_reason_is_that_of_the_hooks_own_image(reason: str, told: str) -> None:
    assert why_not_pulled(pod(reason)) == told


def test_a_hook_whose_image_never_comes_gets_the_loops_at_once_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Namespace()
    loop = Loop(monkeypatch, cluster)

    loop.look(pod("ErrImageNeverPull"), pod("", name="betting-prepare-2"))

    assert "component=prepare" in cluster.asked
    assert cluster.changed == {
        NAME: {
            "metadata": {
                "resourceVersion": "7",
                "annotations": {LENT_BECAUSE: f"ErrImageNeverPull: {MESSAGE}"},
            },
            "spec": {"containers": [{"name": "release", "image": OWN}]},
        }
    }
    assert len(loop.told) == 1


def test_an_image_has_a_moment_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(monkeypatch, Namespace())

    assert not loop.look(pod("ContainerCreating"), after=1_000)
    assert not loop.look(pod("ErrImagePull"), after=1_000), "a pull that took long has failed once"
    assert not loop.look(pod("ImagePullBackOff"), after=NO_IMAGE_SECONDS - 1)
    assert not loop.look(pod(""), after=2), "it has come"
    assert loop.look(pod("ImagePullBackOff"))


def test_how_long_an_image_was_missing_is_forgotten_with_its_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(monkeypatch, Namespace())

    loop.look(pod("ErrImagePull"))
    loop.look()

    assert not loop.look(pod("ErrImagePull"), after=NO_IMAGE_SECONDS)


@pytest.mark.parametrize(
    ("missing", "own_image"),
    [
        (pod("ErrImageNeverPull", image=OWN), OWN),
        (pod("ErrImageNeverPull"), ""),
        (pod("ErrImageNeverPull", notes={LENT_BECAUSE: "ErrImagePull"}), OWN),
    ],
    ids=["the same", "not known", "lent already"],
)
def test_no_image_is_lent_that_would_not_help(missing: Any, own_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Loop(monkeypatch, Namespace(), own_image).look(missing)


@pytest.mark.parametrize("status", [403, 404, 409])
def test_a_change_that_kubernetes_refuses_is_told_and_stops_nothing(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Namespace()
    cluster.refuses = status
    loop = Loop(monkeypatch, cluster)

    loop.look(pod("ErrImageNeverPull"))

    [told] = loop.told
    assert told.endswith(f": {status} Forbidden")


def test_an_image_that_was_lent_to_another_hook_refuses_nothing() -> None:
    cluster = Namespace(pod("", name="betting-prepare-of-last-week", notes={LENT_BECAUSE: "ErrImagePull"}))

    refuse_if_lent(cluster.cluster(), CANDIDATE, {"v2": CANDIDATE})
