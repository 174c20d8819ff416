import json
import re

import pytest
from pydantic import ValidationError
from restate._internal import IdentityKeyException, PyIdentityVerifier  # type: ignore[import-not-found]

from app.dev.plan import amounts
from app.settings import Settings
from tests.dev.commands import betting
from tests.running import ALONE

KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"


def test_settings_as_json_name_every_variable_with_its_default_and_value() -> None:
    answer = betting("settings", "--output", "json", environment={"BETTING_LOOKUP_SECONDS": "0.5,60"})

    rows = {row["variable"]: row for row in json.loads(answer.stdout)}
    assert set(rows) == {f"BETTING_{name.upper()}" for name in Settings.model_fields}
    assert rows["BETTING_LOOKUP_SECONDS"]["default"] == "10,60,600,3600"
    assert rows["BETTING_LOOKUP_SECONDS"]["value"] == "0.5,60"
    assert all(row["description"] for row in rows.values())


TOLD = {"BETTING_SMTP_SECURITY": "tls", "BETTING_SMTP_USER": "us"}
SECRETS = [f"BETTING_{name.upper()}" for name in Settings.model_fields if Settings.is_secret(name)]


@pytest.mark.parametrize("output", ["table", "json"])
def test_settings_do_not_show_a_secret_of_the_operator(output: str) -> None:
    answer = betting("settings", "--output", output, environment=TOLD | dict.fromkeys(SECRETS, "my-own,secret"))

    assert "my-own" not in answer.stdout
    assert answer.stdout.count("(hidden)") == len(SECRETS) > 0


def test_every_secret_is_hidden_from_logs_and_from_the_settings_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {name: f"secret-{number}" for number, name in enumerate(SECRETS)}
    for name, value in {**TOLD, **secrets}.items():
        monkeypatch.setenv(name, value)
    settings = Settings()

    assert set(settings.secrets) == set(secrets.values())
    assert "secret-" not in repr(settings)
    assert {name for name in Settings.model_fields if re.search("secret|password|_key$", name)} == {
        name.removeprefix("BETTING_").lower() for name in SECRETS
    }


MISSING = [
    ("no webhook secret", {"BETTING_WEBHOOK_SECRET": ""}, "BETTING_WEBHOOK_SECRET: not set"),
    ("no webhook secret but a comma", {"BETTING_WEBHOOK_SECRET": " , "}, "BETTING_WEBHOOK_SECRET: not set"),
    ("no identity key", {"BETTING_UNSIGNED_CALLS": "refused"}, "BETTING_IDENTITY_KEYS: not set"),
    ("an empty identity key", {"BETTING_IDENTITY_KEYS": "", "BETTING_UNSIGNED_CALLS": ""}, "BETTING_UNSIGNED_CALLS="),
    ("a bad identity key", {"BETTING_IDENTITY_KEYS": "publickeyv1_l"}, "BETTING_IDENTITY_KEYS=publickeyv1_l: "),
    ("a bad one of two", {"BETTING_IDENTITY_KEYS": f"{KEY},{KEY[:-1]}"}, f"{KEY[:-1]!r} is no public key of Restate"),
]


@pytest.mark.parametrize(("given", "said"), [case[1:] for case in MISSING], ids=[case[0] for case in MISSING])
def test_the_service_does_not_start_without_what_keeps_strangers_out(given: dict[str, str], said: str) -> None:
    answer = betting("serve", environment=ALONE | given)

    assert answer.returncode == 1
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_all_that_is_missing_is_said_at_once() -> None:
    answer = betting("serve")

    assert [line.split(":")[-2].strip() for line in answer.stderr.splitlines()] == [
        "BETTING_WEBHOOK_SECRET",
        "BETTING_IDENTITY_KEYS",
    ]


def test_the_sandbox_does_not_sign_with_a_secret_that_is_public() -> None:
    answer = betting("sandbox")

    assert answer.returncode == 1
    assert "BETTING_WEBHOOK_SECRET: not set" in answer.stderr


@pytest.mark.parametrize(
    "key",
    [
        *(KEY, KEY[:-1], KEY + "1", KEY.upper(), KEY.removeprefix("publickeyv1_"), KEY.replace("w", "0")),
        *(f"publickeyv1_{digits}" for digits in ("", "1" * 32, "1" * 31, "z" * 43, "z" * 44)),
    ],
)
def test_an_identity_key_is_one_that_the_sdk_can_check_signatures_by(key: str) -> None:
    try:
        PyIdentityVerifier([key])
    except IdentityKeyException:
        with pytest.raises(ValidationError):
            Settings(identity_keys=(key,))
    else:
        assert Settings(identity_keys=(key,)).identity_keys == (key,)


MAIL = {"BETTING_SMTP_USER": "us", "BETTING_SMTP_PASSWORD": "s3cret", "BETTING_SMTP_SECURITY": "starttls"}
WRONG = [
    ("a user without encryption", MAIL | {"BETTING_SMTP_SECURITY": "none"}, "would go unencrypted"),
    ("a user without encryption by default", {**MAIL, "BETTING_SMTP_SECURITY": None}, "would go unencrypted"),
    ("a user without a password", MAIL | {"BETTING_SMTP_PASSWORD": ""}, "BETTING_SMTP_PASSWORD=(hidden): "),
    ("a password without a user", MAIL | {"BETTING_SMTP_USER": ""}, "go together"),
    ("an unknown encryption", MAIL | {"BETTING_SMTP_SECURITY": "ssl"}, "BETTING_SMTP_SECURITY=ssl: "),
    ("certificates that are not there", MAIL | {"BETTING_SMTP_CA_FILE": "/none"}, "BETTING_SMTP_CA_FILE=/none: "),
    ("certificates that are none", MAIL | {"BETTING_SMTP_CA_FILE": __file__}, "cannot be read as certificates"),
    ("a sender that is none", {"BETTING_MAIL_FROM": "betting"}, "BETTING_MAIL_FROM=betting: "),
    ("a sender that few servers take", {"BETTING_MAIL_FROM": "a@münchen.de"}, "is not one address in ASCII"),
    ("two senders", {"BETTING_MAIL_FROM": "a@example.com, b@example.com"}, "is not one address in ASCII"),
    ("a sender with a line break", {"BETTING_MAIL_FROM": "a@example.com\nBcc: b@example.com"}, "is not one address"),
    ("a key with a line break", {"BETTING_PROVIDER_KEY": "s3cret\nX: y"}, "BETTING_PROVIDER_KEY=(hidden): "),
    ("a key beyond ASCII", {"BETTING_PROVIDER_KEY": "s3crét"}, "characters that are no ASCII"),
    ("a header that is none", {"BETTING_PROVIDER_KEY_HEADER": "X Key"}, "is no name of a header"),
]


@pytest.mark.parametrize(("given", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_could_not_work_at_provider_or_mail_server_is_refused_at_the_start(
    given: dict[str, str | None], said: str
) -> None:
    answer = betting("serve", environment=ALONE | {name: value for name, value in given.items() if value is not None})

    assert answer.returncode == 1
    assert said in answer.stderr
    assert "s3cr" not in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("command", ["settings", "serve", "dev", "sandbox"])
def test_a_wrong_setting_is_named_with_its_cure(command: str) -> None:
    answer = betting(command, environment={"BETTING_REVIEW_THRESHOLD": "lots"})

    assert answer.returncode == 1
    assert "BETTING_REVIEW_THRESHOLD=lots: Input should be a valid integer" in answer.stderr
    assert "betting settings" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_every_wrong_setting_has_a_line_of_its_own_and_a_secret_is_not_repeated() -> None:
    wrong = {"BETTING_MAX_OPEN_BETS": "0", "BETTING_PORT": "x" * 1000, "BETTING_WEBHOOK_SECRET": "own\udc80"}

    lines = betting("serve", environment=wrong).stderr.splitlines()

    named = [line.split("=")[0] for line in lines[1:]]
    assert sorted(named) == sorted(wrong)
    assert "own" not in "".join(lines)
    assert max(map(len, lines)) < 400


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"BETTING_REVIEW_THRESHOLD": "EUR=abc"}, "BETTING_REVIEW_THRESHOLD=EUR=abc: Input should be a valid integer"),
        ({"BETTING_MAX_PAYOUT": "EUR=1,EUR=2"}, "BETTING_MAX_PAYOUT=EUR=1,EUR=2: EUR comes twice"),
        ({"BETTING_MAX_PAYOUT": "1,EUR=2"}, "BETTING_MAX_PAYOUT=1,EUR=2: a bare number is the amount for EUR"),
        ({"BETTING_MAX_PAYOUT": "XAU=2"}, "BETTING_MAX_PAYOUT=XAU=2: 'XAU' is no currency of ISO 4217"),
        ({"BETTING_MAX_PAYOUT": "eur="}, "BETTING_MAX_PAYOUT=eur=: 'eur' is no currency of ISO 4217"),
        ({"BETTING_MAX_PAYOUT": "EUR=0"}, "BETTING_MAX_PAYOUT=EUR=0: Input should be greater than or equal to 1"),
        ({"BETTING_MAX_PAYOUT": ""}, "BETTING_MAX_PAYOUT=: Input should name an amount"),
        ({"BETTING_DEFAULT_WEEKLY_DEPOSIT_LIMIT": "-1"}, "BETTING_DEFAULT_WEEKLY_DEPOSIT_LIMIT=-1: Input should be"),
        (
            {"BETTING_DEFAULT_CURRENCY": "XXX"},
            "BETTING_DEFAULT_CURRENCY=XXX: Value error, must be a currency of ISO 4217",
        ),
        ({"BETTING_REFUSED_PAYMENT_METHODS": "wallet"}, "name what is taken in BETTING_PAYMENT_METHODS instead"),
    ],
)
def test_amounts_and_currencies_that_mean_nothing_end_the_start(given: dict[str, str], said: str) -> None:
    answer = betting("serve", environment=ALONE | given)

    assert answer.returncode == 1
    assert said in answer.stderr
    assert "betting settings" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_amounts_of_betting_dev_are_those_of_the_developer_where_there_are_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BETTING_REVIEW_THRESHOLD", "5")
    monkeypatch.setenv("BETTING_DEFAULT_CURRENCY", "SEK")

    assert set(amounts(Settings())) == {"default_weekly_deposit_limit", "max_payout"}
    assert amounts(Settings())["default_weekly_deposit_limit"] == "10000,EUR=10000,JPY=1500000"


def test_wrong_usage_ends_with_2() -> None:
    answer = betting("dev", "--port-base", "70000")

    assert answer.returncode == 2
    assert "--port-base" in answer.stderr


def test_help_lists_the_commands() -> None:
    answer = betting("--help")

    assert answer.returncode == 0
    assert all(command in answer.stdout for command in ("dev", "serve", "sandbox", "settings"))


def test_the_last_line_about_a_wrong_setting_names_it_as_kubernetes_shows_no_other() -> None:
    answer = betting("serve", environment=ALONE | {"BETTING_MAX_OPEN_BETS": "none"})

    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("BETTING_MAX_OPEN_BETS=none: ")
