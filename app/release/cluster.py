"""The versions of one Helm release, as objects in one Kubernetes namespace."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from app.release import fixed_settings, gate_notes
from app.release.fixed_settings import Known
from app.release.foundation import HELM_RELEASE, IDENTITY_KEYS, Foundation, running
from app.release.gates.bounds import Bounds
from app.release.gates.bounds import read as read_bounds
from app.release.gates.findings import Gate
from app.release.plan import Version

STOPPED = (137, 143)
"""The exit codes of SIGKILL and SIGTERM."""
TIMEOUT_SECONDS = (3, 15)
"""For a connection with the API server, and for its answer."""
MERGE = "application/merge-patch+json"
KEEP = "helm.sh/resource-policy"
VERSION = "betting/version"
FULL_STRENGTH = "betting/full-strength"
URI = "betting/uri"
OVERRIDE = "betting/override"
DEPLOYED = "betting/deployed-revision"
TAKEN_BACK = "betting/taken-back"
REFUSED = "betting/refused"
REFUSED_SECONDS = 300
"""From a refusal of Restate until it is asked again."""
KNOWN_IMAGE = "betting/known-image"
KNOWN_SETTINGS = "betting/known-settings"
WEBHOOK_SECRET = "BETTING_WEBHOOK_SECRET"  # noqa: S105, its name
TRIES = 5
"""How often a change is made that something else overtakes each time."""

T = TypeVar("T")


@dataclass(frozen=True)
class Override:
    """An operator's choice, which upgrades keep.

    It is over once the values name another version than the one that it replaced and that one is live. Then it is gone,
    whatever the values name later.
    """

    version: str
    instead_of: str


@dataclass(frozen=True)
class Intent:
    """The version that the chart's values ask for, and an operator's choice that overrides it."""

    current: str
    images: Mapping[str, str]
    override: Override | None = None
    gates: frozenset[Gate] = frozenset(Gate)
    """The gates that are on."""
    bounds: Bounds = field(default_factory=Bounds)
    """How much they look at."""
    accepts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each version, the findings of its gates that the values accept, by name."""
    taken_back: Mapping[str, str] = field(default_factory=dict)
    """The versions that the watch took back, with its reasons. They are not tried again."""
    asks: str = ""
    """What the anchor says of gates and bounds, as it is written there: other code may read more of it, or less."""

    @property
    def wanted(self) -> str:
        """Return the version that should take new work."""
        override = self.override
        return override.version if override and override.instead_of == self.current else self.current

    def terms(self, version: str) -> str:
        """A mark of all by which the values let a version pass its gates. Where it changes, they are asked anew."""
        said = json.dumps([self.asks, *sorted(self.accepts.get(version, ()))])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def choosing(self, version: str) -> "Intent":
        """Return the same values with an operator's choice of a version."""
        return replace(self, override=None if version == self.current else Override(version, self.current))


class AnchorGoneError(Exception):
    """Nothing says what the values want."""


class Cluster:
    """One release in one namespace.

    All that Helm does not know to be ours belongs to two objects that have pods, Restate's StatefulSet and the release
    loop's Deployment: it goes with the release, which deletes both, and stays if somebody deletes one of them.
    """

    def __init__(self, namespace: str, release: str) -> None:
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except config.ConfigException:
            config.load_kube_config()  # type: ignore[no-untyped-call]
        self._namespace, self._release = namespace, release
        self._core, self._apps, self._policy = client.CoreV1Api(), client.AppsV1Api(), client.PolicyV1Api()
        self._batch, self._autoscaling = client.BatchV1Api(), client.AutoscalingV2Api()

    @property
    def name(self) -> str:
        """What the names of its objects begin with."""
        return self._release

    @property
    def core(self) -> client.CoreV1Api:
        """Kubernetes' core API, for what the watch reads and notes."""
        return self._core

    @property
    def apps(self) -> client.AppsV1Api:
        """Kubernetes' API of Deployments, for the gates."""
        return self._apps

    @property
    def namespace(self) -> str:
        """Where the release is."""
        return self._namespace

    def intent(self) -> Intent:
        """Read what is wanted from the anchor."""
        anchor = self._anchor()
        notes = anchor.metadata.annotations or {}
        override, taken_back = notes.get(OVERRIDE), json.loads(notes.get(TAKEN_BACK) or "{}")
        return Intent(
            anchor.data["current"],
            json.loads(anchor.data["images"]),
            Override(**json.loads(override)) if override else None,
            frozenset(gate for gate in Gate if json.loads(anchor.data.get("gates") or "{}").get(gate, True)),
            read_bounds(anchor.data.get("bounds")),
            {key: tuple(names) for key, names in json.loads(anchor.data.get("accepts") or "{}").items()},
            {key: str(told["because"]) for key, told in taken_back.items()},
            json.dumps([anchor.data.get(name) for name in ("gates", "bounds")]),
        )

    def decide(self, intent: Intent) -> None:
        """Store an operator's choice where upgrades do not change it."""
        override = intent.override
        note = override and json.dumps({"version": override.version, "instead_of": override.instead_of})
        anchor = f"{self._release}-release"
        self._patch(self._core.patch_namespaced_config_map, anchor, {"metadata": {"annotations": {OVERRIDE: note}}})

    def forget_choice_before(self, live: str) -> None:
        """Forget an operator's choice that is over: the values name another version now, and that one is live.

        Until it is live, a way back may lead to the values that the choice was made for.
        """

        def forget() -> None:
            anchor = self._anchor()
            note = (anchor.metadata.annotations or {}).get(OVERRIDE)
            if note and anchor.data["current"] == live != Override(**json.loads(note)).instead_of:
                # With its resourceVersion, so that a choice that is made meanwhile stays.
                change = {"resourceVersion": anchor.metadata.resource_version, "annotations": {OVERRIDE: None}}
                self._patch(self._core.patch_namespaced_config_map, anchor.metadata.name, {"metadata": change})

        not_overtaken(forget)

    def note_deployed(self) -> None:
        """Remember Helm's revision, all of which has been applied and is live, as the one to go back to."""
        anchor = self._anchor()
        note = {"metadata": {"annotations": {DEPLOYED: anchor.data.get("revision")}}}
        self._patch(self._core.patch_namespaced_config_map, anchor.metadata.name, note)

    def way_back(self) -> str:
        """The command that ends a failed or interrupted upgrade; empty where Helm has deployed nothing yet."""
        anchor = self._anchor().metadata
        notes = anchor.annotations or {}
        if DEPLOYED not in notes or HELM_RELEASE not in notes:
            return ""
        return f"helm rollback {notes[HELM_RELEASE]} {notes[DEPLOYED]} -n {self._namespace}"

    def versions(self, images: Mapping[str, str], terms: Callable[[str], str] = lambda _: "") -> tuple[Version, ...]:
        """All versions that have pods, or could have. The values name their `images`; their gates go by `terms`."""
        found = self._list(self._apps.list_namespaced_deployment, label_selector=self._labelled())
        services = {
            s.metadata.name for s in self._list(self._core.list_namespaced_service, label_selector=self._labelled())
        }
        floors = self._floors()
        owners = {owner["uid"] for owner in self._owners()}
        versions = (self._version(deployment, images, terms, owners, services, floors) for deployment in found)
        return tuple(sorted(versions, key=lambda version: version.name))

    def _floors(self) -> Mapping[str, int]:
        """The fewest pods that each autoscaler may ask for, by its name, which is that of the Deployment."""
        found = self._autoscaling.list_namespaced_horizontal_pod_autoscaler
        return {a.metadata.name: a.spec.min_replicas or 1 for a in self._list(found, label_selector=self._labelled())}

    def _version(
        self,
        deployment: Any,
        images: Mapping[str, str],
        terms: Callable[[str], str],
        owners: set[str],
        services: set[str],
        floors: Mapping[str, int],
    ) -> Version:
        meta, spec, status = deployment.metadata, deployment.spec, deployment.status
        name, image = meta.labels[VERSION], spec.template.spec.containers[0].image
        available = status.available_replicas or 0
        owned = {reference.uid for reference in meta.owner_references or ()} == owners
        settled = (status.observed_generation or 0) >= meta.generation and (status.updated_replicas or 0) >= available
        return Version(
            name=name,
            uri=meta.annotations[URI],
            image=image,
            declared_image=images.get(name),
            full_strength=int(meta.annotations[FULL_STRENGTH]),
            replicas=spec.replicas,
            available=available if settled else 0,
            protected=meta.annotations.get(KEEP) == "keep" and owned,
            trouble="" if available >= spec.replicas else self._trouble(name),
            refused=_refusal(meta.annotations.get(REFUSED), time.time()),
            missing="" if meta.name in services else "Service",
            gates=gate_notes.read(meta.annotations.get(gate_notes.ANNOTATION), image, time.time(), terms(name)),
            known_image=meta.annotations.get(KNOWN_IMAGE, ""),
            settings=fixed_settings.given(_settings(deployment)),
            known_settings=fixed_settings.read(meta.annotations.get(KNOWN_SETTINGS)),
            floor=floors.get(meta.name),
        )

    def _trouble(self, version: str) -> str:
        return first_trouble(self.pods("version", version))

    def foundation(self, release: str, usual_name: str) -> Foundation:
        """What cannot change of what runs of a Helm release, whatever its objects are called."""
        found = self._list(self._apps.list_namespaced_stateful_set, label_selector="app.kubernetes.io/name=betting")
        return running(found, release, usual_name)

    def accepted_keys(self) -> Mapping[str, str]:
        """The public keys by which each version with pods knows Restate; empty where its pods are being replaced."""
        return {
            deployment.metadata.labels[VERSION]: (_settled(deployment) and _identity_keys(deployment)) or ""
            for deployment in self._list(self._apps.list_namespaced_deployment, label_selector=self._labelled())
            if deployment.spec.replicas
        }

    def has_read_signing_key(self) -> bool:
        """Whether pods check what Restate signs by the Secret's key; without it, none could have started."""
        found = self._list(self._apps.list_namespaced_deployment, label_selector=self._labelled())
        return any(deployment.status.ready_replicas and not _identity_keys(deployment) for deployment in found)

    def restate_images(self) -> frozenset[str]:
        """The images of Restate's pods."""
        return frozenset(pod.spec.containers[0].image for pod in self.pods("restate"))

    def restate_names(self) -> tuple[str, ...]:
        """The names of all nodes that Restate is to have."""
        name = f"{self._release}-restate"
        found = self._list(self._apps.list_namespaced_stateful_set, field_selector=f"metadata.name={name}")
        return tuple(f"{name}-{number}" for each in found for number in range(each.spec.replicas))

    def try_restate(self, pods: int) -> None:
        """Start a pod of the image that Restate is to have, beside Restate; or end it."""
        patch = self._apps.patch_namespaced_deployment
        self._patch(patch, f"{self._release}-restate-trial", {"spec": {"replicas": pods}})

    def trial(self, image: str) -> tuple[bool, str]:
        """Whether the pod of that image has started, and why not."""
        tried = [pod for pod in self.pods("restate-trial") if pod.spec.containers[0].image == image]
        started = any(status.started for pod in tried for status in pod.status.container_statuses or ())
        return started, first_trouble(tried)

    def pods(self, component: str, version: str = "") -> list[Any]:
        """The pods of a component, and of one version if it is named."""
        return self._list(self._core.list_namespaced_pod, label_selector=selector(self._release, component, version))

    def scale(self, version: str, replicas: int) -> None:
        """Set the number of pods of a version."""
        patch = self._apps.patch_namespaced_deployment  # of its subresource `scale`, an admission policy sees no labels
        self._patch(patch, self._named(version), {"spec": {"replicas": replicas}})

    def set_floor(self, version: str, pods: int) -> None:
        """Set the fewest pods that a version's autoscaler may ask for."""
        with may_be_gone():
            patch = self._autoscaling.patch_namespaced_horizontal_pod_autoscaler
            self._patch(patch, self._named(version), {"spec": {"minReplicas": pods}})

    def remember(self, version: str, image: str, settings: Known) -> None:
        """Note on a version as what Restate has come to know it, where upgrades do not change it."""
        notes = {KNOWN_IMAGE: image, KNOWN_SETTINGS: fixed_settings.note(settings)}
        note = {"metadata": {"annotations": notes}}
        self._patch(self._apps.patch_namespaced_deployment, self._named(version), note)

    def note_refusal(self, version: str, because: str) -> None:
        """Remember why Restate has just refused a version; with no reason, forget it."""
        note = json.dumps({"at": int(time.time()), "because": because}) if because else None
        with may_be_gone():
            change = {"metadata": {"annotations": {REFUSED: note}}}
            self._patch(self._apps.patch_namespaced_deployment, self._named(version), change)

    def protect(self, version: str) -> None:
        """Keep a version when Helm no longer knows it, and let it go with the release."""
        self._mark(version, "keep")

    def unprotect(self, version: str) -> None:
        """Let Helm delete a version when its key is taken out of the values."""
        self._mark(version, None)

    def _mark(self, version: str, policy: str | None) -> None:
        """The Deployment comes last: by it one sees that all are marked. What is gone is told by `versions`."""
        mark = {"metadata": {"annotations": {KEEP: policy}, "ownerReferences": self._owners()}}
        for patch in (
            self._policy.patch_namespaced_pod_disruption_budget,
            self._core.patch_namespaced_service,
            self._apps.patch_namespaced_deployment,
        ):
            with may_be_gone():
                self._patch(patch, self._named(version), mark)

    def remove(self, version: str) -> None:
        """Delete what is left of a version; the Deployment last, so that a failure on the way is seen and repeated."""
        deletes: tuple[Callable[..., object], ...] = (
            self._autoscaling.delete_namespaced_horizontal_pod_autoscaler,
            self._policy.delete_namespaced_pod_disruption_budget,
            self._core.delete_namespaced_service,
            self._apps.delete_namespaced_deployment,
        )
        # What a failed upgrade made, Helm does not take away with the key: its rehearsal goes here, too.
        name = self._named(version)
        targets = [(delete, f"{name}-rehearsal") for delete in deletes[2:]] + [(delete, name) for delete in deletes]
        for delete, named in targets:
            with may_be_gone():
                delete(named, self._namespace, _request_timeout=TIMEOUT_SECONDS)

    def adopt(self) -> None:
        """Hook Jobs are unknown to `helm uninstall`: let them go with the release."""
        jobs = f"app.kubernetes.io/instance={self._release},betting/left-by=hook"
        owners = self._owners()
        for job in self._list(self._batch.list_namespaced_job, label_selector=jobs):
            if {reference.uid for reference in job.metadata.owner_references or ()} != {each["uid"] for each in owners}:
                self._patch(self._batch.patch_namespaced_job, job.metadata.name, _owned_by(owners))

    def adopt_secrets(self) -> None:
        """The Secrets that `prepare` made are as unknown. Only the registration may do this: what patches, reads."""
        owned = _owned_by(self._owners())
        for name in (self._signing_key, self._webhook_secret, self._token_key):
            with may_be_gone():
                self._patch(self._core.patch_namespaced_secret, name, owned)

    def make_signing_key(self, private_pem: bytes, public: str) -> bool:
        """Store the key that Restate signs with, and the one that the service checks with; whether there was none."""
        return self._make_secret(self._signing_key, {"private.pem": private_pem, "public": public.encode()})

    def lacks_signing_key(self) -> bool:
        """Whether there is no key that Restate signs with; asked by what makes it, for it has no right to read."""
        return self.lacks_secret(self._signing_key)

    def lacks_secret(self, name: str) -> bool:
        """Whether there is no Secret of this name; asked by what may make one, for it has no right to read."""
        return self._make_secret(name, {}, dry_run="All")

    def make_webhook_secret(self, secret: str) -> bool:
        """Store what the sandbox signs its webhooks with; whether there was none."""
        return self._make_secret(self._webhook_secret, {WEBHOOK_SECRET: secret.encode()})

    def make_token_key(self, private_pem: bytes, key_set: str) -> bool:
        """Store the key that the sandbox signs tokens with, and what the door checks with; whether there was none."""
        return self._make_secret(self._token_key, {"private.pem": private_pem, "jwks.json": key_set.encode()})

    def tells(self, secret: str, key: str) -> bool:
        """Whether an operator's Secret is there and says something under a key."""
        return any((found.data or {}).get(key) for found in self._secrets(secret))

    def _make_secret(self, name: str, content: Mapping[str, bytes], dry_run: str | None = None) -> bool:
        """Make a Secret that is never changed again; False where it is there. So no right to read one is needed."""
        secret = client.V1Secret(
            metadata=client.V1ObjectMeta(name=name, labels={"app.kubernetes.io/instance": self._release}),
            data={key: base64.b64encode(value).decode() for key, value in content.items()},
            immutable=True,
        )
        create = self._core.create_namespaced_secret
        try:
            create(self._namespace, secret, dry_run=dry_run, _request_timeout=TIMEOUT_SECONDS)
        except ApiException as error:
            if error.status != 409:
                raise
            return False
        return True

    def _secrets(self, name: str) -> list[Any]:
        return self._list(self._core.list_namespaced_secret, field_selector=f"metadata.name={name}")

    @property
    def _signing_key(self) -> str:
        return f"{self._release}-signing-key"

    @property
    def _webhook_secret(self) -> str:
        return f"{self._release}-webhook-secret"

    @property
    def _token_key(self) -> str:
        return f"{self._release}-token-key"

    def _list(self, method: Callable[..., Any], **selector: str) -> list[Any]:
        found = method(self._namespace, **selector, _request_timeout=TIMEOUT_SECONDS)
        return list(found.items)

    def _patch(self, method: Callable[..., object], name: str, change: Mapping[str, object]) -> None:
        method(name, self._namespace, change, _content_type=MERGE, _request_timeout=TIMEOUT_SECONDS)

    def _named(self, version: str) -> str:
        return f"{self._release}-{version}"

    def _labelled(self) -> str:
        return selector(self._release, "version")

    def _anchor(self) -> Any:
        name = f"{self._release}-release"
        try:
            return self._core.read_namespaced_config_map(name, self._namespace, _request_timeout=TIMEOUT_SECONDS)
        except ApiException as error:
            if error.status != 404:
                raise
            raise AnchorGoneError(
                f"the ConfigMap {name}, which says what the values want, is gone: what runs goes on, and nothing is "
                "shipped, drained or protected meanwhile; `helm upgrade` brings it back"
            ) from error

    def _owners(self) -> list[dict[str, str]]:
        kinds = (
            ("StatefulSet", "restate", self._apps.list_namespaced_stateful_set),
            ("Deployment", "release", self._apps.list_namespaced_deployment),
        )
        return [
            {"apiVersion": "apps/v1", "kind": kind, "name": found.metadata.name, "uid": found.metadata.uid}
            for kind, part, method in kinds
            for found in self._list(method, field_selector=f"metadata.name={self._release}-{part}")
        ]


def selector(release: str, component: str, version: str = "") -> str:
    """Selects what is of a component, and of one version if it is named."""
    labels = f"app.kubernetes.io/instance={release},app.kubernetes.io/component={component}"
    return f"{labels},{VERSION}={version}" if version else labels


@contextmanager
def may_be_gone() -> Iterator[None]:
    """Go on if an object that is changed or deleted in here does not exist."""
    try:
        yield
    except ApiException as error:
        if error.status != 404:
            raise


def not_overtaken(change: Callable[[], T]) -> T:
    """Make a change that depends on what it reads, again while something else changes that in between.

    Raises ApiException (409) if that goes on.
    """
    for _ in range(TRIES - 1):
        try:
            return change()
        except ApiException as error:
            if error.status != 409:
                raise
    return change()


def _owned_by(owners: list[dict[str, str]]) -> Mapping[str, object]:
    return {"metadata": {"ownerReferences": owners}}


def _identity_keys(deployment: Any) -> str:
    """The keys that its settings name; empty if they are those of the Secret."""
    return _settings(deployment)[IDENTITY_KEYS] or ""


def _settings(deployment: Any) -> dict[str, str | None]:
    """What its pods are set to; None for what is taken from a Secret."""
    return {setting.name: setting.value for setting in deployment.spec.template.spec.containers[0].env}


def _settled(deployment: Any) -> bool:
    """Whether all its pods are those that it asks for now."""
    status, wanted = deployment.status, deployment.spec.replicas
    observed = bool((status.observed_generation or 0) >= deployment.metadata.generation)
    return observed and bool((status.updated_replicas or 0) == (status.replicas or 0) >= wanted)


def _refusal(note: str | None, now: float) -> str:
    """Why Restate refused a version, as long as it need not be asked again."""
    told: dict[str, Any] = json.loads(note) if note else {"at": 0, "because": ""}
    return str(told["because"]) if now < told["at"] + REFUSED_SECONDS else ""


def _ending(ended: Any) -> str:
    """How a container ended; one that Kubernetes had to stop has not crashed."""
    if ended.reason == "OOMKilled":
        return "needed more memory than its limit"
    return "stopped, for it did not answer at its port" if ended.exit_code in STOPPED else "crashed"


def first_trouble(pods: Iterable[Any]) -> str:
    """Why the first of these pods that does not serve does not; empty if all do."""
    return next((trouble for pod in pods if (trouble := trouble_of(pod))), "")


def trouble_of(pod: Any) -> str:
    """Why a pod does not serve, in one line: what Kubernetes waits for, and the last words of a crash."""
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return str(condition.message)
    for container in pod.status.container_statuses or ():
        waiting, ended = container.state.waiting, container.last_state.terminated
        if waiting and waiting.reason != "ContainerCreating":
            lines = (ended.message or "").strip().splitlines() if ended else [waiting.message or ""]
            return ": ".join([waiting.reason, *lines[-1:]])
        if ended and not container.ready:
            return ": ".join([_ending(ended), *(ended.message or "").strip().splitlines()[-1:]])
        if container.state.running and container.started is False:
            return "runs, and does not answer at its port yet"
    return ""
