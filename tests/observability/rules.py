"""The alerts, as the chart makes them into rules."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "betting" / "files" / "alerts"
RUNBOOKS = ROOT / "docs" / "runbooks"


@dataclass(frozen=True)
class Alert:
    """One file."""

    name: str
    text: str

    def rule(self, **facts: str | int) -> dict[str, Any]:
        """The rule, with what the chart knows put in."""
        text = self.text
        for name, value in facts.items():
            text = text.replace(f"${name}", str(value))
        rule: dict[str, Any] = yaml.safe_load(text)
        return rule

    @property
    def part(self) -> str:
        """The part of a release without which there is no such alert; empty if it is about what is always there."""
        return "".join(re.findall(r"^# only with: ([a-z]+)$", self.text, re.MULTILINE))

    @property
    def empty(self) -> dict[str, str]:
        """The beginnings of metrics that a system where all is well does not export, and why."""
        return dict(re.findall(r"^# empty: (\S+) (.+)$", self.text, re.MULTILINE))


ALL = tuple(Alert(file.stem, file.read_text()) for file in sorted(FILES.iterdir()))


def rule_file(
    namespace: str,
    runbooks: str,
    restate_storage_bytes: int,
    restate_snapshot_records: int | str = "Inf",
    restate_nodes: int = 1,
    without: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """What Prometheus loads."""
    facts: dict[str, str | int] = {
        "namespace": namespace,
        "runbooks": runbooks,
        "restate_storage_bytes": restate_storage_bytes,
        "restate_snapshot_records": restate_snapshot_records,
        "restate_nodes": restate_nodes,
    }
    rules = [alert.rule(**facts) for alert in ALL if alert.part not in without]
    return {"groups": [{"name": "betting", "rules": rules}]}
