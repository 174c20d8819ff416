"""What tells a document that cannot be read from a failure, and a moment from what is none."""

from datetime import UTC, datetime

import httpx
import pytest

from app.bookkeeper.unreadable import REASON, is_unreadable, moment_of
from app.services.shell.wire import UNREADABLE


def test_the_reason_is_the_services() -> None:
    assert REASON == UNREADABLE


@pytest.mark.parametrize(
    ("status", "body", "unreadable"),
    [
        (500, {"message": "no", "metadata": {"reason": "unreadable_document"}}, True),
        (503, {"message": "no", "metadata": {"reason": "unreadable_document"}}, False),
        (500, {"message": "no", "metadata": {"reason": "other"}}, False),
        (500, {"message": "no", "metadata": None}, False),
        (500, {"message": "no"}, False),
        (500, [], False),
    ],
)
def test_only_a_500_with_the_reason_says_so(status: int, body: object, unreadable: bool) -> None:
    assert is_unreadable(httpx.Response(status, json=body)) is unreadable


def test_a_500_of_somebody_else_is_a_failure() -> None:
    assert not is_unreadable(httpx.Response(500, text="nothing like JSON"))


def test_a_moment_has_a_zone() -> None:
    assert moment_of("2026-01-01T00:00:00Z") == datetime(2026, 1, 1, tzinfo=UTC)
    assert [moment_of(text) for text in ("", "2026-01-01T00:00:00", "2026-99-01T00:00:00Z", None, 5)] == [None] * 5
