"""What Restate came to know a version as is noted on it once, and what it runs later is compared with that."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client

from app.release import gate_notes
from app.release.cluster import KNOWN_IMAGE, Cluster, Intent
from app.release.fixed_settings import DEFAULTS, Known
from app.release.gates.findings import Checked, Finding, Gate, Outcome
from app.release.plan import Deployment, Observed, Restate, Step, Version, plan
from app.release.rounds import Release

REQUIRED = "BETTING_REQUIRE_IDENTITY"


class Deployments:
    """The Deployment of v1 in Kubernetes; a merge patch changes its notes."""

    def __init__(self) -> None:
        notes = {"betting/full-strength": "2", "betting/uri": "http://betting-v1.shop.svc:9080/"}
        labels = {"betting/version": "v1"}
        env = [{"name": name, "value": value} for name, value in (("BETTING_PORT", "9080"), (REQUIRED, "false"))]
        key: Any = {"name": "BETTING_IDENTITY_KEYS", "valueFrom": {"secretKeyRef": {"name": "key", "key": "public"}}}
        containers = [{"name": "service", "image": "betting:v1", "env": [*env, key]}]
        self._v1: Any = {
            "metadata": {"name": "betting-v1", "labels": labels, "annotations": notes, "generation": 1},
            "spec": {"replicas": 2, "selector": {}, "template": {"spec": {"containers": containers}}},
            "status": {"availableReplicas": 2},
        }

    def change(self, image: str, settings: dict[str, str], replicas: int) -> None:
        """What a rollback of Helm may make of it."""
        spec: Any = json.loads(json.dumps(self._v1["spec"])) | {"replicas": replicas}
        [container] = spec["template"]["spec"]["containers"]
        container["image"] = image
        container["env"] += [{"name": name, "value": value} for name, value in settings.items()]
        self._v1 = self._v1 | {"spec": spec}

    def list_namespaced_pod(self, namespace: str, **_: object) -> Any:
        return client.V1PodList(items=[])

    def list_namespaced_deployment(self, namespace: str, **_: object) -> Any:
        content = json.dumps({"items": [self._v1]})
        return client.ApiClient().deserialize(content, "V1DeploymentList", "application/json")

    def list_namespaced_service(self, namespace: str, **_: object) -> Any:
        return client.V1ServiceList(items=[])

    def list_namespaced_horizontal_pod_autoscaler(self, namespace: str, **_: object) -> Any:
        return client.V2HorizontalPodAutoscalerList(items=[])

    def patch_namespaced_deployment(self, name: str, namespace: str, change: Any, **_: object) -> None:
        notes = self._v1["metadata"]["annotations"] | change["metadata"]["annotations"]
        self._v1 = self._v1 | {"metadata": self._v1["metadata"] | {"annotations": notes, "name": name}}


@pytest.fixture
def deployments() -> Any:
    return Deployments()


@pytest.fixture
def cluster(deployments: Any, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(Cluster, "_owners", lambda self: [])
    made = Cluster.__new__(Cluster)
    apis = dict.fromkeys(("_core", "_apps", "_autoscaling"), deployments)
    vars(made).update(_namespace="shop", _release="betting", **apis)
    return made


def remembered(cluster: Cluster, own_image: str) -> Version:
    """The version after one round of who runs this image."""
    [v1] = cluster.versions({})
    known = Restate((Deployment("dp_v1", v1.uri, frozenset()),))
    made = plan(Observed((v1,), "v1", known, own_image=own_image))
    noted = [action for action in made.actions if action.do is Step.REMEMBER]
    Release(cluster, Any, own_image).carry_out(noted, made, print)  # type: ignore[arg-type]
    [v1] = cluster.versions({})
    return v1


def test_the_loop_notes_what_restate_knows_on_the_version_and_reads_it_there(cluster: Cluster) -> None:
    [v1] = cluster.versions({})
    assert (v1.known_image, v1.known_settings) == ("", None)

    v1 = remembered(cluster, "")

    assert v1.known_image == v1.image
    assert v1.known_settings == Known({REQUIRED: "false"})
    assert v1.strayed == ()


def test_only_its_own_code_tells_the_defaults_of_a_version(cluster: Cluster) -> None:
    other, own = (remembered(cluster, f"betting:{version}").known_settings for version in ("v2", "v1"))

    assert other == Known({REQUIRED: "false"})
    assert own == Known({REQUIRED: "false"}, DEFAULTS)


def test_its_own_code_adds_the_defaults_and_leaves_what_was_noted(cluster: Cluster, deployments: Deployments) -> None:
    remembered(cluster, "betting:v2")
    deployments.change("betting:v1", {"BETTING_REVIEW_THRESHOLD": "6000"}, replicas=2)

    v1 = remembered(cluster, "betting:v1")

    assert v1.known_settings == Known({REQUIRED: "false"}, DEFAULTS)


def test_what_is_noted_stays_whatever_is_changed_later_also_without_pods(
    cluster: Cluster, deployments: Deployments
) -> None:
    before = remembered(cluster, "betting:v1")
    deployments.change("betting:moved", {"BETTING_REVIEW_THRESHOLD": "6000"}, replicas=0)

    after = remembered(cluster, "betting:v1")

    assert (after.known_image, after.known_settings) == (before.known_image, before.known_settings)
    assert after.strayed == (
        "image was betting:v1 and is betting:moved",
        "BETTING_REVIEW_THRESHOLD was empty and is 6000",
    )
    assert after.settings_to_keep == before.known_settings


def test_where_nothing_was_noted_then_what_runs_now_counts(cluster: Cluster, deployments: Deployments) -> None:
    deployments.patch_namespaced_deployment(
        "betting-v1", "shop", {"metadata": {"annotations": {KNOWN_IMAGE: "betting:v1"}}}
    )

    [v1] = cluster.versions({})
    assert (v1.known_image, v1.settings_to_keep) == ("betting:v1", Known({REQUIRED: "false"}))


VALUES = Intent("v1", {"v1": "betting:v1"}, accepts={"v1": ("Market/get: gone",)}, asks="what the anchor says")
FOUND = (Checked(Gate.CONTRACT, Outcome.FAILED, (Finding("Market/get", "handler removed"),)),)


@pytest.mark.parametrize(
    ("noted", "values", "stays"),
    [
        (VALUES.terms("v1"), VALUES, True),
        ("", VALUES, True),
        (VALUES.terms("v1"), replace(VALUES, accepts={**VALUES.accepts, "v2": ("Market/get: gone",)}), True),
        (VALUES.terms("v1"), replace(VALUES, accepts={"v1": ("Market/get: handler removed",)}), False),
        (VALUES.terms("v1"), replace(VALUES, accepts={}), False),
        (VALUES.terms("v1"), replace(VALUES, asks="something else"), False),
    ],
    ids=[
        "the same values",
        "a note of older code",
        "accepted of another version",
        "accepted",
        "not accepted any more",
        "other gates or bounds",
    ],
)
def test_what_the_gates_found_stays_until_the_values_ask_otherwise(
    cluster: Cluster, deployments: Deployments, monkeypatch: pytest.MonkeyPatch, noted: str, values: Intent, stays: bool
) -> None:
    note = gate_notes.answered("betting:v1", FOUND, 0, noted)
    change = {"metadata": {"annotations": {gate_notes.ANNOTATION: note}}}
    deployments.patch_namespaced_deployment("betting-v1", "shop", change)
    monkeypatch.setattr(cluster, "intent", lambda: values)

    [v1] = Release(cluster, SimpleNamespace(observe=Restate)).plan().standings  # type: ignore[arg-type]

    assert v1.version.gates.failed == ("contract: Market/get: handler removed" if stays else "")
