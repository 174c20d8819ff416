"""A hook's image that cannot be pulled would say nothing: the loop lends the hook its own, and the hook says why.

Kubernetes lets the image of a pod be changed, and the loop's is known to be there, for it runs.
"""

import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.release.cluster import TIMEOUT_SECONDS, Cluster, may_be_gone, selector, trouble_of
from app.release.rounds import NEVER, NO_IMAGE, NO_IMAGE_SECONDS, NotDoneError

HOOK = "prepare"
"""The component of the hook's pods. The other hook runs after the version's own pods, which tell the same."""
OF_THE_CONTAINER = "application/strategic-merge-patch+json"
"""A change of one container by its name."""
LENT = "betting/lent-for"
"""Noted on a pod: why its own image was not started."""


def lend_image(cluster: Cluster, own_image: str, tell: Callable[[str], None]) -> None:
    """Give each hook whose image cannot be pulled the loop's own, with the reason; it has done nothing yet."""
    for pod in _hooks(cluster):
        image, reason = pod.spec.containers[0].image, not_pulled(pod, datetime.now(UTC))
        if not reason or own_image in ("", image):
            continue
        tell(f"lend {pod.metadata.name} this image, so that it can say: {reason}")
        change = {
            "metadata": {"annotations": {LENT: reason}},
            "spec": {"containers": [{"name": pod.spec.containers[0].name, "image": own_image}]},
        }
        with may_be_gone():
            cluster.core.patch_namespaced_pod(
                pod.metadata.name,
                cluster.namespace,
                change,
                _content_type=OF_THE_CONTAINER,
                _request_timeout=TIMEOUT_SECONDS,
            )


def not_pulled(pod: Any, now: datetime) -> str:
    """Why the image of a pod cannot be pulled; empty while it may still come."""
    reason = trouble_of(pod)
    age = (now - pod.metadata.creation_timestamp).total_seconds()
    final = reason.startswith(NEVER) or (reason.startswith(NO_IMAGE) and age >= NO_IMAGE_SECONDS)
    return reason if final else ""


def refuse_if_lent(cluster: Cluster, image: str, images: Mapping[str, str]) -> None:
    """Refuse an upgrade to an image that was not started: this runs in one that was lent for it.

    `image` is the one that was to run this, and `images` are those of all versions.
    """
    for pod in _hooks(cluster):
        reason = (pod.metadata.annotations or {}).get(LENT)
        if reason and pod.metadata.name == socket.gethostname():
            versions = ", ".join(f"versions.{name}.image" for name, each in images.items() if each == image)
            raise NotDoneError(
                f"{versions or 'the image'} {image} does not start: {reason}; nothing has changed. Correct it under "
                "the same key"
            )


def _hooks(cluster: Cluster) -> list[Any]:
    labels = selector(cluster.name, HOOK)
    found = cluster.core.list_namespaced_pod(cluster.namespace, label_selector=labels, _request_timeout=TIMEOUT_SECONDS)
    return list(found.items)
