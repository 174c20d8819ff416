"""The rehearsals of versions, and the notes about their gates, as objects in Kubernetes."""

import time
from collections.abc import Container
from typing import Any

from kubernetes.client.exceptions import ApiException

from app.release import gate_notes
from app.release.cluster import (
    MERGE,
    TIMEOUT_SECONDS,
    URI,
    VERSION,
    Cluster,
    first_trouble,
    may_be_gone,
    not_overtaken,
    selector,
)

REHEARSAL = "rehearsal"
"""What these pods are labelled as, and what the names of their Deployments end with."""


class Stage:
    """Where the versions of one release rehearse."""

    def __init__(self, cluster: Cluster) -> None:
        self._apps, self._pods = cluster.apps, cluster.pods
        self._namespace, self._release = cluster.namespace, cluster.name

    def begin(self, version: str, note: str) -> str | None:
        """Note that the gates are being asked about a version.

        Returns what was noted until now, which may be nothing (""); None if somebody else asks, or the version is gone.
        The Deployment may change between look and note for another reason, as it does while its pods start: then it is
        looked at again.
        """

        def begun() -> str | None:
            found = self._read(version)
            if found is None or _asked(found):
                return None
            self._replace(found, version, note)
            return _note_on(found) or ""

        try:
            return not_overtaken(begun)
        except ApiException as error:
            if error.status != 409:
                raise
            return None

    def renew(self, version: str, note: str, mine: Container[str]) -> bool:
        """Replace the note of who asks by a newer one; False if it is not its own. 409 if the version just changed."""
        found = self._read(version)
        if found is None or (_note_on(found) or "") not in mine:
            return False
        self._replace(found, version, note)
        return True

    def note(self, version: str, note: str | None) -> None:
        """Note what the gates said of a version, or forget it."""
        with may_be_gone():
            self._patch(version, {"metadata": {"annotations": {gate_notes.ANNOTATION: note}}})

    def url(self, version: str) -> str | None:
        """Where the rehearsal of a version serves when it has a pod; None if it has no Deployment."""
        found = self._deployments(version)
        return found[0].metadata.annotations[URI] if found else None

    def scale(self, version: str, replicas: int) -> None:
        """Start or end the rehearsal of a version."""
        with may_be_gone():
            self._patch(f"{version}-{REHEARSAL}", {"spec": {"replicas": replicas}})

    def trouble(self, version: str) -> str:
        """Why the pod of a rehearsal does not start."""
        return first_trouble(self._pods(REHEARSAL, version))

    def clear(self) -> None:
        """End the rehearsals that nobody asks anything: a Deployment begins with a pod, and who asked may have died.

        Whether somebody asks is read right before, since they may have begun a moment ago.
        """
        for rehearsal in self._deployments():
            version = rehearsal.metadata.labels[VERSION]
            if rehearsal.spec.replicas and not ((found := self._read(version)) and _asked(found)):
                self.scale(version, 0)

    def _read(self, version: str) -> Any:
        with may_be_gone():
            return self._apps.read_namespaced_deployment(
                f"{self._release}-{version}", self._namespace, _request_timeout=TIMEOUT_SECONDS
            )
        return None

    def _deployments(self, version: str = "") -> list[Any]:
        method, labels = self._apps.list_namespaced_deployment, selector(self._release, REHEARSAL, version)
        return list(method(self._namespace, label_selector=labels, _request_timeout=TIMEOUT_SECONDS).items)

    def _replace(self, found: Any, version: str, note: str) -> None:
        change = {"resourceVersion": found.metadata.resource_version, "annotations": {gate_notes.ANNOTATION: note}}
        self._patch(version, {"metadata": change})

    def _patch(self, name: str, change: dict[str, Any]) -> None:
        self._apps.patch_namespaced_deployment(
            f"{self._release}-{name}", self._namespace, change, _content_type=MERGE, _request_timeout=TIMEOUT_SECONDS
        )


def _note_on(found: Any) -> str | None:
    return (found.metadata.annotations or {}).get(gate_notes.ANNOTATION)


def _asked(found: Any) -> bool:
    image = found.spec.template.spec.containers[0].image
    return gate_notes.read(_note_on(found), image, time.time()).asked
