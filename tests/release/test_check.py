"""`release check`: what it prints, and how it ends."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.release import gatekeeper
from app.release.cli import main
from app.release.gates.findings import Checked, Finding, Gate, Outcome
from app.release.plan import Observed, Plan, plan
from tests.release.plans import ON_V2, V1, V2

PASSED = Checked(Gate.BOOKS, Outcome.PASSED)
FAILED = Checked(Gate.CONTRACT, Outcome.FAILED, (Finding("Market/get", "handler removed"),))


class Release:
    """A release that stays as it is."""

    cluster: Any = None
    restate: Any = None

    def plan(self) -> Plan:
        return plan(Observed((V1, V2), "v2", ON_V2))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the gates were asked; they answer as the version's name says."""
    calls: list[tuple[Any, ...]] = []

    def ask(cluster: Any, restate: Any, version: Any, chosen: Any, patience: float) -> tuple[Checked, ...]:
        calls.append((version.name, chosen, patience))
        return (PASSED, FAILED) if version.name == "v1" else (PASSED,)

    monkeypatch.setattr(gatekeeper, "ask", ask)
    return calls


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main.commands["check"], list(arguments), obj=Release)


def test_each_gate_can_be_asked_alone_by_its_name(asked: list[tuple[Any, ...]]) -> None:
    for gate in Gate:
        assert check("v2", f"--gate={gate}", "--patience=0").exit_code == 0

    assert asked == [("v2", (gate,), 0.0) for gate in Gate]


def test_what_does_not_pass_is_told_and_fails(asked: list[tuple[Any, ...]]) -> None:
    told = check("v1", "--output=json")

    assert told.exit_code == 1
    assert json.loads(told.stdout)["passed"] is False
    assert "v1 does not pass: contract" in str(told.exception)
    assert "  Market/get: handler removed" in check("v1").stdout
    assert check("v2").stdout == "books: passed\n"


def test_a_version_that_is_none_is_refused(asked: list[tuple[Any, ...]]) -> None:
    told = check("v9")

    assert "there is no version v9; there are v1, v2" in str(told.exception)
    assert asked == []
