"""Which objects a release keeps, and by whom they are owned: against a namespace in memory."""

import json
from types import SimpleNamespace as Thing
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from app.release.cluster import KEEP, AnchorGoneError, Cluster, _refusal, trouble_of
from app.release.foundation import HELM_RELEASE

BOTH = {"StatefulSet": "restate-uid", "Deployment": "release-uid"}


def thing(name: str, uid: str = "", owners: tuple[str, ...] = ()) -> Any:
    annotations = {"betting/full-strength": "1", "betting/uri": f"http://{name}/", KEEP: "keep"}
    meta = Thing(
        name=name,
        uid=uid,
        labels={"betting/version": name.removeprefix("betting-")},
        annotations=annotations,
        generation=1,
        owner_references=[Thing(uid=owner) for owner in owners],
    )
    spec = Thing(replicas=1, template=Thing(spec=Thing(containers=[Thing(image="betting:1", env=[])])))
    return Thing(
        metadata=meta, spec=spec, status=Thing(available_replicas=1, observed_generation=1, updated_replicas=1)
    )


class Api:
    """The parts of Kubernetes' API that the release loop uses, on one version and what owns it."""

    def __init__(self, owners: tuple[str, ...], service: bool = True) -> None:
        self.version, self.service = thing("betting-v1", owners=owners), service
        self.patched: dict[str, Any] = {}
        self.notes: dict[str, str] | None = None
        self.floor: int | None = None

    def list_namespaced_deployment(self, namespace: str, **selector: object) -> Any:
        of_the_loop = "field_selector" in selector
        return Thing(items=[thing("betting-release", BOTH["Deployment"]) if of_the_loop else self.version])

    def list_namespaced_stateful_set(self, namespace: str, **selector: object) -> Any:
        return Thing(items=[thing("betting-restate", BOTH["StatefulSet"])])

    def list_namespaced_service(self, namespace: str, **selector: object) -> Any:
        return Thing(items=[self.version] if self.service else [])

    def list_namespaced_horizontal_pod_autoscaler(self, namespace: str, **selector: object) -> Any:
        scaled = (
            [] if self.floor is None else [Thing(metadata=self.version.metadata, spec=Thing(min_replicas=self.floor))]
        )
        return Thing(items=scaled)

    def patch_namespaced_horizontal_pod_autoscaler(self, name: str, namespace: str, change: Any, **_: object) -> None:
        self.patched[name] = change

    def read_namespaced_config_map(self, name: str, namespace: str, **_: object) -> Any:
        if self.notes is None:
            raise ApiException(status=404, reason="Not Found")
        return Thing(metadata=Thing(name=name, annotations=self.notes), data={"revision": "3"})

    def patch_namespaced_config_map(self, name: str, namespace: str, change: Any, **_: object) -> None:
        assert self.notes is not None
        self.notes |= change["metadata"]["annotations"]

    def patch_namespaced_pod_disruption_budget(self, name: str, namespace: str, change: Any, **_: object) -> None:
        raise ApiException(status=404)

    def patch_namespaced_service(self, name: str, namespace: str, change: Any, **_: object) -> None:
        self.patched["Service"] = change

    def patch_namespaced_deployment(self, name: str, namespace: str, change: Any, **_: object) -> None:
        self.patched["Deployment"] = change


def cluster(api: Api) -> Cluster:
    made = Cluster.__new__(Cluster)
    vars(made).update(
        _namespace="shop", _release="betting", _core=api, _apps=api, _policy=api, _batch=api, _autoscaling=api
    )
    return made


@pytest.mark.parametrize(
    ("owners", "protected"),
    [(tuple(BOTH.values()), True), (("anchor",), False), ((), False), (("restate-uid",), False)],
    ids=["both", "the anchor, as once", "none", "one of them"],
)
def test_a_version_is_safe_only_if_all_that_owns_it_has_pods(owners: tuple[str, ...], protected: bool) -> None:
    [version] = cluster(Api(owners)).versions({})

    assert version.protected is protected


def test_a_version_is_protected_by_two_owners_with_pods_though_its_budget_is_gone() -> None:
    api = Api(())

    cluster(api).protect("v1")

    for change in (api.patched["Service"], api.patched["Deployment"]):
        owners = change["metadata"]["ownerReferences"]
        assert {owner["kind"]: owner["uid"] for owner in owners} == BOTH


@pytest.mark.parametrize("there", [True, False])
def test_a_version_without_its_service_is_seen(there: bool) -> None:
    [version] = cluster(Api((), service=there)).versions({})

    assert version.missing == ("" if there else "Service")


@pytest.mark.parametrize("floor", [None, 1, 3])
def test_the_floor_of_a_versions_autoscaler_is_read(floor: int | None) -> None:
    api = Api(())
    api.floor = floor

    [version] = cluster(api).versions({})

    assert version.floor == floor


def test_the_floor_of_a_versions_autoscaler_is_set_and_nothing_else_of_it() -> None:
    api = Api(())

    cluster(api).set_floor("v1", 2)

    assert api.patched == {"betting-v1": {"spec": {"minReplicas": 2}}}


def test_an_anchor_that_is_gone_is_named_with_what_brings_it_back() -> None:
    with pytest.raises(AnchorGoneError, match=r"ConfigMap betting-release.*is gone.*`helm upgrade` brings it back"):
        cluster(Api(())).intent()


def test_the_way_back_is_the_revision_that_was_live_when_all_of_it_was_applied() -> None:
    api = Api(())
    api.notes = {HELM_RELEASE: "mine"}
    assert cluster(api).way_back() == ""

    cluster(api).note_deployed()

    assert cluster(api).way_back() == "helm rollback mine 3 -n shop"


def test_without_helm_there_is_nothing_that_it_could_roll_back() -> None:
    api = Api(())
    api.notes = {}

    cluster(api).note_deployed()

    assert cluster(api).way_back() == ""


def pod(ended: Any = None, started: bool = False) -> Any:
    state = Thing(waiting=None, running=Thing())
    container = Thing(state=state, last_state=Thing(terminated=ended), ready=False, started=started)
    return Thing(status=Thing(conditions=(), container_statuses=[container]))


@pytest.mark.parametrize(
    ("reason", "exit_code", "said"),
    [
        ("Error", 1, "crashed: the last line"),
        ("Error", 137, "stopped, for it did not answer at its port: the last line"),
        ("Error", 143, "stopped, for it did not answer at its port: the last line"),
        ("OOMKilled", 137, "needed more memory than its limit: the last line"),
    ],
)
def test_how_a_container_ended_is_told(reason: str, exit_code: int, said: str) -> None:
    assert trouble_of(pod(Thing(reason=reason, exit_code=exit_code, message="more\nthe last line\n"))) == said


def test_an_image_that_listens_on_nothing_is_told_before_it_is_stopped() -> None:
    assert trouble_of(pod()) == "runs, and does not answer at its port yet"
    assert trouble_of(pod(started=True)) == ""


def test_a_refusal_is_remembered_for_five_minutes() -> None:
    api = Api(())
    cluster(api).note_refusal("v1", "changed its type")
    note = api.patched["Deployment"]["metadata"]["annotations"]["betting/refused"]
    at = json.loads(note)["at"]

    assert (_refusal(note, at + 299), _refusal(note, at + 301), _refusal(None, at)) == ("changed its type", "", "")


def test_what_is_left_of_a_version_goes_with_its_rehearsal_and_its_deployment_last() -> None:
    deleted: list[str] = []

    def delete(kind: str) -> Any:
        return lambda name, *_, **__: deleted.append(f"{kind} {name}")

    gone: Any = Cluster.__new__(Cluster)
    gone._namespace, gone._release = "shop", "betting"
    autoscaler = {"delete_namespaced_horizontal_pod_autoscaler": staticmethod(delete("autoscaler"))}
    gone._autoscaling = type("", (), autoscaler)()
    gone._policy = type("", (), {"delete_namespaced_pod_disruption_budget": staticmethod(delete("pdb"))})()
    gone._core = type("", (), {"delete_namespaced_service": staticmethod(delete("service"))})()
    gone._apps = type("", (), {"delete_namespaced_deployment": staticmethod(delete("deployment"))})()

    gone.remove("v1")

    assert deleted == [
        "service betting-v1-rehearsal",
        "deployment betting-v1-rehearsal",
        "autoscaler betting-v1",
        "pdb betting-v1",
        "service betting-v1",
        "deployment betting-v1",
    ]
