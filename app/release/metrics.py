"""What the release loop sees, for Prometheus."""

from collections.abc import Iterable

from prometheus_client import Gauge

from app.release.plan import Plan, Verdict

ROUND = Gauge("betting_release_round_timestamp_seconds", "When the release loop last saw everything")
VERDICT = Gauge("betting_release_verdict", "1 for the verdict on a version", ["version", "verdict"])
PODS = Gauge("betting_release_available_pods", "Pods of a version that are ready", ["version"])
IN_FLIGHT = Gauge("betting_release_in_flight", "Unfinished invocations that need a version", ["version", "status"])
OLDEST = Gauge("betting_release_oldest_timestamp_seconds", "When the oldest of them was made", ["version"])

_PER_VERSION: Iterable[Gauge] = (VERDICT, PODS, IN_FLIGHT, OLDEST)


def show(made: Plan) -> None:
    """Replace what was seen before; versions that went leave no trace."""
    for gauge in _PER_VERSION:
        gauge.clear()
    for standing in made.standings:
        name = standing.version.name
        for verdict in Verdict:
            VERDICT.labels(name, verdict).set(verdict is standing.verdict)
        PODS.labels(name).set(standing.version.available)
        for status, count in standing.in_flight.items():
            IN_FLIGHT.labels(name, status).set(count)
        if standing.oldest:
            OLDEST.labels(name).set(standing.oldest.timestamp())
    if all(standing.verdict is not Verdict.UNKNOWN for standing in made.standings):
        ROUND.set_to_current_time()
