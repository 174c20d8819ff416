"""Which errors say that an invocation was stopped; tests of real systems show what Restate says when."""

import pytest
from restate.exceptions import TerminalError

from app.services.shell.shield import was_stopped


@pytest.mark.parametrize(
    ("code", "message", "metadata", "stopped"),
    [
        (409, "cancelled", None, True),  # it was running
        (409, "canceled", None, True),  # it waited for its turn
        (409, "killed", None, True),
        (409, "cancelled", {"reason": "id_reused"}, False),
        (404, "cancelled", None, False),
        (409, "it is settled", None, False),
    ],
)
def test_only_what_restate_says_of_a_stop_is_one(
    code: int, message: str, metadata: dict[str, str] | None, stopped: bool
) -> None:
    assert was_stopped(TerminalError(message, status_code=code, metadata=metadata)) is stopped
