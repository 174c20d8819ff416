"""`betting books` as a process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.dev.tether import tether
from tests.bookkeeper.looking import Kept
from tests.dev.commands import betting
from tests.helpers.ports import free_port
from tests.running import clean_environment

NOWHERE = "http://127.0.0.1:1"


def once(kept: Kept, *options: str) -> subprocess.CompletedProcess[str]:
    return betting("books", "--once", f"--admin={kept.system.admin}", f"--ingress={kept.system.ingress}", *options)


@contextmanager
def bookkeeper(kept: Kept, folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A bookkeeper that goes on looking, the address of its numbers, and its log in a folder."""
    port = free_port()
    where = [f"--admin={kept.system.admin}", f"--ingress={kept.system.ingress}", f"--port={port}", "--every=1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "books", *where, *options],
            env=clean_environment(),
            stdout=log,
            stderr=log,
            preexec_fn=tether(),
        )
    try:
        yield f"http://127.0.0.1:{port}/metrics", process
    finally:
        process.kill()
        process.wait()
