"""Which deposits, withdrawals and bets have left a player's document, and on which archive page each is.

A repeated request must be recognised for ever, so no id is forgotten; the index keeps 8 bytes of hash of each, and the
page that a hash leads to has the last word.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from enum import StrEnum
from hashlib import blake2b

from pydantic import Field

from app.domain.model import State

HASH_LENGTH = 11


class Operations(StrEnum):
    """What ends and is archived, by the name of its field in a document. A deposit and a bet may have one id."""

    DEPOSITS = "deposits"
    WITHDRAWALS = "withdrawals"
    BETS = "bets"


def name_of(kind: Operations, operation_id: str) -> str:
    """The name under which the index knows an operation; ids have no slash."""
    return f"{kind.value}/{operation_id}"


class ArchiveIndex(State):
    """For each archive page, the hashes of its ids in one string, 11 characters each."""

    pages: list[str] = Field(default_factory=list)

    def with_page(self, names: Iterable[str]) -> "ArchiveIndex":
        """The index with one more page that holds these names."""
        return self.model_copy(update={"pages": [*self.pages, "".join(map(_hash, names))]})

    def page_of(self, name: str) -> int | None:
        """The newest page, from 1, that may hold a name."""
        wanted = _hash(name)
        for number in range(len(self.pages), 0, -1):
            hashes = self.pages[number - 1]
            position = hashes.find(wanted)
            while position >= 0:
                if position % HASH_LENGTH == 0:
                    return number
                position = hashes.find(wanted, position + 1)
        return None


def _hash(name: str) -> str:
    return urlsafe_b64encode(blake2b(name.encode(), digest_size=8).digest()).decode().rstrip("=")
