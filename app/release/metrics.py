"""Prometheus metrics of the release loop's last observation: all numbers of it at once, and none of the one before."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.release.notebook import Noted, TakenBack
from app.release.plan import Plan, Standing, Verdict
from app.release.watching import Outcome


@dataclass(frozen=True)
class Seen:
    """The last observation, and how the watch stood."""

    standings: tuple[Standing, ...] = ()
    orphans: int = 0
    """Of the last complete round, as `round_at` is."""
    round_at: float = 0.0
    noted: Noted = field(default_factory=Noted)
    taken_back: Mapping[str, TakenBack] = field(default_factory=dict)
    current: str = ""


class Exported(Collector):
    """What was seen last, as one value: a scrape comes from another thread, at any moment."""

    def __init__(self) -> None:
        """Export that nothing has been seen yet."""
        self._seen = Seen()

    def show(self, made: Plan) -> None:
        """Replace the previous observation. Versions that no longer exist lose their series."""
        seen = replace(self._seen, standings=made.standings)
        if all(standing.verdict is not Verdict.UNKNOWN for standing in made.standings):
            seen = replace(seen, orphans=made.orphans, round_at=time.time())
        self._seen = seen

    def show_watch(self, noted: Noted, taken_back: Mapping[str, TakenBack], current: str) -> None:
        """Replace what was shown of the watch."""
        self._seen = replace(self._seen, noted=noted, taken_back=dict(taken_back), current=current)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every series of what was seen last, also if something else is seen before all are read."""
        seen = self._seen
        yield GaugeMetricFamily(
            "betting_release_round_timestamp_seconds",
            "Time of the last complete round, in Unix seconds",
            value=seen.round_at,
        )
        yield from _versions(seen.standings)
        yield from _work([known for known in seen.standings if known.verdict is not Verdict.UNKNOWN])
        yield GaugeMetricFamily(
            "betting_release_orphans",
            "Unfinished invocations that began on a version that is not there",
            value=seen.orphans,
        )
        yield from _watch(seen)


def _versions(standings: Iterable[Standing]) -> Iterator[GaugeMetricFamily]:
    verdicts = _family("verdict", "1 for the verdict on a version", "verdict")
    pods = _family("available_pods", "Pods of a version that are ready")
    strayed = _family("strayed", "What a version runs otherwise than when it went live: image, settings")
    for standing in standings:
        name = standing.version.name
        for verdict in Verdict:
            verdicts.add_metric([name, verdict], verdict is standing.verdict)
        pods.add_metric([name], standing.version.available)
        strayed.add_metric([name], len(standing.version.strayed))
    yield from (verdicts, pods, strayed)


def _work(standings: Iterable[Standing]) -> Iterator[GaugeMetricFamily]:
    in_flight = _family("in_flight", "Unfinished invocations that need a version", "status")
    by_service = _family(
        "in_flight_by_service", "Unfinished invocations that need a version, by service", "service", "status"
    )
    paused = _family("paused", "Invocations of a version that used up their retries")
    backing_off = _family("backing_off", "Invocations of a version that failed and will be retried")
    oldest = _family("oldest_timestamp_seconds", "Creation time of the oldest unfinished invocation, in Unix seconds")
    routed = _family("routed", "Services whose new work is routed to a version")
    for standing in standings:
        name, counts = standing.version.name, standing.in_flight
        for status, count in counts.items():
            in_flight.add_metric([name, status], count)
        for (service, status), count in _by_service(standing).items():
            by_service.add_metric([name, service, status], count)
        paused.add_metric([name], counts["paused"])
        backing_off.add_metric([name], sum(work.count for work in standing.retrying))
        routed.add_metric([name], len(standing.routes))
        if standing.oldest:
            oldest.add_metric([name], standing.oldest.timestamp())
    yield from (in_flight, by_service, paused, backing_off, oldest, routed)


def _by_service(standing: Standing) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for work in standing.work:
        total[work.service, work.status] += work.count
    return total


def _watch(seen: Seen) -> Iterator[GaugeMetricFamily]:
    watching = _family("watching", "1 while a version that has just gone live is watched")
    taken_back = _family("taken_back", "Versions taken back: 1 if the values still name it current, else 0")
    at = _family("taken_back_timestamp_seconds", "When a version was taken back, in Unix seconds")
    if seen.noted.live:
        watching.add_metric([seen.noted.live], seen.noted.outcome is Outcome.WATCHING)
    for key, taken in seen.taken_back.items():
        taken_back.add_metric([key], key == seen.current)
        at.add_metric([key], taken.at)
    yield from (watching, taken_back, at)


def _family(name: str, what: str, *labels: str) -> GaugeMetricFamily:
    """Numbers of each version."""
    return GaugeMetricFamily(f"betting_release_{name}", what, labels=["version", *labels])


EXPORTED = Exported()
REGISTRY.register(EXPORTED)  # which collects at once
