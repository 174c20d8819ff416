"""A real OpenID Connect provider, from npm."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.dev.tether import tether
from tests.edge.packages import NODE, installed
from tests.helpers.waiting import eventually

PINNED = Path(__file__).parent / "identity_provider"


class Provider:
    """The provider at a port, with its keys in a file; it can be away for a while."""

    def __init__(self, port: int, keys: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = [str(NODE), str(installed(PINNED) / "provider.mjs"), str(port), str(keys)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have it answer."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL, preexec_fn=tether())
        eventually(lambda: self._get("/jwks").is_success)

    def stop(self) -> None:
        """Have it away, as after a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def discovered(self) -> dict[str, Any]:
        """What it says of itself."""
        told: dict[str, Any] = self._get("/.well-known/openid-configuration").raise_for_status().json()
        return told

    def token(self, user: str) -> str:
        """A token as the user's client gets it."""
        answer = httpx.post(
            f"{self.url}/token",
            data={"grant_type": "client_credentials"},
            auth=(user, f"secret-of-{user}"),
            trust_env=False,
        )
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    def rotate(self) -> str:
        """Sign with a new key from now on, and publish the earlier ones too; the new one's id."""
        return httpx.post(f"{self.url}/rotate", trust_env=False).raise_for_status().text

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", trust_env=False)


@contextmanager
def providing(port: int, keys: Path) -> Iterator[Provider]:
    """A provider that answers, and ends with the test."""
    provider = Provider(port, keys)
    try:
        provider.start()
        yield provider
    finally:
        provider.stop()
