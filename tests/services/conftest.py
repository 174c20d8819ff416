import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.helpers.ports import free_port
from tests.running import FAST, HURRIED, STOP_SECONDS, clean_environment, running
from tests.services.crash_matrix import Crashing, Insisting

PATIENT = {
    "BETTING_REVIEW_TIMEOUT_SECONDS": "60",
    "BETTING_PROVIDER_WINDOW_SECONDS": "600",
    "BETTING_UNKNOWN_DEADLINE_SECONDS": "1200",
    "BETTING_REVIEW_THRESHOLD": "80",
}
"""Nothing times out while restate-server comes back on a busy machine; a deposit is answered as soon as elsewhere."""


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashing]:
    """A system whose service can be killed at any step."""
    folder = tmp_path_factory.mktemp("crashes")
    (folder / "seen").touch()
    with running(folder) as system:
        port = free_port()
        environment = clean_environment() | FAST | HURRIED | PATIENT | system.outside()
        command = [sys.executable, "-m", "tests.services.crashing", str(port), str(folder), system.admin]
        with (folder / "service.log").open("w") as log:
            service = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            system.eventually(lambda: _is_up(url))
            answer = httpx.post(f"{system.admin}/deployments", json={"uri": url, "force": True}, timeout=30)
            assert answer.is_success, answer.text
            insisting = Insisting(system.process, folder / "ready.json", system.ports)
            try:
                yield Crashing(insisting, folder)
            finally:
                insisting.close()
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(STOP_SECONDS)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False
