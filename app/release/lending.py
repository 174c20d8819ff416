"""A hook's image that cannot be pulled would say nothing: the loop lends the hook its own, and the hook says why.

Kubernetes lets the image of a pod be changed, and the loop's is known to be there, for it runs.
"""

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.client.exceptions import ApiException

from app.release.cluster import TIMEOUT_SECONDS, Cluster
from app.release.rounds import NEVER, NO_IMAGE, NO_IMAGE_SECONDS, NotDoneError

HOOK = "prepare"
"""The component of the hook's pods. The other hook runs after the version's own pods, which tell the same."""
CONTAINER = "release"
"""What runs the hook in them; whoever injects more has images of their own."""
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
"""Changes one container by its name, where another patch would replace them all."""
LENT_BECAUSE = "betting/lent-because"
"""Noted on a pod: why its own image was not started."""


class Lender:
    """The loop's part. It remembers since when each image could not be pulled: a registry has moments."""

    def __init__(self, cluster: Cluster, own_image: str, tell: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._own_image = own_image
        self._tell = tell
        self._failed_since: dict[str, float] = {}

    def look(self) -> None:
        """Give each hook whose image does not come the loop's own, once, with the reason; it has done nothing yet."""
        now, pods = time.monotonic(), {pod.metadata.name: pod for pod in self._cluster.pods(HOOK)}
        failing = {name: because for name, pod in pods.items() if (because := why_not_pulled(pod))}
        self._failed_since = {
            name: self._failed_since.get(name, now) for name in pods if name in failing or name in self._failed_since
        }
        for name, because in failing.items():
            waited = now - self._failed_since[name] >= NO_IMAGE_SECONDS
            if (waited or because.startswith(NEVER)) and self._helps(pods[name]):
                self._lend(pods[name], because)

    def _helps(self, pod: Any) -> bool:
        return LENT_BECAUSE not in _notes(pod) and self._own_image not in ("", _hook(pod).image)

    def _lend(self, pod: Any, because: str) -> None:
        """What Kubernetes refuses is told: the rest of the loop goes on."""
        meta = pod.metadata
        # With its resourceVersion, nothing is changed if the image has come since, and the hook has begun.
        change = {
            "metadata": {"resourceVersion": meta.resource_version, "annotations": {LENT_BECAUSE: because}},
            "spec": {"containers": [{"name": CONTAINER, "image": self._own_image}]},
        }
        try:
            self._cluster.core.patch_namespaced_pod(
                meta.name,
                self._cluster.namespace,
                change,
                _content_type=STRATEGIC_MERGE,
                _request_timeout=TIMEOUT_SECONDS,
            )
        except ApiException as error:
            self._tell(f"{meta.name} cannot be lent the loop's image to say {because}: {error.status} {error.reason}")
        else:
            self._tell(f"lent {meta.name} the loop's image, so that it says: {because}")


def why_not_pulled(pod: Any) -> str:
    """Why the hook's image cannot be pulled; empty while it is being pulled, and once it is there."""
    for container in pod.status.container_statuses or ():
        waiting = container.state.waiting
        if container.name == CONTAINER and waiting and waiting.reason in (*NO_IMAGE, *NEVER):
            return ": ".join([waiting.reason, *(waiting.message or "").strip().splitlines()[-1:]])
    return ""


def refuse_if_lent(cluster: Cluster, image: str, images: Mapping[str, str]) -> None:
    """Refuse an upgrade to an image that was not started: this runs in one that was lent for it.

    `image` is the one that was to run this, and `images` are those of all versions.
    """
    for pod in cluster.pods(HOOK):
        because = _notes(pod).get(LENT_BECAUSE)
        if because and pod.metadata.name == socket.gethostname():
            versions = ", ".join(f"versions.{name}.image" for name, each in images.items() if each == image)
            raise NotDoneError(
                f"{versions or 'the image'} {image} does not start: {because}; nothing has changed. Correct it under "
                "the same key"
            )


def _hook(pod: Any) -> Any:
    return next(container for container in pod.spec.containers if container.name == CONTAINER)


def _notes(pod: Any) -> Mapping[str, str]:
    notes: Mapping[str, str] = pod.metadata.annotations or {}
    return notes
