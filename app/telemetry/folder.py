"""The folder where the worker processes of a pod keep their numbers, so that they add up and survive a killed process.

prometheus-client decides at its import whether to keep numbers there: nothing here may import it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def metrics_folder(shared: str) -> Iterator[Path]:
    """Keep the numbers of this process in a folder: the shared one, or when there is none, one that goes with us."""
    with nullcontext(shared) if shared else TemporaryDirectory(prefix="betting-metrics-") as name:
        folder = Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[_VARIABLE] = str(folder)
        yield folder


def current_folder() -> Path:
    """Return the metrics folder of this process."""
    return Path(os.environ[_VARIABLE])
