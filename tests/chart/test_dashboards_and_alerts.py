"""Dashboards and alerts as the chart brings them into a cluster."""

import json
from typing import Any

import pytest
from helm_python import HelmError

from tests.chart.rendered import CHART, Object, helm, render
from tests.observability.rules import rule_file

DASHBOARDS = "--set=monitoring.dashboards=true"
RULES = "--set=monitoring.rules=true"


def of_kind(kind: str, *arguments: str) -> list[Object]:
    return [found for found in render(*arguments) if found["kind"] == kind]


def dashboards(*arguments: str) -> list[Object]:
    return [found for found in of_kind("ConfigMap", *arguments) if "grafana_dashboard" in found["metadata"]["labels"]]


def test_nothing_of_it_is_there_unless_asked_for() -> None:
    assert not dashboards()
    assert not of_kind("PrometheusRule")


def test_every_dashboard_reaches_grafanas_sidecar_as_it_was_made() -> None:
    found: dict[str, Any] = {}
    for config in dashboards(DASHBOARDS):
        assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
        found |= {name.removeprefix("betting-"): json.loads(text) for name, text in config["data"].items()}

    assert found == {file.name: json.loads(file.read_text()) for file in (CHART / "files" / "dashboards").iterdir()}


def test_files_of_two_releases_do_not_meet_in_grafanas_folder() -> None:
    names = [name for config in dashboards(DASHBOARDS) for name in config["data"]]

    assert names
    assert all(name.startswith("betting-") for name in names)


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [
        ("10Gi", 10 * 2**30),
        ("1.5Gi", 3 * 2**29),
        ("0.3Gi", 322_122_548),
        ("500M", 500 * 10**6),
        ("2147483648", 2**31),
        ("5000000000m", 5 * 10**6),
        ("16Ti", 2**44),
    ],
)
def test_alerts_are_about_this_release_and_its_volume(size: str, size_bytes: int) -> None:
    runbooks = "https://example.com/runbooks"

    [rules] = of_kind("PrometheusRule", RULES, f"--set=restate.storage.size={size},monitoring.runbooks={runbooks}")

    assert rules["spec"] == rule_file(namespace="shop", runbooks=runbooks, restate_storage_bytes=size_bytes)


@pytest.mark.parametrize(("destination", "records"), [("s3://a/b", 20_000), ("", "Inf")])
def test_an_alert_knows_after_how_many_records_a_snapshot_is_due_where_there_are_any(
    destination: str, records: int | str
) -> None:
    store = f"--set=restate.snapshots.everyRecords=20000,restate.snapshots.destination={destination}"
    runbooks = "https://example.com/runbooks"

    [rules] = of_kind("PrometheusRule", RULES, store, f"--set=monitoring.runbooks={runbooks}")

    assert rules["spec"] == rule_file("shop", runbooks, 10 * 2**30, records)


def test_an_alert_knows_how_many_nodes_restate_is_to_have() -> None:
    three = "--set=restate.replicas=3,restate.snapshots.destination=s3://a/b,monitoring.runbooks=https://example.com/runbooks"

    [rules] = of_kind("PrometheusRule", RULES, three)

    assert rules["spec"] == rule_file("shop", "https://example.com/runbooks", 10 * 2**30, 10_000, 3)


@pytest.mark.parametrize(("part", "alert"), [("edge", "BettingDoorDown"), ("books", "BettingBookkeeperDown")])
def test_nobody_is_told_that_a_part_is_away_that_was_left_out(part: str, alert: str) -> None:
    runbooks = "https://example.com/runbooks"

    [rules] = of_kind("PrometheusRule", RULES, f"--set={part}.enabled=false,monitoring.runbooks={runbooks}")

    assert rules["spec"] == rule_file("shop", runbooks, 10 * 2**30, without=frozenset({part}))
    assert alert not in {rule["alert"] for rule in rules["spec"]["groups"][0]["rules"]}


def test_alerts_carry_the_labels_by_which_prometheus_chooses_them() -> None:
    [rules] = of_kind("PrometheusRule", RULES, "--set=monitoring.labels.release=prometheus")

    assert rules["metadata"]["labels"]["release"] == "prometheus"


def test_a_place_of_runbooks_needs_no_slash_at_its_end() -> None:
    with pytest.raises(HelmError, match="at '/monitoring/runbooks'"):
        helm(RULES, "--set=monitoring.runbooks=https://example.com/")
