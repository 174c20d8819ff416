from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.costs import Meter
from tests.edge.tokens import Signer
from tests.running import System, running

BEHIND_THE_DOOR = {
    "BETTING_REQUIRE_IDENTITY": "true",
    "BETTING_BOOKS_SECONDS": "86400",  # it would add invocations while they are counted
    "BETTING_REVIEW_THRESHOLD": "EUR=500",
    "BETTING_REVIEW_TIMEOUT_SECONDS": "86400",
}


class Door:
    """A system behind its door, and who signs tokens for it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.url: str = system.facts()["edge"]
        self.signer = Signer.of(system.folder / "state" / "identity-key.pem")

    def invocations(self) -> int:
        """How many requests have reached Restate, by its own count: of those that only read it keeps nothing else."""
        return int(Meter(self.system, {}).read().invocations)


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder: Path = tmp_path_factory.mktemp("door")
    with running(folder, environment=BEHIND_THE_DOOR, options=["--edge"]) as system:
        system.books_were_seen()
        yield Door(system)
