"""Prometheus metrics of the release loop's last observation."""

from collections.abc import Iterable

from prometheus_client import Gauge

from app.release.plan import Plan, Standing, Verdict

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
ORPHANS = Gauge("betting_release_orphans", "Unfinished invocations that began on a version that is not there")

_PER_VERSION: Iterable[Gauge] = (VERDICT, PODS, IN_FLIGHT, BY_SERVICE, PAUSED, BACKING_OFF, OLDEST, ROUTED)


def show(made: Plan) -> None:
    """Replace the previous observation. Versions that no longer exist lose their series."""
    for gauge in _PER_VERSION:
        gauge.clear()
    for standing in made.standings:
        name = standing.version.name
        for verdict in Verdict:
            VERDICT.labels(name, verdict).set(verdict is standing.verdict)
        PODS.labels(name).set(standing.version.available)
        if standing.verdict is not Verdict.UNKNOWN:
            _show_work(name, standing)
    if all(standing.verdict is not Verdict.UNKNOWN for standing in made.standings):
        ORPHANS.set(made.orphans)
        ROUND.set_to_current_time()


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
