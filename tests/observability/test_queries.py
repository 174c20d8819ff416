"""What dashboards and alerts ask of Prometheus is there: on a real system of two versions, after some traffic."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from k8s.observability.dashboards import boards
from k8s.observability.dashboards.model import Query
from tests.observability.promql import metric, selectors
from tests.observability.rules import ALL, Alert
from tests.observability.watched import NAMESPACE, Traffic, Watched, filled, watched

METRICS = Path(__file__).parents[2] / "docs" / "metrics.md"
FACTS: dict[str, str | int] = {
    "namespace": NAMESPACE,
    "runbooks": "docs/runbooks",
    "restate_storage_bytes": 10 * 2**30,
    "restate_snapshot_records": "Inf",
    "restate_nodes": 1,
}
PARTS = ("_total", "_bucket", "_sum", "_count")
"""What an exporter adds to the name of a counter, histogram or summary."""

QUERIES = {
    f"{board.name}: {panel.title}: {query.legend or 'value'}": query
    for board in boards.ALL
    for panel in board.panels()
    for query in panel.queries
}
PLAYED = {"BettingProviderFailing"}
"""What a season plays: a provider that often does not answer."""

every_alert = pytest.mark.parametrize("alert", ALL, ids=lambda alert: alert.name)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("watched"), Traffic()) as seen:
        yield seen


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_panels_query_brings_series_unless_its_panel_says_why_not(system: Watched, query: Query) -> None:
    series = system.prometheus.at(filled(query.expr), system.end)

    assert series or query.empty


@every_alert
def test_an_alert_watches_what_is_there_unless_its_file_says_why_not(system: Watched, alert: Alert) -> None:
    expression = alert.rule(**FACTS)["expr"]

    system.prometheus.at(expression, system.end)
    for selector in selectors(expression):
        series = system.prometheus.at(selector, system.end)
        assert series or any(metric(selector).startswith(beginning) for beginning in alert.empty), selector


@pytest.mark.parametrize("alert", [alert for alert in ALL if alert.name not in PLAYED], ids=lambda alert: alert.name)
def test_a_system_where_all_is_well_wakes_nobody(system: Watched, alert: Alert) -> None:
    expression = alert.rule(**FACTS)["expr"]

    system.system.eventually(lambda: not system.prometheus.at(expression))


def test_every_metric_that_is_asked_for_is_exported(system: Watched) -> None:
    exported = {family(name) for name in system.prometheus.series_names() | system.prometheus.metrics().keys()}
    sure = {query.expr for query in QUERIES.values() if not query.empty}
    unsure = {query.expr for query in QUERIES.values() if query.empty}
    alerts = {alert.rule(**FACTS)["expr"] for alert in ALL}
    elsewhere = tuple(beginning for alert in ALL for beginning in alert.empty)

    assert {name for name in asked_of(sure | alerts) if not name.startswith(elsewhere)} <= exported
    assert asked_of(unsure) <= exported | documented()


def asked_of(expressions: Iterable[str]) -> set[str]:
    return {family(metric(selector)) for expression in expressions for selector in selectors(expression)}


def test_every_exported_metric_of_ours_is_documented(system: Watched) -> None:
    exported = {family(name) for name in system.prometheus.metrics() if name.startswith("betting_")}

    assert exported
    assert exported <= documented()


def documented() -> set[str]:
    """The metrics in the tables of the page."""
    return {family(name) for name in re.findall(r"^\| `(\w+)", METRICS.read_text(), re.MULTILINE)}


def family(name: str) -> str:
    """A metric's name without what exporters add to it."""
    for part in PARTS:
        name = name.removesuffix(part)
    return name
