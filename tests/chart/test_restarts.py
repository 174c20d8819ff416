"""What Kubernetes asks Restate's pod, so that nobody is sent to one that ends."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendered import Object, pod_specs, render

SECONDS = 10


def restate() -> Object:
    found: Object = pod_specs(render())["betting-restate"]["containers"][0]
    return found


def is_ready(port: int, folder: Path) -> bool:
    """What the probe says where Restate's ingress is at a port, and the pod's /tmp in a folder."""
    *shell, script = restate()["readinessProbe"]["exec"]["command"]
    assert script.count("/8080") == script.count("/tmp/") == 1
    moved = script.replace("/8080", f"/{port}").replace("/tmp/", f"{folder}/")
    return subprocess.run([*shell, moved], timeout=SECONDS, check=False).returncode == 0


def told(hook: str, folder: Path) -> list[str]:
    """The command of a hook, where the pod's /tmp is a folder."""
    return [word.replace("/tmp/", f"{folder}/") for word in restate()["lifecycle"][hook]["exec"]["command"]]


@contextmanager
def ingress(status: int) -> Iterator[int]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/restate/health" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False)])
def test_restate_is_ready_while_its_ingress_is_well(status: int, ready: bool, tmp_path: Path) -> None:
    with ingress(status) as port:
        assert is_ready(port, tmp_path) is ready


def test_restate_is_not_ready_while_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    assert not is_ready(port, tmp_path)


def test_restate_is_not_ready_once_it_is_to_end_until_it_starts_again(tmp_path: Path) -> None:
    before_it_ends = subprocess.Popen(told("preStop", tmp_path))
    try:
        with ingress(200) as port:
            while not list(tmp_path.iterdir()):
                assert before_it_ends.poll() is None, "it goes on for a while"
            assert not is_ready(port, tmp_path)

            subprocess.run(told("postStart", tmp_path), check=True)
            assert is_ready(port, tmp_path)
    finally:
        before_it_ends.terminate()
        before_it_ends.wait()


def test_restate_goes_on_until_nobody_is_sent_there_and_then_has_its_time_to_end() -> None:
    container, spec = restate(), pod_specs(render())["betting-restate"]
    pause = int(told("preStop", Path())[-1].rpartition("sleep ")[2])
    [to_end] = [each["value"] for each in container["env"] if each["name"] == "RESTATE_SHUTDOWN_TIMEOUT"]

    probe = container["readinessProbe"]
    assert probe["failureThreshold"] == 1
    assert pause >= probe["periodSeconds"] + 3, "seen on a cluster: about a second until the address is gone"
    assert pause + int(to_end.removesuffix("s")) < spec["terminationGracePeriodSeconds"]
