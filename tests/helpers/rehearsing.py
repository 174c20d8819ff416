"""A candidate that rehearses, as a process of its own, with some mistake."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.helpers.ports import free_port
from tests.helpers.waiting import eventually
from tests.running import ALONE, clean_environment

CANDIDATE = Path(__file__).parents[1] / "services" / "candidate.py"


@contextmanager
def rehearsing(mistake: str, settings: Mapping[str, str]) -> Iterator[str]:
    """The URL of a candidate with this mistake; what rules read in its settings has to be what the system has."""
    port = free_port()
    command = [sys.executable, str(CANDIDATE), mistake, str(port)]
    environment = clean_environment() | ALONE | dict(settings)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).is_success)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()
