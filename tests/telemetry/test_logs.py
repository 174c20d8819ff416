"""What a log line holds, and what it never does."""

import json
import logging
from collections.abc import Iterator

import pytest
from opentelemetry.trace import SpanContext

from app.telemetry.attempts import Attempt, current
from app.telemetry.logs import HIDDEN, LogFormat, log_to_stderr

logger = logging.getLogger("tests.telemetry")


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_names_its_invocation_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr("json", [])
    span = SpanContext(0xABC, 0xDEF, is_remote=False)
    token = current.set(Attempt("inv_1", "PaymentService", "deposit", span))

    logger.info("refused: %s", "deposit_limit")

    current.reset(token)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "tests.telemetry",
        "message": "refused: deposit_limit",
        "invocation_id": "inv_1",
        "handler": "PaymentService/deposit",
        "trace_id": f"{0xABC:032x}",
    }


@pytest.mark.parametrize("how", ["text", "json"])
@pytest.mark.parametrize(
    "said", ["jane.doe+bets@example.com", '{"email":"jane@example.com"}', "<jane@example.com>", "s3cret"]
)
def test_no_line_tells_an_address_or_a_secret(capsys: pytest.CaptureFixture[str], how: LogFormat, said: str) -> None:
    log_to_stderr(how, ["s3cret", ""])

    try:
        raise ValueError(f"cannot send to {said}")
    except ValueError:
        logger.exception("failed: %s", said)

    told = capsys.readouterr().err
    assert "ValueError" in told
    assert HIDDEN in told
    assert "jane" not in told
    assert "s3cret" not in told


def test_what_a_filter_holds_back_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    replaying = logging.Filter("nothing but this")

    log_to_stderr("text", [], replaying)
    logger.info("again")

    assert capsys.readouterr().err == ""
