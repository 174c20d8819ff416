"""A release on a real cluster, as operators and players reach it."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
NAMESPACE = "betting-e2e"
COMMAND_SECONDS = 180


def run(*command: str, ok: bool = True, given: str | None = None) -> str:
    """Run a command, and return what it said; `ok` says whether it has to succeed or to fail."""
    done = subprocess.run(command, input=given, text=True, capture_output=True, timeout=COMMAND_SECONDS, check=False)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) is ok, f"{' '.join(command)}: {said}"
    return done.stdout if ok else said


def kubectl(*arguments: str, ok: bool = True, given: str | None = None) -> str:
    return run("kubectl", "--namespace", NAMESPACE, *arguments, ok=ok, given=given)


def get(kind: str, *arguments: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(kubectl("get", kind, *arguments, "--output", "json"))["items"]
    return items


def until(look: Callable[[], object], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.5)


class Release:
    """The release `betting`, in a namespace of its own with restricted pods."""

    def __init__(self, images: dict[str, str]) -> None:
        self.images = images

    def install(self) -> str:
        repository, tag = self.images["v1"].rsplit(":", 1)
        return self._helm(
            "install",
            f"--values={ROOT}/k8s/kind.yaml",
            f"--values={ROOT}/k8s/observability/values.yaml",
            f"--set=image.repository={repository}",
            f"--set=versions.v1.image.tag={tag}",
            f"--set=sandbox.image={self.images['v1']}",
            "--wait",
        )

    def upgrade(self, *values: str, ok: bool = True) -> str:
        return self._helm("upgrade", "--reset-then-reuse-values", *(f"--set={value}" for value in values), ok=ok)

    def image(self, version: str, image: str) -> str:
        repository, tag = self.images[image].rsplit(":", 1)
        return f"versions.{version}.image.repository={repository},versions.{version}.image.tag={tag}"

    def _helm(self, verb: str, *arguments: str, ok: bool = True) -> str:
        chart = f"{ROOT}/charts/betting"
        return run("helm", verb, "betting", chart, f"--namespace={NAMESPACE}", "--timeout=150s", *arguments, ok=ok)

    def command(self, *arguments: str, ok: bool = True) -> str:
        return kubectl("exec", "deploy/betting-release", "--", "betting", "release", *arguments, ok=ok)

    def status(self) -> dict[str, dict[str, Any]]:
        told = json.loads(self.command("status", "--output", "json"))
        return {version["name"]: version for version in told["versions"]}

    def why(self, version: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.command("why", version, "--output", "json"))
        return told


def watch(folder: Path) -> None:
    """Put the Prometheus of k8s/observability beside the release; Grafana's manifests too, without a pod of it."""
    kustomization: dict[str, Any] = {
        "namespace": NAMESPACE,
        "resources": [os.path.relpath(ROOT / "k8s" / "observability", folder)],
        "replicas": [{"name": "betting-grafana", "count": 0}],
    }
    if image := os.environ.get("BETTING_E2E_IMAGE_PROMETHEUS"):
        name, tag = image.rsplit(":", 1)
        kustomization["images"] = [{"name": "prom/prometheus", "newName": name, "newTag": tag}]
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    kubectl("apply", "--kustomize", str(folder))
    kubectl("rollout", "status", "deploy/betting-prometheus", "--timeout=90s")


def seen(query: str) -> list[dict[str, Any]]:
    """The series of a query that Prometheus has now, their labels with the value."""
    with forward("service/betting-prometheus", 9090) as prometheus:
        answer = prometheus.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", f"{query}: {answer}"
    return [series["metric"] | {"value": float(series["value"][1])} for series in answer["data"]["result"]]


def unwatch(folder: Path) -> None:
    """Take it away again."""
    kubectl("delete", "--kustomize", str(folder), "--wait")


@contextmanager
def forward(target: str, port: int) -> Iterator[httpx.Client]:
    """An HTTP client of a port in the cluster."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local = probe.getsockname()[1]
    command = ["kubectl", "--namespace", NAMESPACE, "port-forward", target, f"{local}:{port}"]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{local}", timeout=60) as http,
    ):
        try:
            until(lambda: _listens(local), f"port-forward to {target}")
            yield http
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def pod(name: str, image: str, arguments: list[str]) -> str:
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
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


@contextmanager
def load(image: str, players: int = 4) -> Iterator[dict[str, Any]]:
    """Constant deposits from inside the cluster; at the end, what became of them."""
    script = (Path(__file__).parent / "load.py").read_text()
    arguments = ["-c", script, "http://betting-restate:8080", str(players)]
    kubectl("apply", "--filename=-", given=pod("load", image, arguments))
    told: dict[str, Any] = {}
    try:
        kubectl("wait", "pod/load", "--for=condition=Ready", "--timeout=60s")
        yield told
        kubectl("exec", "load", "--", "touch", "/tmp/stop")
        kubectl("wait", "pod/load", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        told |= json.loads(kubectl("logs", "load"))
    finally:
        kubectl("delete", "pod", "load", "--ignore-not-found", "--grace-period=1")


def images() -> dict[str, str] | None:
    """The two images under test, if they are given."""
    given = {version: os.environ.get(f"BETTING_E2E_IMAGE_{version.upper()}", "") for version in ("v1", "v2")}
    return given if all(given.values()) else None
