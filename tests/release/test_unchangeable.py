"""What a release that runs cannot change is refused before anything changes; Restate keeps the key that it knows."""

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from kubernetes import client

from app.release.foundation import HELM_RELEASE, Foundation, quantity, running
from app.release.rounds import NotDoneError
from app.release.unchangeable import refuse_what_cannot_change
from tests.chart.rendered import ENVIRONMENTS, ROOT, Object, one, pod_specs, render

LONG = "betting-production-europe-west-1"
CUT = "betting-production-europe"
THREE = ("--set=restate.replicas=3,restate.snapshots.destination=s3://a/b",)
BOTH = "publickeyv1_a,publickeyv1_b"


def wanted(*arguments: str, name: str = "betting") -> Any:
    """What the prepare hook is told of these values."""
    for pod, spec in pod_specs(render(*arguments, name=name)).items():
        if pod.endswith("-prepare"):
            command = spec["containers"][0]["command"]
            return json.loads(command[command.index("--foundation") + 1])
    raise AssertionError("there is no prepare hook")


def stateful_sets(objects: Iterable[Object], release: str | None, ready: bool = True) -> Any:
    """The chart's StatefulSets as Kubernetes tells of them, installed by Helm under a name, or without Helm."""
    found = [each for each in objects if each["kind"] == "StatefulSet"]
    note = {HELM_RELEASE: release} if release else {}
    status = {"replicas": 1, "readyReplicas": int(ready)}
    told = [each | {"metadata": each["metadata"] | {"annotations": note}, "status": status} for each in found]
    read = client.ApiClient().deserialize(json.dumps({"items": told}), "V1StatefulSetList", "application/json")
    return read.items


@dataclass
class Cluster:
    """A namespace in which a release runs, or none."""

    objects: tuple[Object, ...] = ()
    release: str | None = "betting"
    lacks_key: bool = False
    signs: bool = True
    checks: bool = True
    keys: Mapping[str, str] = field(default_factory=lambda: {"v1": ""})

    def foundation(self, release: str, usual_name: str) -> Foundation:
        return running(stateful_sets(self.objects, self.release, self.signs), release, usual_name)

    def accepted_keys(self) -> Mapping[str, str]:
        return self.keys

    def has_read_signing_key(self) -> bool:
        return self.checks

    def lacks_signing_key(self) -> bool:
        return self.lacks_key


def refused(cluster: Any, what: Any, makes_key: bool = True) -> str:
    """Why it is refused; empty if it is not."""
    try:
        refuse_what_cannot_change(cluster, what, makes_key)
    except NotDoneError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_runs_as_the_values_say_is_taken(name: str) -> None:
    values = f"--values={ROOT}/k8s/{name}.yaml"

    found = running(stateful_sets(render(values), "betting"), "betting", "betting").values

    assert found == wanted(values)["values"]
    assert refused(Cluster(render(values)), wanted(values)) == ""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ((), ("--set=restate.storage.size=20Gi",), "restate.storage.size is 10Gi and would become 20Gi"),
        ((), ("--set=restate.storage.className=fast",), "restate.storage.className is empty and would become fast"),
        ((), ("--set=sandbox.storage.size=2Gi",), "sandbox.storage.size is 1Gi and would become 2Gi"),
        (("--set=restate.partitions=4",), (), "restate.partitions is 4 and would become 8"),
        (THREE, (), "restate.replicas is 3 and would become 1"),
        ((), THREE, "restate.replicas is 1 and would become 3"),
        ((), ("--set=fullnameOverride=shop",), "fullnameOverride is betting and would become shop"),
        (
            (),
            ("--set=restate.env.RESTATE_CLUSTER_NAME=shop",),
            "RESTATE_CLUSTER_NAME is betting and would become shop",
        ),
        (
            (),
            ("--set=restate.env.RESTATE_DEFAULT_NUM_PARTITIONS=9",),
            "restate.partitions is 8 and would become 9",
        ),
    ],
)
def test_a_value_that_cannot_change_is_named_with_what_it_is_and_would_become(
    before: tuple[str, ...], after: tuple[str, ...], message: str
) -> None:
    said = refused(Cluster(render(*before)), wanted(*after))

    assert message in said
    assert "nothing has changed. docs/operations.md#what-cannot-change" in said


def test_all_that_cannot_change_is_named_at_once() -> None:
    said = refused(Cluster(render()), wanted("--set=restate.storage.size=20Gi,restate.partitions=9"))

    assert "10Gi and would become 20Gi; restate.partitions is 8" in said


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("--set=restate.storage.size=1.5Gi",), ("--set=restate.storage.size=1536Mi",)),
        (
            ("--set=sandbox.enabled=true",),
            (
                f"--values={ROOT}/k8s/prod.yaml",
                "--set=restate.replicas=1,restate.partitions=8,restate.storage.size=10Gi",
            ),
        ),
        ((), ("--set=restate.resources.limits.memory=4Gi,service.pods=3",)),
        ((), ("--set=nodeSelector.disk=fast,service.priorityClassName=high",)),
    ],
    ids=["the same size", "no sandbox any more", "what can change", "other hosts"],
)
def test_what_can_change_is_taken(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    assert refused(Cluster(render(*before)), wanted(*after)) == ""


@pytest.mark.parametrize("values", [(), THREE], ids=["one node", "three nodes"])
def test_nodes_that_an_operator_has_stopped_may_come_back(values: tuple[str, ...]) -> None:
    objects = deepcopy(render(*values))
    for each in objects:
        if each["kind"] == "StatefulSet":
            each["spec"]["replicas"] = 0

    assert refused(Cluster(objects), wanted(*values)) == ""


def test_where_nothing_runs_everything_is_taken() -> None:
    assert refused(Cluster(), wanted(*THREE)) == ""


@pytest.mark.parametrize("release", [LONG, None], ids=["with Helm", "without Helm"])
def test_a_release_whose_name_was_cut_keeps_it_and_is_told_how(release: str | None) -> None:
    before = Cluster(render(f"--set=fullnameOverride={CUT}", name=LONG), release)

    assert f"fullnameOverride is {CUT} and would become betting-production-" in refused(before, wanted(name=LONG))
    assert refused(before, wanted(f"--set=fullnameOverride={CUT}", name=LONG)) == ""


def test_another_release_in_the_namespace_is_none_of_ours() -> None:
    assert refused(Cluster(render(name="other"), "other"), wanted("--set=restate.partitions=9")) == ""


@pytest.mark.parametrize(("signs", "checks"), [(True, True), (True, False), (False, True)])
def test_a_key_that_is_gone_is_not_made_again_while_somebody_goes_on_with_it(signs: bool, checks: bool) -> None:
    said = refused(Cluster(render(), lacks_key=True, signs=signs, checks=checks), wanted())

    assert "the Secret betting-signing-key is gone, and Restate and the service go on with the key" in said
    assert "docs/operations.md#signing-key" in said


@pytest.mark.parametrize("objects", [(), render()], ids=["nothing runs", "all pods wait for it"])
def test_a_key_is_made_where_no_restate_has_used_another(objects: tuple[Object, ...]) -> None:
    assert refused(Cluster(objects, lacks_key=True, signs=False, checks=False), wanted()) == ""


OTHER_KEY = "--set=restate.signingKeySecret=another"


@pytest.mark.parametrize("keys", [{"v1": BOTH, "v2": ""}, {"v1": "publickeyv1_a", "v2": BOTH}])
def test_restate_signs_with_another_key_only_once_all_versions_accept_both(keys: Mapping[str, str]) -> None:
    said = refused(Cluster(render(), keys=keys), wanted(OTHER_KEY), makes_key=False)

    assert "restate.signingKeySecret is betting-signing-key and would become another, and v" in said
    assert "accepts requests that are signed with one key only; nothing has changed" in said
    assert refused(Cluster(render(), keys=dict.fromkeys(keys, BOTH)), wanted(OTHER_KEY), makes_key=False) == ""


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("1.5Gi", 3 * 2**29),
        ("500M", 500 * 10**6),
        ("2147483648", 2**31),
        ("500m", Fraction(1, 2)),
        ("1Ki", 1024),
        ("2k", 2000),
    ],
)
def test_quantities_are_read_as_kubernetes_does(text: str, bytes_: Fraction) -> None:
    assert quantity(text) == bytes_


def test_the_prepare_hook_may_look_at_what_it_compares() -> None:
    rules = one(render(), "Role", "betting-prepare")["rules"]

    [apps] = [rule for rule in rules if rule["apiGroups"] == ["apps"] and "resourceNames" not in rule]
    assert (set(apps["resources"]), apps["verbs"]) == ({"deployments", "statefulsets"}, ["list"])
