"""What a machine cannot test is said aloud, in one line."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_terminal_summary


def said(*reasons: str) -> list[str]:
    lines: list[str] = []
    skipped = [SimpleNamespace(longrepr=("tests/test_a.py", 1, f"Skipped: {reason}")) for reason in reasons]
    reporter: Any = SimpleNamespace(stats={"skipped": skipped} if skipped else {}, write_line=lines.append)
    pytest_terminal_summary(reporter)
    return lines


@pytest.mark.parametrize(
    ("reasons", "lines"),
    [
        ((), []),
        (("NO DOG: put a dog on the PATH",), ["Not tested here: 1 test: NO DOG: put a dog on the PATH."]),
        (
            ("NO DOG: get one", "NO CAT: get one", "NO DOG: get one"),
            ["Not tested here: 2 tests: NO DOG: get one; 1 test: NO CAT: get one."],
        ),
    ],
)
def test_what_was_skipped_is_said_in_one_line_with_how_to_get_it(reasons: tuple[str, ...], lines: list[str]) -> None:
    assert said(*reasons) == lines
