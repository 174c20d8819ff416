"""What Prometheus sees of a release."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry

from app.release.metrics import EXPORTED, Exported
from app.release.notebook import Noted, TakenBack
from app.release.plan import Observed, Restate, Standing, plan
from app.release.watching import Outcome
from tests.release.plans import BOTH, ON_V2, V1, V2, routed_to, work


def seen(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"betting_release_{name}", labels)


def test_verdicts_pods_and_work_are_exported_and_versions_that_went_are_not() -> None:
    EXPORTED.show(plan(Observed((V1, V2), "v2", replace(ON_V2, work=(work("v1"),)))))

    assert seen("verdict", version="v1", verdict="draining") == 1
    assert seen("verdict", version="v1", verdict="live") == 0
    assert seen("in_flight", version="v1", status="suspended") == 1
    assert seen("available_pods", version="v2") == 2

    EXPORTED.show(plan(Observed((V2,), "v2", Restate(BOTH[1:], routed_to("v2")))))

    assert seen("verdict", version="v1", verdict="draining") is None


def test_work_is_counted_by_service_over_all_deployments_that_need_a_version() -> None:
    pinned, queued = work("v2"), replace(work(None), count=2)
    both = replace(ON_V2, work=(pinned, queued, work("v2", service="Payment"), work("v2", status="paused")))

    EXPORTED.show(plan(Observed((V1, V2), "v2", both)))

    assert seen("in_flight_by_service", version="v2", service="Player", status="suspended") == 3
    assert seen("in_flight_by_service", version="v2", service="Payment", status="suspended") == 1
    assert seen("paused", version="v2") == 1
    assert seen("paused", version="v1") == 0

    EXPORTED.show(plan(Observed((V1, V2), "v2", both)))

    assert seen("in_flight_by_service", version="v2", service="Player", status="suspended") == 3


def test_work_that_waits_for_another_attempt_counts_for_its_version() -> None:
    retrying = work("v1", status="backing-off")

    EXPORTED.show(plan(Observed((V1, V2), "v2", replace(ON_V2, work=(work("v1"),), retrying=(retrying,)))))

    assert (seen("backing_off", version="v1"), seen("backing_off", version="v2")) == (1, 0)


def test_the_services_routed_to_a_version_are_counted() -> None:
    EXPORTED.show(plan(Observed((V1, V2), "v2", replace(ON_V2, routes={"Player": "dp_v2", "Payment": "dp_v1"}))))

    assert (seen("routed", version="v1"), seen("routed", version="v2")) == (1, 1)


def test_work_that_began_on_a_version_that_is_not_there_is_an_orphan() -> None:
    EXPORTED.show(plan(Observed((V2,), "v2", replace(ON_V2, work=(work("v1"), work("v2"), work("gone"), work(None))))))

    assert seen("orphans") == 2


def test_a_version_whose_deployment_is_gone_is_shown_as_missing_and_its_work_has_nobody() -> None:
    EXPORTED.show(plan(Observed((V1,), "v2", replace(ON_V2, work=(work("v2"),)))))

    assert (seen("verdict", version="v2", verdict="missing"), seen("orphans")) == (1, 1)


def test_what_a_version_runs_otherwise_than_it_went_live_is_counted_also_while_restate_is_silent() -> None:
    strayed = replace(V1, known_image="betting:other", settings={"BETTING_REVIEW_THRESHOLD": "6000"})

    EXPORTED.show(plan(Observed((strayed, V2), "v2", None)))

    assert (seen("strayed", version="v1"), seen("strayed", version="v2")) == (2, 0)


def test_a_round_that_saw_not_everything_does_not_count() -> None:
    EXPORTED.show(plan(Observed((V2,), "v2", replace(ON_V2, work=(work("gone"),)))))
    before = seen("round_timestamp_seconds")

    EXPORTED.show(plan(Observed((V2,), "v2", None)))

    assert seen("round_timestamp_seconds") == before
    assert (seen("orphans"), seen("routed", version="v2"), seen("backing_off", version="v2")) == (1, None, None)


def test_a_watch_and_the_versions_that_it_took_back_are_exported() -> None:
    taken = {"v2": TakenBack(1_000, "it failed", "v1"), "v3": TakenBack(2_000, "it was slow", "v1")}

    EXPORTED.show_watch(Noted(live="v4", outcome=Outcome.WATCHING), taken, current="v3")

    assert seen("watching", version="v4") == 1
    assert (seen("taken_back", version="v2"), seen("taken_back", version="v3")) == (0, 1)
    assert seen("taken_back_timestamp_seconds", version="v2") == 1_000

    EXPORTED.show_watch(Noted(live="v1"), {}, current="v1")

    assert (seen("watching", version="v4"), seen("watching", version="v1")) == (None, 0)
    assert seen("taken_back", version="v3") is None


class Scraped(tuple[Standing, ...]):
    """Versions of a plan; whoever goes through them is interrupted after each by a scrape."""

    scrape: Any = None

    def __iter__(self) -> Iterator[Standing]:
        for standing in super().__iter__():
            yield standing
            if self.scrape is not None:
                self.scrape()


def test_a_scrape_while_a_round_is_shown_sees_all_numbers_of_the_one_before() -> None:
    registry, exported = CollectorRegistry(), Exported()
    registry.register(exported)
    exported.show(plan(Observed((V1, V2), "v2", replace(ON_V2, work=(work("v1"),)))))
    scrapes: list[dict[str, int]] = []

    def scrape() -> None:
        scrapes.append({family.name: len(family.samples) for family in registry.collect()})

    scrape()
    made = plan(Observed((V1, V2), "v2", replace(ON_V2, work=(work("v1"),))))
    standings = Scraped(made.standings)
    standings.scrape = scrape
    exported.show(replace(made, standings=standings))
    standings.scrape = None
    scrape()

    assert len(scrapes) > 2, "none came in between"
    assert all(each == scrapes[0] for each in scrapes), scrapes
    assert scrapes[0]["betting_release_available_pods"] == 2


def test_a_scrape_that_has_begun_ends_with_the_numbers_of_the_same_round() -> None:
    exported = Exported()
    exported.show(plan(Observed((V1, V2), "v2", replace(ON_V2, work=(work("v1"),)))))
    scrape = exported.collect()
    next(scrape)

    exported.show(plan(Observed((V2,), "v2", Restate(BOTH[1:], routed_to("v2")))))

    pods = next(family for family in scrape if family.name == "betting_release_available_pods")
    assert [sample.labels["version"] for sample in pods.samples] == ["v1", "v2"]


def test_before_the_first_round_there_is_no_version_and_no_round() -> None:
    samples = {sample.name: sample.value for family in Exported().collect() for sample in family.samples}
    assert samples == {"betting_release_round_timestamp_seconds": 0, "betting_release_orphans": 0}


def test_every_number_is_documented_with_its_labels() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(betting_release_\w+)` \| gauge \|([^|]*)\|", text, re.MULTILINE)
    gauges = Exported().collect()

    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert documented == {known.name: set(known._labelnames) for known in gauges}
