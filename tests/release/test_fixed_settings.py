"""Which settings of a version may change in place, and which a rule reads."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.release.fixed_settings import DEFAULTS, FIXED, PREFIX, Known, changed, given, note, read
from app.release.plan import Version
from app.release.rounds import NotDoneError
from app.release.unchangeable import refuse_other_settings
from app.settings import Settings
from tests.release.plans import version

FREE = {
    "connection_seconds",
    "host",
    "identity_keys",
    "idempotency_seconds",  # how long Restate keeps answers, as it was registered
    "log_format",
    "mail_from",
    "metrics_dir",
    "metrics_port",
    "otel_endpoint",
    "port",
    "provider_key",
    "provider_key_header",
    "provider_timeout_seconds",
    "provider_url",
    "shutdown_grace_seconds",
    "smtp_ca_file",
    "smtp_host",
    "smtp_password",
    "smtp_port",
    "smtp_security",
    "smtp_timeout_seconds",
    "smtp_user",
    "unsigned_calls",
    "version",
    "webhook_secret",
    "webhook_tolerance_seconds",
}
"""How the world is reached, how the process runs, and what is checked before anything is journaled."""
THRESHOLD = "BETTING_REVIEW_THRESHOLD"


def test_each_setting_is_either_fixed_or_free() -> None:
    fixed = {name.removeprefix(PREFIX).lower() for name in FIXED}

    assert not fixed & FREE
    assert fixed | FREE == set(Settings.model_fields)


@pytest.mark.parametrize("name", sorted(FIXED))
def test_each_default_is_that_of_the_service(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = name.removeprefix(PREFIX).lower()
    by_default = getattr(Settings(), setting)

    monkeypatch.setenv(name, DEFAULTS[name])

    assert getattr(Settings(), setting) == by_default


BEFORE = {THRESHOLD: "5000"}


V1 = version("v1", known_image="betting:v1", known_settings=Known(BEFORE, DEFAULTS))


def refused(wanted: Mapping[str, Mapping[str, str]], *versions: Version) -> str:
    """Why it is refused; empty if it is not."""
    try:
        refuse_other_settings(versions or (V1,), wanted)
    except NotDoneError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "wanted",
    [
        {"v1": {THRESHOLD: "5000", "BETTING_LOG_FORMAT": "text"}},
        {"v1": {THRESHOLD: "5000"}, "v2": {THRESHOLD: "6000"}},
        {"v2": {THRESHOLD: "6000"}},
        {"v1": {THRESHOLD: "5000", "BETTING_MAX_OPEN_BETS": "200"}},
    ],
    ids=["what no rule reads", "another one of a new version", "a version that is taken out", "a default, written out"],
)
def test_what_may_change(wanted: dict[str, dict[str, str]]) -> None:
    assert refused(wanted) == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({THRESHOLD: "6000"}, f"versions.v1.settings.{THRESHOLD} is 5000 and would become 6000"),
        ({}, f"versions.v1.settings.{THRESHOLD} is 5000 and would become empty"),
        (
            {THRESHOLD: "5000", "BETTING_MAX_OPEN_BETS": "9"},
            "versions.v1.settings.BETTING_MAX_OPEN_BETS is empty and would become 9",
        ),
    ],
    ids=["another value", "taken out", "given where there was none"],
)
def test_what_a_rule_reads_stays_and_the_refusal_says_how_to_keep_it(settings: dict[str, str], said: str) -> None:
    assert said in refused({"v1": settings})
    assert "--set versions.v1.settings." in refused({"v1": settings})


def test_all_versions_are_named_at_once_with_one_way_to_keep_them() -> None:
    v2 = version("v2", known_image="betting:v2", known_settings=Known({"BETTING_LOOKUP_SECONDS": "10,60"}))

    said = refused({"v1": {THRESHOLD: "6000"}, "v2": {}}, replace(V1, known_settings=Known(BEFORE)), v2)

    assert said.endswith(
        f"--set versions.v1.settings.{THRESHOLD}=5000,versions.v2.settings.BETTING_LOOKUP_SECONDS=10\\,60"
    )


def test_a_version_without_pods_keeps_its_settings_for_it_may_come_back() -> None:
    assert "is 5000 and would become 6000" in refused({"v1": {THRESHOLD: "6000"}}, replace(V1, replicas=0))


def test_a_default_of_other_code_is_not_taken_for_its_own() -> None:
    written_out = {**BEFORE, "BETTING_MAX_OPEN_BETS": "200"}

    assert "BETTING_MAX_OPEN_BETS is empty and would become 200" in refused(
        {"v1": written_out}, replace(V1, known_settings=Known(BEFORE))
    )


def test_what_restate_does_not_know_yet_may_change_and_where_nothing_was_noted_then_what_it_runs_stays() -> None:
    runs = version("v1", settings=BEFORE, known_image="", known_settings=None)

    assert refused({"v1": {THRESHOLD: "6000"}}, runs) == ""
    assert "is 5000 and would become 6000" in refused(
        {"v1": {THRESHOLD: "6000"}}, replace(runs, known_image="betting:v1")
    )


def test_a_default_that_was_written_out_may_be_taken_out() -> None:
    known = Known({"BETTING_MAX_OPEN_BETS": "200"}, DEFAULTS)

    assert list(changed("v1", known, {})) == []


def test_what_is_noted_is_read_again() -> None:
    known = Known(given({THRESHOLD: "5000", "BETTING_LOG_FORMAT": "json", "BETTING_IDENTITY_KEYS": None}), DEFAULTS)

    assert read(note(known)) == known == Known(BEFORE, DEFAULTS)
    assert read(None) is None
