"""A real Prometheus: the one on the PATH, else Debian's package unpacked in the cache, which needs no root."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import yaml

from app.dev.tether import tether

CACHE = Path(__file__).parents[2] / ".cache" / "prometheus"
REQUIRED = "BETTING_REQUIRE_PROMETHEUS"
HOST = "127.0.0.1"
SCRAPE_SECONDS = 1
START_SECONDS = 120
FETCH_SECONDS = 300

Program = Literal["prometheus", "promtool"]
Series = dict[str, Any]


def program(name: Program) -> Path:
    """Where the program is; without it the test is skipped, or fails where it has to run."""
    if (found := shutil.which(name) or _unpacked(name)) is not None:
        return Path(found)
    reason = (
        f"NO PROMETHEUS: dashboards and alerts are not tested, put prometheus and promtool on the PATH ({_fetch()})"
    )
    if (found := _unpacked(name)) is not None:
        return Path(found)
    if os.environ.get(REQUIRED, "") not in ("", "0"):
        pytest.fail(f"{reason}. {REQUIRED} is set.")
    pytest.skip(reason)


def _unpacked(name: Program) -> Path | None:
    place = CACHE / "usr" / "bin" / name
    return place if place.exists() else None


@cache
def _fetch() -> str:
    """Unpack the package beside its final place, then move it; tell what went wrong, if anything."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return "there is no apt-get to fetch them"
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent.resolve(), prefix="fetching-") as place:
        for lists in ([], _own_lists(Path(place))):
            done = _apt(["download", "prometheus"], lists, place)
            if done.returncode == 0:
                break
        else:
            return f"apt-get download prometheus: {done.stderr.strip()}"
        [package] = Path(place).glob("*.deb")
        subprocess.run(["dpkg", "-x", package, "unpacked"], cwd=place, check=True, capture_output=True)
        with suppress(OSError):  # another process was faster
            (Path(place) / "unpacked").rename(CACHE)
    return "fetched"


def _own_lists(place: Path) -> list[str]:
    """Lists of packages of our own, for a machine without any or with old ones."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (place / folder).mkdir(parents=True)
    options = [f"--option=Dir::State::Lists={place}/lists", f"--option=Dir::Cache={place}/cache"]
    _apt(["update"], options, str(place))
    return options


def _apt(arguments: Sequence[str], options: Sequence[str], place: str) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", "--quiet=2", *options, *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)


@dataclass(frozen=True)
class Target:
    """Something that exports numbers, and the labels that a scraper in the cluster gives it."""

    job: str
    port: int
    version: str = ""
    path: str = "/metrics"


class Prometheus:
    """A Prometheus that scrapes every second."""

    def __init__(self, port: int) -> None:
        self._http = httpx.Client(base_url=f"http://{HOST}:{port}/api/v1", timeout=30, trust_env=False)

    def ask(self, what: str, **parameters: str | float) -> Any:
        """Its answer; a query that is no PromQL is a ValueError with Prometheus' own words."""
        answer = self._http.get(what, params=parameters).json()
        if answer["status"] != "success":
            raise ValueError(f"{answer['error']}: {parameters}")
        return answer["data"]

    def at(self, query: str, when: float | None = None) -> list[Series]:
        """The series of a query at a time."""
        found = self.ask("query", query=query, time=time.time() if when is None else when)
        series: list[Series] = found["result"]
        return series

    def during(self, query: str, begin: float, end: float, step: float) -> list[Series]:
        """The series of a query over a time."""
        series: list[Series] = self.ask("query_range", query=query, start=begin, end=end, step=step)["result"]
        return series

    def metrics(self) -> dict[str, str]:
        """Every metric that a target declares, and its type."""
        return {name: facts[0]["type"] for name, facts in self.ask("metadata").items()}

    def series_names(self) -> set[str]:
        """The name of every series that was seen."""
        return set(self.ask("label/__name__/values"))

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()


@contextmanager
def scraping(folder: Path, port: int, targets: Sequence[Target], namespace: str) -> Iterator[Prometheus]:
    """Start a Prometheus over targets on this machine, and stop it in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_configuration(targets, namespace)))
    command = [
        str(program("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
        "--log.level=warn",
    ]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=tether())
    prometheus = Prometheus(port)
    try:
        _wait(process, port, folder / "output")
        yield prometheus
    finally:
        prometheus.close()
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://{HOST}:{port}/-/ready", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"Prometheus did not become ready:\n{output.read_text()}")


def _configuration(targets: Sequence[Target], namespace: str) -> dict[str, Any]:
    every = f"{SCRAPE_SECONDS}s"
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "scrape_configs": [
            {
                "job_name": target.job + target.version,
                "metrics_path": target.path,
                "static_configs": [{"targets": [f"{HOST}:{target.port}"], "labels": _labels(target, namespace)}],
            }
            for target in targets
        ],
    }


def _labels(target: Target, namespace: str) -> dict[str, str]:
    labels = {"job": target.job, "namespace": namespace}
    return labels | ({"version": target.version} if target.version else {})
