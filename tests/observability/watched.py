"""A system with two versions and some traffic, as Prometheus sees it."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from app.dev.tether import tether
from app.release.restate_admin import RestateAdmin
from tests.helpers.ports import free_port_base
from tests.helpers.waiting import eventually
from tests.observability.prometheus import HOST, Prometheus, Target, scraping
from tests.running import System, clean_environment, running

NAMESPACE = "shop"
REVIEWED_FROM = 9_000
SETTINGS = {
    "BETTING_VERSION": "v1",
    # Withdrawals that wait for an operator, and deposits that nobody knows of, stay so while we look.
    "BETTING_REVIEW_THRESHOLD": str(REVIEWED_FROM),
    "BETTING_REVIEW_TIMEOUT_SECONDS": "3600",
    "BETTING_LOOKUP_SECONDS": "1,5,30,3600",
    "BETTING_UNKNOWN_DEADLINE_SECONDS": "7200",
    "BETTING_BOOKS_SECONDS": "1",
    "BETTING_BOOKS_STRANDED_AFTER_SECONDS": "600",
}


VARIABLES = {"$namespace": NAMESPACE, "$__rate_interval": "2m", "$__range": "5m"}
"""What Grafana would put into a query; the times are longer than all traffic."""


def filled(query: str, **more: str) -> str:
    """A dashboard's query as Prometheus takes it; `more` are other values of Grafana's own variables."""
    for variable, value in (VARIABLES | {f"$__{name}": value for name, value in more.items()}).items():
        query = query.replace(variable, value)
    return query


@dataclass(frozen=True)
class Watched:
    """A system after its traffic, with all that Prometheus remembers of it."""

    system: System
    prometheus: Prometheus
    begin: float
    """When traffic began, in Unix time."""
    end: float
    """When it had ended, and all its numbers had been scraped."""


@dataclass(frozen=True)
class Traffic:
    """How much happens."""

    players: int = 12
    markets: int = 5
    bets: int = 90
    seasons: int = 1
    """For each version."""
    reviews: int = 4
    """Withdrawals that hold the old version, and are decided one by one."""


@contextmanager
def watched(folder: Path, traffic: Traffic) -> Iterator[Watched]:
    """Play on v1, ship v2 while withdrawals hold v1, play on v2, and let v1 drain."""
    base = free_port_base()
    with ExitStack() as stack:
        system = stack.enter_context(running(folder / "system", SETTINGS, ["--edge"], base))
        v2 = _Version("v2", base + 1_081, base + 1_096)
        loop, port = base + 1_100, base + 1_091
        targets = (
            Target("betting-service", system.ports.metrics, "v1"),
            Target("betting-service", v2.metrics, "v2"),
            Target("betting-release", loop),
            Target("betting-books", system.ports.books),
            Target("betting-restate", system.ports.node),
            Target("betting-edge", system.ports.edge_metrics, path="/stats/prometheus"),
        )
        uris = {"v1": f"http://{HOST}:{system.ports.service}/", "v2": f"http://{HOST}:{v2.port}/"}
        prometheus = stack.enter_context(scraping(folder / "prometheus", port, targets, NAMESPACE))
        arguments = [system.admin, str(loop), "v2", *(f"{key}={uri}" for key, uri in uris.items())]
        stack.enter_context(_beside(folder / "loop", ["-m", "tests.observability.release_loop", *arguments]))
        stack.enter_context(_beside(folder / "v2", ["-m", "app", "serve"], v2.settings() | system.outside()))

        begin = time.time()
        _play_two_versions(system, prometheus, uris["v2"], traffic)
        yield Watched(system, prometheus, begin, system.eventually(lambda: _all_up(prometheus, len(targets))))


def _all_up(prometheus: Prometheus, targets: int) -> float:
    """A time, if the last scrape of every target before it was answered: else numbers are stale then. Otherwise 0.

    What Prometheus says of a scrape has the time at which it began, so it is asked when each target has a later one.
    """
    end = time.time()
    eventually(lambda: _scraped_after(prometheus, end) == targets)
    return end if len(prometheus.at("up == 1", end)) == targets else 0


def _scraped_after(prometheus: Prometheus, when: float) -> int:
    """How many targets have a scrape that began later."""
    return sum(float(target["value"][1]) > when for target in prometheus.at("timestamp(up)"))


@dataclass(frozen=True)
class _Version:
    """A version beside the one that `betting dev` runs."""

    key: str
    port: int
    metrics: int

    def settings(self) -> dict[str, str]:
        return SETTINGS | {
            "BETTING_VERSION": self.key,
            "BETTING_PORT": str(self.port),
            "BETTING_METRICS_PORT": str(self.metrics),
        }


def _play_two_versions(system: System, prometheus: Prometheus, v2: str, traffic: Traffic) -> None:
    _scraped(system, prometheus, 'up{job="betting-service"} == 1', 2)
    _season(system, traffic)
    waiting = [_in_review(system) for _ in range(traffic.reviews)]
    _unknown_deposit(system)
    with RestateAdmin(system.admin) as admin:
        system.eventually(lambda: httpx.get(f"{v2}health", trust_env=False).is_success)
        admin.register(v2, again=False)
    _season(system, traffic)
    draining = 'betting_release_verdict{version="v1",verdict="draining"} == 1'
    _scraped(system, prometheus, draining, 1)
    for number, withdrawal in enumerate(waiting[1:], 2):
        _scraped(system, prometheus, f"{_HELD} == {len(waiting) + 2 - number}", 1)
        system.call("WithdrawalWorkflow", "approve", {"operator": "olga"}, key=withdrawal).raise_for_status()
    _scraped(system, prometheus, f"{_HELD} == 1", 1)
    # On a busy machine the bookkeeper rests long between looks.
    _scraped(system, prometheus, "betting_deposits_unknown_oldest_timestamp_seconds", 1)


_HELD = 'sum(betting_release_in_flight_by_service{version="v1",service="WithdrawalWorkflow"})'


def _season(system: System, traffic: Traffic) -> None:
    for _ in range(traffic.seasons):
        options = [f"--{name}={getattr(traffic, name)}" for name in ("players", "markets", "bets")]
        options += ["--clients=4", f"--ingress={system.ingress}", f"--sandbox={system.sandbox}", "--output=json"]
        command = [sys.executable, "-m", "app", "simulate", *options]
        done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _deposit(system: System, method: str, amount: int) -> dict[str, str]:
    player = {"walletId": "main", "userId": f"u-{uuid4().hex}"}
    asked = {**player, "email": "player@example.com", "amount": amount, "paymentMethod": method}
    system.call("PaymentService", "deposit", asked).raise_for_status()
    return player


def _in_review(system: System) -> str:
    """A withdrawal that waits for an operator."""
    player = _deposit(system, "creditCard", 10_000)
    withdrawal = f"w-{uuid4().hex}"
    asked = {**player, "amount": REVIEWED_FROM, "destination": "bank", "withdrawalId": withdrawal}
    system.call("PaymentService", "withdraw", asked).raise_for_status()
    return withdrawal


def _unknown_deposit(system: System) -> None:
    """A deposit whose charge the provider has never answered."""
    _deposit(system, "timeoutLost", 100)


def _scraped(system: System, prometheus: Prometheus, query: str, series: int) -> None:
    """Wait until Prometheus has seen it."""
    system.eventually(lambda: len(prometheus.at(query)) >= series)


@contextmanager
def _beside(output: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A Python process of ours, which ends with us."""
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=clean_environment() | dict(environment or {}),
            stdout=stream,
            stderr=stream,
            preexec_fn=tether(),
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()
