"""Pods of the service beside a running system: processes that share one address, as behind a Kubernetes Service."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.helpers.balancer import HOST, Balancer, balancing
from tests.helpers.exported import attempts_in
from tests.helpers.ports import free_port
from tests.running import System, clean_environment


@dataclass(frozen=True)
class Pod:
    """One process of the service."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int

    def attempts(self) -> float:
        """How many attempts at invocations it has finished."""
        url = f"http://{HOST}:{self.metrics_port}/metrics"
        return attempts_in(httpx.get(url, trust_env=False).raise_for_status().text)


@contextmanager
def pod(system: System, **settings: str) -> Iterator[Pod]:
    """One more pod, which reaches the same provider and mail server."""
    port, metrics_port = free_port(), free_port()
    ports = {"BETTING_PORT": str(port), "BETTING_METRICS_PORT": str(metrics_port)}
    environment = clean_environment() | system.outside() | ports | settings
    process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environment)
    try:
        system.eventually(lambda: httpx.get(f"http://{HOST}:{port}/health", trust_env=False).is_success)
        yield Pod(process, port, metrics_port)
    finally:
        process.kill()
        process.wait()


@contextmanager
def behind_one_address(system: System, *pods: Pod) -> Iterator[Balancer]:
    """Have Restate send all new work to an address whose connections these pods take in turn."""
    port = free_port()
    with balancing(port, [one.port for one in pods]) as balancer:
        body = {"uri": f"http://{HOST}:{port}", "force": True, "breaking": True}
        httpx.post(f"{system.admin}/deployments", json=body, timeout=30, trust_env=False).raise_for_status()
        yield balancer


def failed_attempts(system: System) -> float:
    """How many attempts Restate has seen fail so far, whether or not they were repeated with success."""
    text = httpx.get(f"{system.ports.url('node')}/metrics", trust_env=False).raise_for_status().text
    lines = [line for line in text.splitlines() if line.startswith("restate_invoker_invocation_tasks_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'status="failed"' in line)
