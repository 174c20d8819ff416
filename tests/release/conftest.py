"""A real restate-server and services that it can register, on ports of their own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from app.dev.binaries import restate_server
from app.release.restate_admin import RestateAdmin
from tests.helpers.ports import free_port
from tests.helpers.waiting import eventually

HERE = Path(__file__).parent


@contextmanager
def running(command: list[str], ready: Sequence[str], environment: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=HERE
    ) as process:
        try:
            with httpx.Client() as http:

                def is_ready() -> bool:
                    assert process.poll() is None, f"{command[0]} ended"
                    return all(http.get(url).is_success for url in ready)

                eventually(is_ready, 120)
            yield
        finally:
            process.kill()  # the SDK takes SIGTERM away from hypercorn


@pytest.fixture(scope="session")
def restate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The ingress and admin addresses of a fresh server."""
    ingress, admin, node = free_port(), free_port(), free_port()
    environment = {
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DEFAULT_NUM_PARTITIONS": "2",
        "RESTATE_DEFAULT_RETRY_POLICY__MAX_ATTEMPTS": "2",
        "RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL": "50ms",
        "RESTATE_DEFAULT_RETRY_POLICY__ON_MAX_ATTEMPTS": "pause",
    }
    command = [str(restate_server()), "--base-dir", str(tmp_path_factory.mktemp("restate")), "--no-logo"]
    addresses = f"http://127.0.0.1:{ingress}", f"http://127.0.0.1:{admin}"
    with running(command, [f"{addresses[0]}/restate/health", f"{addresses[1]}/health"], environment):
        yield addresses


@pytest.fixture
def admin(restate: tuple[str, str]) -> Iterator[RestateAdmin]:
    with RestateAdmin(restate[1], timeout_seconds=60) as admin:
        yield admin
        for deployment in admin.observe().deployments:
            admin.deregister(deployment.id)


@pytest.fixture
def serve() -> Iterator[Callable[[str], str]]:
    """Start one version of the test services, and tell its address as Restate writes it."""
    with ExitStack() as stack:

        def start(version: str) -> str:
            port = free_port()
            command = [sys.executable, "-m", "hypercorn", "versions:app", "--workers=0", "--bind", f"127.0.0.1:{port}"]
            ready = f"http://127.0.0.1:{port}/restate/health"
            stack.enter_context(running(command, [ready], {"VERSION": version}))
            return f"http://127.0.0.1:{port}/"

        yield start
