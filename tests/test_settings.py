"""A setting is used, and the policy is what the operator set: a forgotten line would leave the default in force."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from app.composition import dependencies_of
from app.domain.policy import Policy
from app.settings import Settings

APP = Path(__file__).parents[1] / "app"


def test_every_setting_is_read() -> None:
    code = "\n".join(module.read_text() for module in APP.rglob("*.py"))

    assert [name for name in Settings.model_fields if not re.search(rf"\b(settings|self)\.{name}\b", code)] == []


def test_every_part_of_the_policy_is_set() -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(dependencies_of))) if isinstance(node, ast.Call)]
    [policy] = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Policy"]

    assert {keyword.arg for keyword in policy.keywords} == set(Policy.model_fields)


def test_the_service_has_no_default_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BETTING_WEBHOOK_SECRET", raising=False)

    assert {"webhook_secret", "identity_keys"} == {setting for setting, _ in Settings().missing()}
