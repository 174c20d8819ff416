"""Prometheus metrics of the release loop's last observation."""

from collections.abc import Iterable, Mapping

from prometheus_client import Gauge

from app.release.notebook import Noted, TakenBack
from app.release.plan import Plan, Standing, Verdict
from app.release.watching import Outcome

ROUND = Gauge("betting_release_round_timestamp_seconds", "Time of the last complete round, in Unix seconds")
VERDICT = Gauge("betting_release_verdict", "1 for the verdict on a version", ["version", "verdict"])
PODS = Gauge("betting_release_available_pods", "Pods of a version that are ready", ["version"])
IN_FLIGHT = Gauge("betting_release_in_flight", "Unfinished invocations that need a version", ["version", "status"])
BY_SERVICE = Gauge(
    "betting_release_in_flight_by_service",
    "Unfinished invocations that need a version, by service",
    ["version", "service", "status"],
)
PAUSED = Gauge("betting_release_paused", "Invocations of a version that used up their retries", ["version"])
BACKING_OFF = Gauge(
    "betting_release_backing_off", "Invocations of a version that failed and will be retried", ["version"]
)
OLDEST = Gauge(
    "betting_release_oldest_timestamp_seconds",
    "Creation time of the oldest unfinished invocation, in Unix seconds",
    ["version"],
)
ROUTED = Gauge("betting_release_routed", "Services whose new work is routed to a version", ["version"])
STRAYED = Gauge(
    "betting_release_strayed", "What a version runs otherwise than when it went live: image, settings", ["version"]
)
ORPHANS = Gauge("betting_release_orphans", "Unfinished invocations that began on a version that is not there")
WATCHING = Gauge("betting_release_watching", "1 while a version that has just gone live is watched", ["version"])
TAKEN_BACK = Gauge(
    "betting_release_taken_back", "Versions taken back: 1 if the values still name it current, else 0", ["version"]
)
TAKEN_BACK_AT = Gauge(
    "betting_release_taken_back_timestamp_seconds", "When a version was taken back, in Unix seconds", ["version"]
)

_PER_VERSION: Iterable[Gauge] = (VERDICT, PODS, IN_FLIGHT, BY_SERVICE, PAUSED, BACKING_OFF, OLDEST, ROUTED, STRAYED)


def show(made: Plan) -> None:
    """Replace the previous observation. Versions that no longer exist lose their series."""
    for gauge in _PER_VERSION:
        gauge.clear()
    for standing in made.standings:
        name = standing.version.name
        for verdict in Verdict:
            VERDICT.labels(name, verdict).set(verdict is standing.verdict)
        PODS.labels(name).set(standing.version.available)
        STRAYED.labels(name).set(len(standing.version.strayed))
        if standing.verdict is not Verdict.UNKNOWN:
            _show_work(name, standing)
    if all(standing.verdict is not Verdict.UNKNOWN for standing in made.standings):
        ORPHANS.set(made.orphans)
        ROUND.set_to_current_time()


def show_watch(noted: Noted, taken_back: Mapping[str, TakenBack], current: str) -> None:
    """Replace what was shown of the watch."""
    for gauge in (WATCHING, TAKEN_BACK, TAKEN_BACK_AT):
        gauge.clear()
    if noted.live:
        WATCHING.labels(noted.live).set(noted.outcome is Outcome.WATCHING)
    for key, taken in taken_back.items():
        TAKEN_BACK.labels(key).set(key == current)
        TAKEN_BACK_AT.labels(key).set(taken.at)


def _show_work(name: str, standing: Standing) -> None:
    for status, count in standing.in_flight.items():
        IN_FLIGHT.labels(name, status).set(count)
    for work in standing.work:
        BY_SERVICE.labels(name, work.service, work.status).inc(work.count)
    PAUSED.labels(name).set(standing.in_flight["paused"])
    BACKING_OFF.labels(name).set(sum(work.count for work in standing.retrying))
    ROUTED.labels(name).set(len(standing.routes))
    if standing.oldest:
        OLDEST.labels(name).set(standing.oldest.timestamp())
