"""What the simulation takes for an answer."""

import httpx
import pytest

from app.simulation.client import is_definite
from tests.helpers.scripted import UNKNOWN


@pytest.mark.parametrize(
    ("status", "content", "definite"),
    [
        (404, UNKNOWN[2], False),
        (404, b'{"code":404,"metadata":{"reason":"unknown_bet"},"source":"invocation"}', True),
        (503, b'{"code":503,"metadata":{"reason":"unavailable"},"source":"edge"}', False),
    ],
    ids=["restate knows no such service yet", "a refusal", "an outage"],
)
def test_what_restate_does_not_know_yet_is_asked_again_and_a_refusal_is_not(
    status: int, content: bytes, definite: bool
) -> None:
    answer = httpx.Response(status, content=content, headers={"content-type": "application/json"})

    assert is_definite(answer) is definite
