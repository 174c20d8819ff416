import subprocess
import sys
from collections.abc import Mapping

from tests.running import clean_environment


def betting(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        env=clean_environment() | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
