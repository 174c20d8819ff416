"""Which deposits, withdrawals and bets have left a player's document, and on which archive page each is.

A repeated request must be recognised for ever, at a cost that does not grow with the player's history. So the index in
the player's object names what is on the newest pages only. What is on older ones is moved to buckets elsewhere, and a
filter stays that says of nearly every new id that no bucket has it.

The index and the buckets keep 8 bytes of hash of each id. Strangers choose ids, and can find two with one hash: every
page that a hash leads to is a candidate, and the page itself has the last word.
"""

import struct
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

from pydantic import Field

from app.domain.model import State

HASH_LENGTH = 11
MAX_PAGES = 30
"""Pages that the index in the player's object names at most, with some 25 ids on each; then older ones are moved."""
KEPT_PAGES = 10
"""Pages that it still names then: enough for an earlier version, which knows no buckets, to go on from if it is
rolled back to."""
FILTER_BYTES = 32 * 1024
"""What the filter's bits take unpacked. It is wrong about 0.5 % of new ids after 10,000 archived ones, 29 % after
100,000; each costs a question to a bucket."""


class Operations(StrEnum):
    """What ends and is archived, by the name of its field in a document. A deposit and a bet may have one id."""

    DEPOSITS = "deposits"
    WITHDRAWALS = "withdrawals"
    BETS = "bets"


def name_of(kind: Operations, operation_id: str) -> str:
    """The name under which the archive knows an operation; ids have no slash."""
    return f"{kind.value}/{operation_id}"


def hash_of(name: str) -> str:
    """What the index and the buckets keep of a name: 64 bits as 11 characters."""
    return urlsafe_b64encode(blake2b(name.encode(), digest_size=8).digest()).decode().rstrip("=")


def bucket_of(hashed: str) -> str:
    """The bucket of a hash: its first 6 bits, so that there are 64."""
    return hashed[0]


class Bucket(State):
    """The archive pages, oldest first, that each hash leads to."""

    pages: dict[str, list[int]] = Field(default_factory=dict)

    def with_more(self, added: "Bucket") -> "Bucket":
        """The bucket with what is added to it; the same again changes nothing."""
        known = {
            hashed: sorted({*self.pages.get(hashed, ()), *added_pages}) for hashed, added_pages in added.pages.items()
        }
        return self.model_copy(update={"pages": {**self.pages, **known}})

    def of(self, hashes: Iterable[str]) -> "Bucket":
        """Only what is known of these hashes."""
        return Bucket(pages={hashed: self.pages[hashed] for hashed in hashes if hashed in self.pages})


class ArchiveIndex(State):
    """For each archive page, the hashes of its ids in one string; an empty one where they have been moved to buckets.

    Pages are numbered from 1 by their place here, also by earlier versions, which never move any.
    """

    pages: list[str] = Field(default_factory=list)

    def with_page(self, names: Iterable[str]) -> "ArchiveIndex":
        """The index with one more page that holds these names."""
        return self.model_copy(update={"pages": [*self.pages, "".join(map(hash_of, names))]})

    @property
    def has_moved(self) -> bool:
        """Whether there is anything in buckets. The oldest pages are moved first."""
        return bool(self.pages) and not self.pages[0]

    def pages_of(self, hashed: str) -> list[int]:
        """The pages that a hash leads to, of those that have not been moved."""
        return [number for number, page in enumerate(self.pages, 1) if hashed in page and hashed in _hashes(page)]

    def move_old(self) -> tuple["ArchiveIndex", dict[str, Bucket]]:
        """When the index names too many pages, take the older ones out for the buckets named."""
        named = sum(map(bool, self.pages))
        if named <= MAX_PAGES:
            return self, {}
        last = len(self.pages) - KEPT_PAGES
        moved: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, page in enumerate(self.pages[:last], 1):
            for hashed in _hashes(page):
                moved[bucket_of(hashed)][hashed].append(number)
        kept = self.model_copy(update={"pages": [""] * last + self.pages[last:]})
        return kept, {bucket: Bucket(pages=dict(pages)) for bucket, pages in moved.items()}


@dataclass(frozen=True)
class ArchiveFilter:
    """A Bloom filter of what is in the buckets: it never denies a hash that is, and rarely admits one that is not."""

    bits: bytes = bytes(FILTER_BYTES)

    def with_buckets(self, buckets: Mapping[str, Bucket]) -> "ArchiveFilter":
        """The filter that admits what is added to buckets, too."""
        bits = bytearray(self.bits)
        for bucket in buckets.values():
            for hashed in bucket.pages:
                for byte, bit in self._bits_of(hashed):
                    bits[byte] |= bit
        return ArchiveFilter(bytes(bits))

    def admits(self, hashed: str) -> bool:
        """Whether a bucket may have a hash."""
        return all(self.bits[byte] & bit for byte, bit in self._bits_of(hashed))

    def packed(self) -> bytes:
        """The filter as it is stored: the fewer bits are set, the smaller."""
        return zlib.compress(self.bits)

    @staticmethod
    def unpacked(packed: bytes) -> "ArchiveFilter":
        """The filter that was stored, of whatever size."""
        return ArchiveFilter(zlib.decompress(packed))

    def _bits_of(self, hashed: str) -> list[tuple[int, int]]:
        halves = struct.unpack(">II", urlsafe_b64decode(f"{hashed}="))
        positions = (half % (8 * len(self.bits)) for half in halves)
        return [(position // 8, 1 << position % 8) for position in positions]


def _hashes(page: str) -> list[str]:
    return [page[start : start + HASH_LENGTH] for start in range(0, len(page), HASH_LENGTH)]
