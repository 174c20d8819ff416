from datetime import UTC, datetime, timedelta

import pytest

from app.providers.webhooks import sign, verify

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = b'{"reference":"d-1"}'
TOLERANCE = timedelta(minutes=5)
GENUINE = sign("secret", BODY, AT)
SECOND, CODE = GENUINE.split(",")


@pytest.mark.parametrize("age", [timedelta(), TOLERANCE, -TOLERANCE])
def test_a_genuine_signature_within_the_tolerance_is_believed(age: timedelta) -> None:
    assert verify("secret", BODY, GENUINE, AT + age, TOLERANCE)


def test_the_signature_is_an_hmac_over_second_and_body() -> None:
    """Computed with `printf '1772366400.{"reference":"d-1"}' | openssl dgst -sha256 -hmac secret`."""
    assert GENUINE == "t=1772366400,v1=4fdeb34ebad5b9a1042de17317c7fd4c90c851686f86acec67dbfcf2ba91ffb7"


@pytest.mark.parametrize("age", [TOLERANCE + timedelta(seconds=1), -TOLERANCE - timedelta(seconds=1)])
def test_a_signature_from_another_time_is_refused(age: timedelta) -> None:
    assert not verify("secret", BODY, GENUINE, AT + age, TOLERANCE)


@pytest.mark.parametrize(
    ("secret", "body", "header"),
    [
        pytest.param("other", BODY, GENUINE, id="wrong secret"),
        pytest.param("secret", BODY + b" ", GENUINE, id="other body"),
        pytest.param("secret", BODY, f"t={int(AT.timestamp()) + 1},{CODE}", id="another second"),
        pytest.param("secret", BODY, f"{SECOND},v1={'0' * 64}", id="forged"),
        pytest.param("secret", BODY, "", id="missing"),
        pytest.param("secret", BODY, SECOND, id="no code"),
        pytest.param("secret", BODY, CODE, id="no second"),
        pytest.param("secret", BODY, f"{CODE},{SECOND}", id="wrong order"),
        pytest.param("secret", BODY, f"t=soon,{CODE}", id="second is no number"),
        pytest.param("secret", BODY, f"t={'9' * 400},{CODE}", id="second beyond all time"),
        pytest.param("secret", BODY, f"{SECOND},v1={'é' * 64}", id="code is not hexadecimal"),
        pytest.param("secret", BODY, GENUINE[:-1], id="cut"),
        pytest.param("secret", BODY, f"{GENUINE}\n", id="line break"),
    ],
)
def test_whatever_else_is_refused(secret: str, body: bytes, header: str) -> None:
    assert not verify(secret, body, header, AT, TOLERANCE)
