"""A hook whose image cannot be pulled gets the loop's, and only that one, and only when it is sure."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace as Thing
from typing import Any

import pytest

from app.release.lending import LENT, lend_image, not_pulled, refuse_if_lent
from app.release.rounds import NO_IMAGE_SECONDS

NOW = datetime(2026, 11, 27, tzinfo=UTC)
MESSAGE = "Back-off pulling image"
OWN = "betting:1"


def pod(reason: str, age: float = NO_IMAGE_SECONDS, image: str = "betting:2", name: str = "betting-prepare-1") -> Any:
    """A pod whose container waits for a reason; with none, it runs."""
    waiting = Thing(reason=reason, message=MESSAGE) if reason else None
    state = Thing(waiting=waiting, running=None if reason else Thing())
    container = Thing(state=state, last_state=Thing(terminated=None), ready=not reason, started=not reason)
    return Thing(
        metadata=Thing(name=name, annotations=None, creation_timestamp=NOW - timedelta(seconds=age)),
        spec=Thing(containers=[Thing(name="release", image=image)]),
        status=Thing(conditions=None, container_statuses=[container]),
    )


class Cluster:
    """A namespace with hooks' pods, as the loop sees and changes them."""

    name, namespace = "betting", "shop"

    def __init__(self, *pods: Any) -> None:
        self.pods, self.asked = pods, ""
        self.changed: dict[str, Any] = {}
        self.core = self

    def list_namespaced_pod(self, namespace: str, label_selector: str, **_: object) -> Any:
        self.asked = label_selector
        return Thing(items=self.pods)

    def patch_namespaced_pod(self, name: str, namespace: str, change: Any, _content_type: str, **_: object) -> None:
        assert _content_type == "application/strategic-merge-patch+json", "another kind replaces the whole container"
        self.changed[name] = change


@pytest.mark.parametrize(
    ("reason", "age", "told"),
    [
        ("", 100, ""),
        ("ContainerCreating", 100, ""),
        ("CrashLoopBackOff", 100, ""),
        ("ErrImagePull", NO_IMAGE_SECONDS - 1, ""),
        ("ErrImagePull", NO_IMAGE_SECONDS, f"ErrImagePull: {MESSAGE}"),
        ("ImagePullBackOff", NO_IMAGE_SECONDS, f"ImagePullBackOff: {MESSAGE}"),
        ("InvalidImageName", 0, f"InvalidImageName: {MESSAGE}"),
        ("ErrImageNeverPull", 0, f"ErrImageNeverPull: {MESSAGE}"),
    ],
)
def test_an_image_has_a_moment_to_come_unless_it_never_will(reason: str, age: float, told: str) -> None:
    assert not_pulled(pod(reason, age), NOW) == told


def test_only_a_hook_whose_image_is_missing_gets_the_loops_with_the_reason() -> None:
    cluster: Any = Cluster(pod("ErrImageNeverPull"), pod("", name="betting-prepare-2"))
    told: list[str] = []

    lend_image(cluster, OWN, told.append)

    assert "component=prepare" in cluster.asked
    assert cluster.changed == {
        "betting-prepare-1": {
            "metadata": {"annotations": {LENT: f"ErrImageNeverPull: {MESSAGE}"}},
            "spec": {"containers": [{"name": "release", "image": OWN}]},
        }
    }
    assert len(told) == 1


@pytest.mark.parametrize("own_image", [OWN, ""], ids=["the same", "not known"])
def test_no_image_is_lent_that_would_not_help(own_image: str) -> None:
    cluster: Any = Cluster(pod("ErrImageNeverPull", image=OWN))

    lend_image(cluster, own_image, print)

    assert cluster.changed == {}


def test_an_image_that_was_lent_to_another_hook_refuses_nothing() -> None:
    other = pod("", name="betting-prepare-of-last-week")
    other.metadata.annotations = {LENT: "ErrImagePull"}
    cluster: Any = Cluster(other)

    refuse_if_lent(cluster, "betting:2", {"v2": "betting:2"})
