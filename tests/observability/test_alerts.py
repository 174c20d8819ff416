"""Each alert wakes somebody when it should, and not otherwise, and says what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.observability.prometheus import program
from tests.observability.rules import ALL, ROOT, RUNBOOKS, Alert, rule_file

TESTS = Path(__file__).parent / "alerts"
FACTS: dict[str, str | int] = {
    "namespace": "shop",
    "runbooks": "docs/runbooks",
    "restate_storage_bytes": 10 * 2**30,
    "restate_snapshot_records": 10_000,
    "restate_nodes": 3,
}
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
every_alert = pytest.mark.parametrize("alert", ALL, ids=lambda alert: alert.name)


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> dict[str, Any]:
    return rule_file(**FACTS)  # type: ignore[arg-type]


def test_prometheus_takes_all_rules(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rules()))

    promtool("check", "rules", "--lint=all", "--lint-fatal", file)


@every_alert
def test_an_alert_fires_when_it_should_and_only_then(alert: Alert, tmp_path: Path) -> None:
    found = rules()
    for rule in found["groups"][0]["rules"]:
        # promtool compares all annotations that there are; of these the summary tells which labels are filled in.
        rule["annotations"] = {"summary": rule["annotations"]["summary"]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(found))
    file = shutil.copy(TESTS / f"{alert.name}.test.yaml", tmp_path)

    promtool("test", "rules", file)


@every_alert
def test_both_is_tested(alert: Alert) -> None:
    tests = yaml.safe_load((TESTS / f"{alert.name}.test.yaml").read_text())["tests"]

    checks = [check for test in tests for check in test["alert_rule_test"]]
    assert {check["alertname"] for check in checks} == {alert.name}
    assert {bool(check["exp_alerts"]) for check in checks} == {True, False}


def test_only_alerts_are_tested() -> None:
    assert {file.name for file in TESTS.iterdir()} == {f"{alert.name}.test.yaml" for alert in ALL}


@every_alert
def test_an_alert_says_how_bad_it_is_and_what_to_read(alert: Alert) -> None:
    rule = alert.rule(**FACTS)

    assert rule["alert"] == alert.name
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{alert.name}.md"
    assert "$" not in re.sub(r"\{\{.*?\}\}", "", yaml.safe_dump(rule), flags=re.DOTALL), "the chart knows no such fact"


@every_alert
def test_an_alert_is_about_one_release(alert: Alert) -> None:
    assert 'namespace="shop"' in (expr := alert.rule(**FACTS)["expr"])
    assert expr.count("{") == expr.count('namespace="shop"')


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {file.name for file in RUNBOOKS.iterdir()} == {f"{alert.name}.md" for alert in ALL}


@every_alert
def test_a_runbook_leads_from_the_meaning_to_the_cure_with_exact_commands(alert: Alert) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text()

    assert re.findall(r"^# (.+)$", text, re.MULTILINE)[0] == alert.name
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    diagnosis = text.split("## Diagnosis")[1].split("## Mitigation")[0]
    assert re.search(r"^    (kubectl|curl) ", diagnosis, re.MULTILINE)


@every_alert
def test_links_of_a_runbook_lead_somewhere(alert: Alert) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (RUNBOOKS / f"{alert.name}.md").read_text()):
        assert (RUNBOOKS / link).resolve().is_file(), link


def test_the_list_of_alerts_is_complete_and_tells_how_bad_each_is() -> None:
    text = (ROOT / "docs" / "observability.md").read_text()

    listed = re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \| (\w+) \|", text, re.MULTILINE)
    assert sorted(listed) == [(alert.name, alert.rule(**FACTS)["labels"]["severity"]) for alert in ALL]
