"""The versions of one Helm release, as objects in one Kubernetes namespace."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from app.release.plan import Version

TIMEOUT_SECONDS = 15
MERGE = "application/merge-patch+json"
KEEP = "helm.sh/resource-policy"
VERSION = "betting/version"
FULL_STRENGTH = "betting/full-strength"
URI = "betting/uri"
OVERRIDE = "betting/override"
WEBHOOK_SECRET = "BETTING_WEBHOOK_SECRET"  # noqa: S105, its name


@dataclass(frozen=True)
class Override:
    """An operator's choice. Upgrades keep it until the values name a version other than the one it replaced."""

    version: str
    instead_of: str


@dataclass(frozen=True)
class Intent:
    """The version that the chart's values ask for, and an operator's choice that overrides it."""

    current: str
    images: Mapping[str, str]
    override: Override | None = None

    @property
    def wanted(self) -> str:
        """Return the version that should take new work."""
        override = self.override
        return override.version if override and override.instead_of == self.current else self.current

    def choosing(self, version: str) -> "Intent":
        """Return the same values with an operator's choice of a version."""
        return replace(self, override=None if version == self.current else Override(version, self.current))


class Cluster:
    """One release in one namespace; its anchor is the ConfigMap that all it leaves behind belongs to."""

    def __init__(self, namespace: str, release: str) -> None:
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except config.ConfigException:
            config.load_kube_config()  # type: ignore[no-untyped-call]
        self._namespace, self._release = namespace, release
        self._core, self._apps, self._policy = client.CoreV1Api(), client.AppsV1Api(), client.PolicyV1Api()
        self._batch = client.BatchV1Api()

    def intent(self) -> Intent:
        """Read what is wanted from the anchor."""
        anchor = self._anchor()
        override = (anchor.metadata.annotations or {}).get(OVERRIDE)
        return Intent(
            anchor.data["current"],
            json.loads(anchor.data["images"]),
            Override(**json.loads(override)) if override else None,
        )

    def decide(self, intent: Intent) -> None:
        """Store an operator's choice where upgrades do not change it."""
        override = intent.override
        note = override and json.dumps({"version": override.version, "instead_of": override.instead_of})
        anchor = f"{self._release}-release"
        self._patch(self._core.patch_namespaced_config_map, anchor, {"metadata": {"annotations": {OVERRIDE: note}}})

    def versions(self, images: Mapping[str, str]) -> tuple[Version, ...]:
        """All versions that have pods, or could have; `images` are those that the values name."""
        found = self._list(self._apps.list_namespaced_deployment, label_selector=self._labelled())
        owner = self._owner_uid()
        versions = (self._version(deployment, images, owner) for deployment in found)
        return tuple(sorted(versions, key=lambda version: version.name))

    def _version(self, deployment: Any, images: Mapping[str, str], owner: str | None) -> Version:
        meta, spec, status = deployment.metadata, deployment.spec, deployment.status
        name = meta.labels[VERSION]
        available = status.available_replicas or 0
        owned = any(reference.uid == owner for reference in meta.owner_references or ())
        settled = (status.observed_generation or 0) >= meta.generation and (status.updated_replicas or 0) >= available
        return Version(
            name=name,
            uri=meta.annotations[URI],
            image=spec.template.spec.containers[0].image,
            declared_image=images.get(name),
            full_strength=int(meta.annotations[FULL_STRENGTH]),
            replicas=spec.replicas,
            available=available if settled else 0,
            protected=meta.annotations.get(KEEP) == "keep" and owned,
            trouble="" if available >= spec.replicas else self._trouble(name),
        )

    def _trouble(self, version: str) -> str:
        pods = self._list(self._core.list_namespaced_pod, label_selector=f"{self._labelled()},{VERSION}={version}")
        return next((trouble for pod in pods if (trouble := _trouble(pod))), "")

    def scale(self, version: str, replicas: int) -> None:
        """Set the number of pods of a version."""
        patch = self._apps.patch_namespaced_deployment  # of its subresource `scale`, an admission policy sees no labels
        self._patch(patch, self._named(version), {"spec": {"replicas": replicas}})

    def protect(self, version: str) -> None:
        """Keep a version when Helm no longer knows it, and let it go with the release: its anchor owns it."""
        self._mark(version, "keep")

    def unprotect(self, version: str) -> None:
        """Let Helm delete a version when its key is taken out of the values."""
        self._mark(version, None)

    def _mark(self, version: str, policy: str | None) -> None:
        """The Deployment comes last: by it one sees that all are marked."""
        mark = {"metadata": {"annotations": {KEEP: policy}, "ownerReferences": [self._owner()]}}
        for patch in (
            self._policy.patch_namespaced_pod_disruption_budget,
            self._core.patch_namespaced_service,
            self._apps.patch_namespaced_deployment,
        ):
            self._patch(patch, self._named(version), mark)

    def remove(self, version: str) -> None:
        """Delete what is left of a version; the Deployment last, so that a failure on the way is seen and repeated."""
        deletes: tuple[Callable[..., object], ...] = (
            self._policy.delete_namespaced_pod_disruption_budget,
            self._core.delete_namespaced_service,
            self._apps.delete_namespaced_deployment,
        )
        for delete in deletes:
            try:
                delete(self._named(version), self._namespace, _request_timeout=TIMEOUT_SECONDS)
            except ApiException as error:
                if error.status != 404:
                    raise

    def adopt(self) -> None:
        """Hook Jobs are unknown to `helm uninstall`: let them go with the anchor."""
        jobs = f"app.kubernetes.io/instance={self._release},betting/left-by=hook"
        for job in self._list(self._batch.list_namespaced_job, label_selector=jobs):
            if not job.metadata.owner_references:
                self._patch(self._batch.patch_namespaced_job, job.metadata.name, self._owned())

    def adopt_secrets(self) -> None:
        """The Secrets that `prepare` made are as unknown. Only the registration may do this: what patches, reads."""
        for name in (self._signing_key, self._webhook_secret, self._token_key):
            try:
                self._patch(self._core.patch_namespaced_secret, name, self._owned())
            except ApiException as error:
                if error.status != 404:
                    raise

    def make_signing_key(self, private_pem: bytes, public: str) -> bool:
        """Store the key that Restate signs with, and the one that the service checks with; whether there was none."""
        return self._make_secret(self._signing_key, {"private.pem": private_pem, "public": public.encode()})

    def make_webhook_secret(self, secret: str) -> bool:
        """Store what the sandbox signs its webhooks with; whether there was none."""
        return self._make_secret(self._webhook_secret, {WEBHOOK_SECRET: secret.encode()})

    def make_token_key(self, private_pem: bytes, key_set: str) -> bool:
        """Store the key that the sandbox signs tokens with, and what the door checks with; whether there was none."""
        return self._make_secret(self._token_key, {"private.pem": private_pem, "jwks.json": key_set.encode()})

    def tells(self, secret: str, key: str) -> bool:
        """Whether an operator's Secret is there and says something under a key."""
        return any((found.data or {}).get(key) for found in self._secrets(secret))

    def _make_secret(self, name: str, content: Mapping[str, bytes]) -> bool:
        """Make a Secret that is never changed again; False where it is there. So no right to read one is needed."""
        secret = client.V1Secret(
            metadata=client.V1ObjectMeta(name=name, labels={"app.kubernetes.io/instance": self._release}),
            data={key: base64.b64encode(value).decode() for key, value in content.items()},
            immutable=True,
        )
        try:
            self._core.create_namespaced_secret(self._namespace, secret, _request_timeout=TIMEOUT_SECONDS)
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
        return f"app.kubernetes.io/instance={self._release},app.kubernetes.io/component=version"

    def _anchor(self) -> Any:
        name = f"{self._release}-release"
        return self._core.read_namespaced_config_map(name, self._namespace, _request_timeout=TIMEOUT_SECONDS)

    def _owner_uid(self) -> str | None:
        try:
            uid: str = self._anchor().metadata.uid
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return uid

    def _owned(self) -> Mapping[str, object]:
        return {"metadata": {"ownerReferences": [self._owner()]}}

    def _owner(self) -> Mapping[str, str]:
        anchor = self._anchor().metadata
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": anchor.name, "uid": anchor.uid}


def _trouble(pod: Any) -> str:
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
            return ": ".join(["crashed", *(ended.message or "").strip().splitlines()[-1:]])
    return ""
