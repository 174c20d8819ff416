from collections.abc import Iterator

import pytest

from tests.bookkeeper.looking import Kept
from tests.running import running


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A system whose deposits and withdrawals wait for a human, so that they can be seen waiting."""
    waiting = {
        "BETTING_REVIEW_THRESHOLD": "EUR=1,JPY=1",
        "BETTING_REVIEW_TIMEOUT_SECONDS": "600",
        "BETTING_BOOKS_REPAIR": "false",
    }
    with running(tmp_path_factory.mktemp("books"), environment=waiting) as system:
        yield Kept(system)
