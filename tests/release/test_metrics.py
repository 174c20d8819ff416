"""What Prometheus sees of a release."""

from dataclasses import replace

from prometheus_client import REGISTRY

from app.release import metrics
from app.release.plan import Observed, plan
from tests.release.test_plan import ON_V2, V1, V2, work


def seen(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"betting_release_{name}", labels)


def test_verdicts_pods_and_work_are_exported_and_versions_that_went_are_not() -> None:
    metrics.show(plan(Observed((V1, V2), "v2", replace(ON_V2, work=(work("v1"),)))))

    assert seen("verdict", version="v1", verdict="draining") == 1
    assert seen("verdict", version="v1", verdict="live") == 0
    assert seen("in_flight", version="v1", status="suspended") == 1
    assert seen("available_pods", version="v2") == 2

    metrics.show(plan(Observed((V2,), "v2", ON_V2)))

    assert seen("verdict", version="v1", verdict="draining") is None


def test_a_round_that_saw_not_everything_does_not_count() -> None:
    metrics.show(plan(Observed((V2,), "v2", ON_V2)))
    before = seen("round_timestamp_seconds")

    metrics.show(plan(Observed((V2,), "v2", None)))

    assert seen("round_timestamp_seconds") == before
