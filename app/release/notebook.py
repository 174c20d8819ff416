"""What the watch reads and notes in the namespace: notes on the release's anchor, the history, pods, and an Event."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from app.release.cluster import DEPLOYED, MERGE, TAKEN_BACK, TIMEOUT_SECONDS, AnchorGoneError, Cluster, not_overtaken
from app.release.history import Change
from app.release.watching import CRASHES, Outcome

WATCH = "betting/watch"
ENTRIES = "entries"
KEPT_KEYS = 50
"""The most keys that a note remembers."""


@dataclass(frozen=True)
class Noted:
    """Which version takes new work, since when, and how its watch stands."""

    live: str = ""
    since: float = 0.0
    before: str = ""
    """The version that took new work until then; empty where there was none."""
    outcome: Outcome = Outcome.UNWATCHED
    because: tuple[str, ...] = ()
    served: tuple[str, ...] = ()
    """All versions that have taken new work: only one that never has is watched."""
    revision: str = ""
    """Helm's revision of the values then."""
    deployed: str = ""
    """Helm's revision that was deployed last while it took new work: the one to go back to."""
    balanced: bool | None = None
    """Whether the books balanced when they were last seen before that; None: not known."""


@dataclass(frozen=True)
class TakenBack:
    """A version that was worse than the one before."""

    at: float
    because: str
    to: str
    """The version that takes new work again."""


class Notebook:
    """The notes of one release."""

    def __init__(self, cluster: Cluster) -> None:
        self._core: client.CoreV1Api = cluster.core
        self._pods = cluster.pods
        self._namespace, self._release = cluster.namespace, cluster.name

    def noted(self) -> Noted:
        """Read the note about the version that takes new work."""
        told = json.loads(self._notes().get(WATCH) or "{}")
        if not told:
            return Noted()
        lists = {name: tuple(told[name]) for name in ("because", "served")}
        return Noted(**{**told, **lists, "outcome": Outcome(told["outcome"])})

    def note(self, noted: Noted) -> None:
        """Replace that note."""
        self._annotate(WATCH, asdict(noted))

    def taken_back(self) -> Mapping[str, TakenBack]:
        """Read which versions were taken back."""
        return {key: TakenBack(**told) for key, told in json.loads(self._notes().get(TAKEN_BACK) or "{}").items()}

    def note_taken_back(self, version: str, taken: TakenBack) -> None:
        """Note that a version was taken back, so that it is not tried again under its key."""
        known = {key: each for key, each in self.taken_back().items() if key != version} | {version: taken}
        kept = dict(sorted(known.items(), key=lambda item: item[1].at)[-KEPT_KEYS:])
        self._annotate(TAKEN_BACK, {key: asdict(each) for key, each in kept.items()})

    def deployed(self) -> str:
        """Helm's revision that was deployed last; empty if none was."""
        return self._notes().get(DEPLOYED, "")

    def note_deployed(self, revision: str) -> None:
        """Name a revision as the one to go back to."""
        self._patch(self._anchor, {"metadata": {"annotations": {DEPLOYED: revision}}})

    def revision(self) -> str:
        """Helm's revision of the values; empty where they were not rendered by Helm."""
        return str((self._config_map(self._anchor).data or {}).get("revision") or "")

    def history(self) -> str:
        """The stored history; empty if there is none."""
        return str((self._config_map(self._history).data or {}).get(ENTRIES) or "")

    def change_history(self, change: Change) -> None:
        """Replace the stored history; if somebody else was faster, by what is made of theirs."""

        def changed() -> None:
            found = self._config_map(self._history)
            text = change(str((found.data or {}).get(ENTRIES) or ""))
            meta = {"resourceVersion": found.metadata.resource_version}
            self._patch(self._history, {"metadata": meta, "data": {ENTRIES: text}})

        not_overtaken(changed)

    def ready(self, component: str, version: str = "") -> tuple[str, ...]:
        """The addresses of the pods of a component that are ready."""
        return tuple(
            pod.status.pod_ip
            for pod in self._pods(component, version)
            if pod.status.pod_ip
            and not pod.metadata.deletion_timestamp
            and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ())
        )

    def crashing(self, version: str, since: float) -> tuple[str, ...]:
        """The pods of a version that crash again and again, and have crashed since a moment, each with the reason."""
        found = ((pod.metadata.name, _crashing(pod, since)) for pod in self._pods("version", version))
        return tuple(f"pod {name} {reason}" for name, reason in found if reason)

    def tell(self, version: str, because: str) -> None:
        """Make an Event of the version's Deployment; one that is there already says the same."""
        name, now = f"{self._release}-{version}", datetime.now(UTC)
        event = client.CoreV1Event(
            metadata=client.V1ObjectMeta(name=f"{name}.taken-back"),
            involved_object=client.V1ObjectReference(
                api_version="apps/v1", kind="Deployment", name=name, namespace=self._namespace
            ),
            type="Warning",
            reason="TakenBack",
            message=because[:1000],
            source=client.V1EventSource(component=f"{self._release}-release"),
            first_timestamp=now,
            last_timestamp=now,
            count=1,
        )
        try:
            self._core.create_namespaced_event(self._namespace, event, _request_timeout=TIMEOUT_SECONDS)
        except ApiException as error:
            if error.status != 409:
                raise

    def _notes(self) -> Mapping[str, str]:
        return self._config_map(self._anchor).metadata.annotations or {}

    def _annotate(self, name: str, told: object) -> None:
        self._patch(self._anchor, {"metadata": {"annotations": {name: json.dumps(told)}}})

    def _config_map(self, name: str) -> Any:
        try:
            return self._core.read_namespaced_config_map(name, self._namespace, _request_timeout=TIMEOUT_SECONDS)
        except ApiException as error:
            if error.status != 404:
                raise
            raise AnchorGoneError(f"the ConfigMap {name} is gone; `helm upgrade` brings it back") from error

    def _patch(self, name: str, change: Mapping[str, object]) -> None:
        method: Callable[..., object] = self._core.patch_namespaced_config_map
        method(name, self._namespace, change, _content_type=MERGE, _request_timeout=TIMEOUT_SECONDS)

    @property
    def _anchor(self) -> str:
        return f"{self._release}-release"

    @property
    def _history(self) -> str:
        return f"{self._release}-release-history"


def _crashing(pod: Any, since: float) -> str:
    """Why a pod's container is one that crashes again and again; empty if it is none."""
    for container in pod.status.container_statuses or ():
        ended, waiting = container.last_state.terminated, container.state.waiting
        if ended is None or ended.finished_at is None or ended.finished_at.timestamp() < since:
            continue
        backs_off = bool(waiting) and waiting.reason == "CrashLoopBackOff"
        if backs_off or container.restart_count >= CRASHES:
            words = (ended.message or ended.reason or "").strip().splitlines()[-1:]
            return ": ".join([f"has crashed {container.restart_count} times", *words])
    return ""
