"""The folder in which a system keeps its state between runs."""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from click import ClickException

SECRET_BYTES = 32

LET_GO_SECONDS = 10
"""The processes of a run that was killed need a moment to be gone."""


@dataclass(frozen=True)
class Folder:
    """What belongs to us inside the folder the developer chose."""

    root: Path

    @property
    def restate(self) -> Path:
        """Restate's own state."""
        return self.root / "restate"

    @property
    def database(self) -> Path:
        """What the sandbox remembers."""
        return self.root / "sandbox.sqlite"

    @property
    def metrics(self) -> Path:
        """The numbers that the service has counted."""
        return self.root / "metrics"

    @property
    def secret(self) -> Path:
        """What the service and the sandbox share to sign webhooks."""
        return self.root / "webhook-secret"

    @property
    def certificate(self) -> Path:
        """What the inbox shows, where mail is encrypted."""
        return self.root / "inbox.pem"

    @property
    def identity_key(self) -> Path:
        """What tokens for the door are signed with."""
        return self.root / "identity-key.pem"

    @property
    def edge(self) -> Path:
        """The door's configuration."""
        return self.root / "edge.yaml"

    @property
    def openapi(self) -> Path:
        """What the door answers /openapi.json with."""
        return self.root / "openapi.json"

    def webhook_secret(self) -> str:
        """The secret of this folder's system, made once and readable by its owner alone."""
        if not self.secret.exists():
            draft = self.secret.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600)
            draft.write_text(token_hex(SECRET_BYTES))
            draft.replace(self.secret)  # in one step: half a secret would be kept for ever
        return self.secret.read_text()

    def log(self, name: str) -> Path:
        """What a process of this run has said."""
        return self.root / "logs" / f"{name}.log"

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep the folder to this run and its children; the file descriptor is for them to hold on to."""
        self.root.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + LET_GO_SECONDS
        with (self.root / "lock").open("w") as lock:
            while not _acquired(lock.fileno()):
                if time.monotonic() > deadline:
                    raise ClickException(
                        f"{self.root} is in use by another `betting dev`. Stop it, or choose another --data folder."
                    )
                time.sleep(0.05)
            yield lock.fileno()

    def forget(self) -> None:
        """Remove all state, and nothing that is not ours."""
        shutil.rmtree(self.restate, ignore_errors=True)
        shutil.rmtree(self.metrics, ignore_errors=True)
        self.secret.unlink(missing_ok=True)
        self.certificate.unlink(missing_ok=True)
        self.identity_key.unlink(missing_ok=True)
        for part in ("", "-wal", "-shm", "-journal"):
            self.database.with_name(self.database.name + part).unlink(missing_ok=True)

    def start_logs(self) -> None:
        """Begin the logs of a new run."""
        shutil.rmtree(self.root / "logs", ignore_errors=True)
        (self.root / "logs").mkdir()


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
