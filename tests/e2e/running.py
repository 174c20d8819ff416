"""A release on a real cluster, as operators and players reach it."""

import functools
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import ONCE

ROOT = Path(__file__).parents[2]
NAMESPACE = "betting-e2e"
DEADLINE_SECONDS = 240
"""`release.deadlineSeconds` of k8s/kind.yaml: what ends sooner did not wait for it to run out."""
HELM_SECONDS = DEADLINE_SECONDS + 80
"""For one hook, which gives up on its own after the deadline, and says why."""
COMMAND_SECONDS = HELM_SECONDS + 40
WAIT_SECONDS = 300
"""How long anything may take that is waited for: two cores bear two stories, and a machine may stand still."""
WAITS = f"--timeout={WAIT_SECONDS}s"
"""As kubectl understands it."""
CUT_OFF = re.compile(r"^(error: |Error from server)|exit code (137|143)\b", re.MULTILINE)
"""What kubectl says when it did not reach the pod of a command, or when that ended under the command."""
FORWARD_LOOK_SECONDS = 0.5
MANY_BETS = "settings.BETTING_MAX_OPEN_BETS=100000"
"""Of a version under which bets are placed without a pause, on a market that is never settled."""


def run(*command: str, ok: bool | None = True, given: str | None = None) -> str:
    """Run a command, and return what it said. It has to succeed or fail, as `ok` says; with None it may do either."""
    done = subprocess.run(command, input=given, text=True, capture_output=True, timeout=COMMAND_SECONDS, check=False)
    said = done.stdout + done.stderr
    assert ok is None or (done.returncode == 0) is ok, f"{' '.join(command)}: {said}"
    return done.stdout if ok else said


def kubectl(*arguments: str, ok: bool = True, given: str | None = None) -> str:
    return run("kubectl", "--namespace", NAMESPACE, *arguments, ok=ok, given=given)


def get(kind: str, *arguments: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(kubectl("get", kind, *arguments, "--output", "json"))["items"]
    return items


def pods(version: str) -> list[str]:
    """The pods of a version, by name."""
    return _named(f"betting/version={version},app.kubernetes.io/component=version")


def of_the_door() -> list[str]:
    """The pods of the door, by name."""
    return _named("app.kubernetes.io/component=edge")


def _named(selector: str) -> list[str]:
    return [found["metadata"]["name"] for found in get("pods", f"--selector={selector}")]


def until(look: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Look until there is what is looked for. A look that fails is repeated: who is asked may just have been silent."""
    end = time.monotonic() + seconds
    while not _seen(look, is_last=time.monotonic() > end):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.5)


def _seen(look: Callable[[], object], is_last: bool) -> object:
    try:
        return look()
    except (AssertionError, LookupError, ValueError, httpx.TransportError, subprocess.TimeoutExpired):
        if is_last:
            raise
        return None


def asked_of_the_loop(*arguments: str, ok: bool | None = True, namespace: str = NAMESPACE) -> str:
    """Ask the release loop. After an upgrade its old pod may end under the command: then the new one is asked.

    That kubectl fails is no refusal by the loop.
    """
    said: list[str] = []
    place = ("kubectl", "exec", f"--namespace={namespace}", "deploy/betting-release", "--", "betting", "release")

    def answered() -> bool:
        told = run(*place, *arguments, ok=ok)
        assert ok or not CUT_OFF.search(told), f"{' '.join(arguments)}: {told}"
        said.append(told)
        return True

    until(answered, "a pod of the release loop that stays")
    return said[0]


class Release:
    """The release `betting`, in a namespace of its own with restricted pods."""

    def __init__(self, images: dict[str, str]) -> None:
        self.images = images
        self.chart = ROOT / "charts" / "betting"

    def install(self, *values: str) -> str:
        repository, tag = self.images["v1"].rsplit(":", 1)
        return self._helm(
            "install",
            f"--values={ROOT}/k8s/kind.yaml",
            f"--values={ROOT}/k8s/observability/values.yaml",
            f"--set=image.repository={repository}",
            f"--set=versions.v1.image.tag={tag}",
            f"--set=sandbox.image={self.images['v1']}",
            *(f"--set={value}" for value in values),
            "--wait",
        )

    def upgrade(self, *values: str, ok: bool | None = True, hooks: bool = True) -> str:
        options = ["--reset-then-reuse-values", *(f"--set={value}" for value in values)]
        return self._helm("upgrade", *options, *([] if hooks else ["--no-hooks"]), ok=ok)

    def image(self, version: str, image: str) -> str:
        repository, tag = self.images[image].rsplit(":", 1)
        return f"versions.{version}.image.repository={repository},versions.{version}.image.tag={tag}"

    def _helm(self, verb: str, *arguments: str, ok: bool | None = True) -> str:
        where = (f"--namespace={NAMESPACE}", f"--timeout={HELM_SECONDS}s")
        return run("helm", verb, "betting", str(self.chart), *where, *arguments, ok=ok)

    def take_chart_of(self, image: str, folder: Path) -> None:
        """Go on with the chart of another version: with the routes that its handlers declare."""
        self.chart = shutil.copytree(self.chart, folder / image)
        made = said_by("routes", self.images[image], ["-m", "app", "edge", "--chart"])
        (self.chart / "files" / "edge.yaml").write_text(made)

    def command(self, *arguments: str, ok: bool | None = True) -> str:
        return asked_of_the_loop(*arguments, ok=ok)

    def status(self) -> dict[str, dict[str, Any]]:
        told = json.loads(self.command("status", "--output", "json"))
        return {version["name"]: version for version in told["versions"]}

    def why(self, version: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.command("why", version, "--output", "json"))
        return told


@contextmanager
def forward(target: str, port: int) -> Iterator[httpx.Client]:
    """An HTTP client of a port in the cluster."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local = probe.getsockname()[1]
    # It connects again and again for some seconds: as long as a port-forward takes to be started anew.
    transport = httpx.HTTPTransport(retries=5)
    # Once: of a kept connection that the other end closes, kubectl says nothing.
    with (
        _forwarded(target, local, port),
        httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{local}", timeout=60, headers=ONCE) as http,
    ):
        yield http


@contextmanager
def _forwarded(target: str, local: int, port: int) -> Iterator[None]:
    """A port-forward that listens, and is started anew when it ends: it does when one of its connections breaks."""
    command = ["kubectl", "--namespace", NAMESPACE, "port-forward", target, f"{local}:{port}"]
    over = threading.Event()
    with tempfile.TemporaryFile() as said:

        def started() -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)

        process = started()

        def keep() -> None:
            nonlocal process
            while not over.wait(FORWARD_LOOK_SECONDS):
                if process.poll() is not None:
                    process = started()

        keeper = threading.Thread(target=keep)
        try:
            until(lambda: process.poll() is not None or _listens(local), f"port-forward to {target}")
            if process.poll() is not None:
                said.seek(0)
                raise AssertionError(f"port-forward to {target} ended: {said.read().decode()}")
            keeper.start()
            yield
        finally:
            over.set()
            if keeper.ident is not None:
                keeper.join()
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@functools.cache
def _token(user: str, *roles: str) -> str:
    options = [f"--role={role}" for role in roles]
    return kubectl("exec", "betting-sandbox-0", "--", "betting", "token", user, "--minutes=480", *options).strip()


def forget_tokens() -> None:
    """Those that a release has signed which is gone."""
    _token.cache_clear()


class by(httpx.Auth):  # noqa: N801, it reads as a word
    """Who asks, for the door: `auth=by("ann")`."""

    def __init__(self, user: str, *roles: str) -> None:
        self._who = (user, *roles)

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        """Add the token."""
        request.headers["authorization"] = f"Bearer {_token(*self._who)}"
        yield request


def door() -> AbstractContextManager[httpx.Client]:
    """Where users come in."""
    return forward("service/betting-edge", 8080)


def back_door() -> AbstractContextManager[httpx.Client]:
    """Restate's own ingress, for developers."""
    return forward("service/betting-restate", 8080)


def admin_port() -> AbstractContextManager[httpx.Client]:
    """Restate's admin port."""
    return forward("service/betting-restate-admin", 9070)


def rows(admin: httpx.Client, sql: str) -> list[dict[str, Any]]:
    """What Restate answers to a query."""
    answer = admin.post("/query", json={"query": sql}, headers={"accept": "application/json"})
    assert answer.is_success, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def said_by(name: str, image: str, arguments: list[str], labels: dict[str, str] | None = None) -> str:
    """What a pod that is nobody's prints."""
    kubectl("apply", "--filename=-", given=pod(name, image, arguments, labels))
    try:
        kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", WAITS)
        return kubectl("logs", name)
    finally:
        kubectl("delete", "pod", name, "--wait=false")


def pod(name: str, image: str, arguments: list[str], labels: dict[str, str] | None = None) -> str:
    """A pod that belongs to no release, restricted as the namespace demands."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    container = {
        "name": "it",
        "image": image,
        "command": ["python", *arguments],
        "securityContext": security,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    spec = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    return json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}}, "spec": spec}
    )


@contextmanager
def load(image: str, players: int = 4, kind: str = "deposits") -> Iterator[dict[str, Any]]:
    """Constant deposits from inside the cluster, or `bets`; at the end, what became of them."""
    script = (Path(__file__).parent / "load.py").read_text()
    tokens = {name: _token(name) for name in (f"{kind}-{number}" for number in range(players))}
    arguments = ["-c", script, "http://betting-edge:8080", json.dumps(tokens), kind]
    name = f"load-{kind}"
    kubectl("apply", "--filename=-", given=pod(name, image, arguments))
    told: dict[str, Any] = {}
    try:
        kubectl("wait", f"pod/{name}", "--for=condition=Ready", WAITS)
        yield told
        kubectl("exec", name, "--", "touch", "/tmp/stop")
        kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", WAITS)
        told |= json.loads(kubectl("logs", name))
    finally:
        kubectl("delete", "pod", name, "--ignore-not-found", "--grace-period=1")


def images() -> dict[str, str]:
    """The images under test; skips where they are not given."""
    given = {name: os.environ.get(f"BETTING_E2E_IMAGE_{name.upper()}", "") for name in ("v1", "v2", "bad", "broken")}
    if not all(given.values()):
        pytest.skip("NO CLUSTER: BETTING_E2E_IMAGE_V1, _V2, _BAD and _BROKEN name the images of `make e2e`")
    return given
