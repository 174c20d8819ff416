"""Restate's pods as the machine on which its nodes run: for an operator's commands, with the operator's own rights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from urllib3.exceptions import HTTPError
from websocket import WebSocketException

from app.release.cluster import TIMEOUT_SECONDS, Cluster, may_be_gone, trouble_of
from app.release.restate_admin import UnknownError
from app.release.rounds import NotDoneError

CONTAINER = "restate"
ANSWER_SECONDS = 60
"""For one command; the tool itself gives up after 13 seconds for each request."""
ALLOWED = "your own kubeconfig has to allow it: create pods/exec, delete pods and persistentvolumeclaims"


class RestatePods:
    """The pods of one release's Restate. Its tool runs in one of them, since only they reach each other's ports."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def names(self) -> frozenset[str]:
        """All nodes that the values want."""
        return frozenset(self._cluster.restate_names())

    def restatectl(self, *arguments: str) -> str:
        """Ask in the first pod that is ready."""
        with _asking():
            ready = sorted(pod.metadata.name for pod in self._cluster.pods("restate") if _ready(pod))
            if not ready:
                raise UnknownError("no pod of Restate is ready, and only in one of them its tool can be asked")
            return self._run(ready[0], ["restatectl", "--yes", *arguments])

    def _run(self, pod: str, command: list[str]) -> str:
        asked: Any = stream(
            self._cluster.core.connect_get_namespaced_pod_exec,
            pod,
            self._cluster.namespace,
            container=CONTAINER,
            command=command,
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
        )
        try:
            asked.run_forever(timeout=ANSWER_SECONDS)
            if asked.is_open():
                raise UnknownError(f"{' '.join(command)} in {pod}: no answer in {ANSWER_SECONDS} s")
            answer, complaint, code = asked.read_stdout(), asked.read_stderr(), asked.returncode
        except (KeyError, TypeError, ValueError) as error:
            raise UnknownError(f"{' '.join(command)} in {pod}: Kubernetes does not tell how it ended") from error
        finally:
            asked.close()
            asked.sock.shutdown()  # once the other side has closed it, `close` leaves it open
        if code:
            raise UnknownError(f"{' '.join(command)} in {pod}: {complaint.strip() or code}")
        return str(answer)

    def start_empty(self, name: str) -> None:
        """Delete claim and pod: the claim goes with the pod, and the StatefulSet makes both anew."""
        core, namespace = self._cluster.core, self._cluster.namespace
        with _asking():
            with may_be_gone():
                claim = f"data-{name}"
                core.delete_namespaced_persistent_volume_claim(claim, namespace, _request_timeout=TIMEOUT_SECONDS)
            with may_be_gone():
                core.delete_namespaced_pod(name, namespace, _request_timeout=TIMEOUT_SECONDS)

    def trouble(self, name: str) -> str:
        """Why the pod does not serve."""
        with _asking():
            return next((trouble_of(pod) for pod in self._cluster.pods("restate") if pod.metadata.name == name), "")


def _ready(pod: Any) -> bool:
    conditions = {each.type: each.status for each in pod.status.conditions or ()}
    return conditions.get("Ready") == "True" and not pod.metadata.deletion_timestamp


@contextmanager
def _asking() -> Iterator[None]:
    """What may be asked again is an UnknownError. Who may not ask is told whose rights it takes."""
    try:
        yield
    except ApiException as error:
        if error.status in (401, 403) or " 403 " in str(error.reason):  # the second is how a refused `exec` is told
            reason = str(error.reason).split(" -+-+-")[0]
            raise NotDoneError(f"Kubernetes forbids it ({reason}): {ALLOWED}") from error
        raise UnknownError(f"Kubernetes: {error.status} {error.reason}") from error
    except (HTTPError, WebSocketException, OSError) as error:
        raise UnknownError(f"Kubernetes does not answer: {error!r}") from error
