"""An operator's command reaches Restate's nodes through their pods: in memory, and over a socket."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace as Thing
from typing import Any

import pytest
from aiohttp import web
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from app.release import restate_pods
from app.release.cluster import Cluster
from app.release.restate_admin import UnknownError
from app.release.restate_pods import RestatePods
from app.release.rounds import NotDoneError

FORBIDDEN = ApiException(status=403, reason="Forbidden")
NO_SHAKE = ApiException(status=0, reason="Handshake status 403 Forbidden -+-+- {'audit-id': '1'}")


def pod(number: int, ready: bool = True, going: bool = False) -> Any:
    meta = Thing(name=f"betting-restate-{number}", deletion_timestamp="now" if going else None)
    conditions = [Thing(type="Ready", status=str(ready), message="")]
    state = Thing(waiting=Thing(reason="CrashLoopBackOff", message=""))
    containers = [] if ready else [Thing(state=state, last_state=Thing(terminated=None))]
    return Thing(metadata=meta, status=Thing(conditions=conditions, container_statuses=containers))


class Api:
    """Pods of Restate, and what was deleted of them."""

    def __init__(self, *pods: Any) -> None:
        self.pods = pods
        self.deleted: list[str] = []
        self.gone: set[str] = set()
        self.forbids = False

    def list_namespaced_pod(self, namespace: str, label_selector: str, **_: object) -> Any:
        assert label_selector == "app.kubernetes.io/instance=betting,app.kubernetes.io/component=restate"
        return Thing(items=list(self.pods))

    def list_namespaced_stateful_set(self, namespace: str, field_selector: str, **_: object) -> Any:
        assert field_selector == "metadata.name=betting-restate"
        return Thing(items=[Thing(spec=Thing(replicas=3))])

    def connect_get_namespaced_pod_exec(self) -> None:
        """Only its name counts."""

    def delete_namespaced_persistent_volume_claim(self, name: str, namespace: str, **_: object) -> None:
        self._delete(f"{namespace}/claim/{name}")

    def delete_namespaced_pod(self, name: str, namespace: str, **_: object) -> None:
        self._delete(f"{namespace}/pod/{name}")

    def _delete(self, what: str) -> None:
        if self.forbids:
            raise FORBIDDEN
        if what in self.gone:
            raise ApiException(status=404)
        self.deleted.append(what)


class Answer:
    """What a command in a pod says."""

    def __init__(self, said: str = "", complaint: str = "", code: int = 0, silent: bool = False) -> None:
        self.said, self.complaint, self.returncode, self.silent = said, complaint, code, silent
        self.closed = False
        self.sock = Thing(shutdown=lambda: None)

    def run_forever(self, timeout: float) -> None:
        assert timeout > 0

    def is_open(self) -> bool:
        return self.silent

    def read_stdout(self) -> str:
        return self.said

    def read_stderr(self) -> str:
        return self.complaint

    def close(self) -> None:
        self.closed = True


def pods(api: Api) -> RestatePods:
    made = Cluster.__new__(Cluster)
    vars(made).update(_namespace="shop", _release="betting", _core=api, _apps=api)
    return RestatePods(made)


def asking(monkeypatch: pytest.MonkeyPatch, answer: Answer | Exception) -> list[Any]:
    asked = []

    def stream(method: Any, name: str, namespace: str, **options: Any) -> Answer:
        assert method.__name__ == "connect_get_namespaced_pod_exec"
        asked.append((name, namespace, options["container"], options["command"]))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(restate_pods, "stream", stream)
    return asked


def test_the_nodes_are_those_that_the_values_want() -> None:
    assert pods(Api()).names() == {"betting-restate-0", "betting-restate-1", "betting-restate-2"}


def test_the_tool_is_asked_in_the_first_pod_that_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer("N1\n", "1 row")
    asked = asking(monkeypatch, answer)

    told = pods(Api(pod(2), pod(1), pod(0, ready=False))).restatectl("sql", "--jsonl", "select 1")

    assert told == "N1\n"
    command = ["restatectl", "--yes", "sql", "--jsonl", "select 1"]
    assert asked == [("betting-restate-1", "shop", "restate", command)]
    assert answer.closed


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (Answer("half of it", "Error: no quorum", code=1), "in betting-restate-1: Error: no quorum"),
        (Answer("half of it", silent=True), "no answer in 60 s"),
    ],
    ids=["failed", "silent"],
)
def test_what_is_no_whole_answer_is_none(monkeypatch: pytest.MonkeyPatch, answer: Answer, because: str) -> None:
    asking(monkeypatch, answer)

    with pytest.raises(UnknownError, match=because):
        pods(Api(pod(1))).restatectl("status")

    assert answer.closed


@pytest.mark.parametrize("error", [ApiException(status=503, reason="busy"), OSError("reset"), HTTPError("reset")])
def test_what_may_be_asked_again_is_not_known(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    asking(monkeypatch, error)

    with pytest.raises(UnknownError, match="Kubernetes"):
        pods(Api(pod(1))).restatectl("status")


def test_without_a_pod_that_is_ready_nothing_can_be_asked() -> None:
    with pytest.raises(UnknownError, match="no pod of Restate is ready"):
        pods(Api(pod(0, ready=False), pod(1, going=True))).restatectl("status")


@pytest.mark.parametrize("error", [FORBIDDEN, NO_SHAKE], ids=["forbidden", "no handshake"])
def test_who_may_not_is_told_which_rights_it_takes(monkeypatch: pytest.MonkeyPatch, error: ApiException) -> None:
    asking(monkeypatch, error)
    api = Api(pod(0))
    api.forbids = True

    for forbidden in (lambda: pods(api).restatectl("status"), lambda: pods(api).start_empty("betting-restate-2")):
        with pytest.raises(NotDoneError, match="create pods/exec, delete pods and persistentvolumeclaims"):
            forbidden()


@pytest.mark.parametrize("gone", [(), ("shop/claim/data-betting-restate-2",), ("shop/pod/betting-restate-2",)])
def test_a_node_starts_empty_without_its_claim_and_its_pod(gone: tuple[str, ...]) -> None:
    api = Api()
    api.gone = set(gone)

    pods(api).start_empty("betting-restate-2")

    both = ["shop/claim/data-betting-restate-2", "shop/pod/betting-restate-2"]
    assert api.deleted == [each for each in both if each not in gone]


def test_why_a_pod_does_not_start_is_told() -> None:
    machine = pods(Api(pod(0), pod(2, ready=False)))

    assert machine.trouble("betting-restate-2") == "CrashLoopBackOff: "
    assert machine.trouble("betting-restate-0") == machine.trouble("betting-restate-1") == ""


STDOUT, STDERR, STATUS = "\x01", "\x02", "\x03"
"""The channels of a command in a pod, as the first byte of each message."""
FAILED = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "1"}]}}


@contextmanager
def api_server(*messages: str) -> Iterator[tuple[str, list[str]]]:
    """What Kubernetes sends for a command in a pod, and what it was asked."""
    asked: list[str] = []

    async def run(request: web.Request) -> web.StreamResponse:
        asked.append(f"{request.path} {request.query.getall('command')}")
        socket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await socket.prepare(request)
        for message in messages:
            await socket.send_bytes(message.encode())
        await socket.close()
        return socket

    loop, started, where = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/{path:.*}", run)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        where.append(runner.addresses[0][1])
        return runner

    def forever() -> None:
        runner = loop.run_until_complete(serve())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=forever)
    thread.start()
    started.wait()
    try:
        yield f"http://127.0.0.1:{where[0]}", asked
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def over_a_socket(url: str) -> RestatePods:
    """Asks a real API server for the command, and only for that."""
    settings = client.Configuration()
    settings.host = url
    api = client.CoreV1Api(client.ApiClient(settings))
    machine = pods(Api(pod(1)))
    vars(machine._cluster)["_core"] = Thing(
        list_namespaced_pod=Api(pod(1)).list_namespaced_pod,
        connect_get_namespaced_pod_exec=api.connect_get_namespaced_pod_exec,
    )
    return machine


def test_what_a_command_says_is_told_apart_from_its_complaints() -> None:
    done = STATUS + json.dumps({"status": "Success"})
    said = [f"{STDOUT}N1\n", f"{STDERR}1 row", f"{STDOUT}N2 in Zürich\n", done]

    with api_server(*said) as (url, asked):
        told = over_a_socket(url).restatectl("sql", "--jsonl", "select 1")

    assert told == "N1\nN2 in Zürich\n"
    path = "/api/v1/namespaces/shop/pods/betting-restate-1/exec"
    assert asked == [f"{path} ['restatectl', '--yes', 'sql', '--jsonl', 'select 1']"]


def test_a_command_that_fails_is_no_answer() -> None:
    with (
        api_server(f"{STDOUT}half", f"{STDERR}Error: no quorum", STATUS + json.dumps(FAILED)) as (url, _),
        pytest.raises(UnknownError, match="in betting-restate-1: Error: no quorum"),
    ):
        over_a_socket(url).restatectl("status")


def test_a_command_whose_end_is_not_told_is_no_answer() -> None:
    with api_server(f"{STDOUT}half") as (url, _), pytest.raises(UnknownError, match="does not tell how it ended"):
        over_a_socket(url).restatectl("status")
