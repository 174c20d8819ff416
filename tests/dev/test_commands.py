import json

import pytest

from app.settings import Settings
from tests.dev.commands import betting


def test_settings_as_json_name_every_variable_with_its_default_and_value() -> None:
    answer = betting("settings", "--output", "json", environment={"BETTING_LOOKUP_SECONDS": "0.5,60"})

    rows = {row["variable"]: row for row in json.loads(answer.stdout)}
    assert set(rows) == {f"BETTING_{name.upper()}" for name in Settings.model_fields}
    assert rows["BETTING_LOOKUP_SECONDS"]["default"] == "10,60,600,3600"
    assert rows["BETTING_LOOKUP_SECONDS"]["value"] == "0.5,60"
    assert all(row["description"] for row in rows.values())


def test_settings_do_not_show_a_secret_of_the_operator() -> None:
    answer = betting("settings", "--output", "json", environment={"BETTING_WEBHOOK_SECRET": "my-own-secret"})

    assert "my-own-secret" not in answer.stdout


@pytest.mark.parametrize("command", ["settings", "serve", "dev", "sandbox"])
def test_a_wrong_setting_is_named_with_its_cure(command: str) -> None:
    answer = betting(command, environment={"BETTING_REVIEW_THRESHOLD": "lots"})

    assert answer.returncode == 1
    assert "BETTING_REVIEW_THRESHOLD=lots: Input should be a valid integer" in answer.stderr
    assert "betting settings" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_wrong_usage_ends_with_2() -> None:
    answer = betting("dev", "--port-base", "70000")

    assert answer.returncode == 2
    assert "--port-base" in answer.stderr


def test_help_lists_the_commands() -> None:
    answer = betting("--help")

    assert answer.returncode == 0
    assert all(command in answer.stdout for command in ("dev", "serve", "sandbox", "settings"))
