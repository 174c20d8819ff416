"""The archive index: it gives the archive page of each operation that has left a player's document.

Operations are deposits, withdrawals and bets. A repeated request must be recognised for ever, at a cost that does not
grow with the player's history. The index in the player's object therefore covers only the newest pages. Entries
for older pages are moved to buckets elsewhere. A Bloom filter stays behind: for nearly every new id, it proves that no
bucket has it.

The index and the buckets keep an 8-byte hash of each id. Callers choose their ids and can produce collisions, so every
page that a hash leads to is only a candidate. The page itself decides.
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
"""The most pages, of about 25 ids each, in the index of the player's object. Beyond it, older pages are moved."""
KEPT_PAGES = 10
"""Pages that stay in the index when older ones are moved. An earlier version, which has no buckets, can continue from
these after a rollback."""
FILTER_BYTES = 32 * 1024
"""Size of the unpacked filter. Its false positive rate is about 0.5 % after 10,000 archived ids and 29 % after 100,000.
Each false positive costs one look-up in a bucket."""


class Operations(StrEnum):
    """The kinds of operations that are archived, by their field in the document. Ids are unique within a kind only."""

    DEPOSITS = "deposits"
    WITHDRAWALS = "withdrawals"
    BETS = "bets"


def name_of(kind: Operations, operation_id: str) -> str:
    """The name of an operation in the archive. It is unique, because ids contain no slash."""
    return f"{kind.value}/{operation_id}"


def hash_of(name: str) -> str:
    """The hash of a name that the index and the buckets store: 64 bits as 11 characters."""
    return urlsafe_b64encode(blake2b(name.encode(), digest_size=8).digest()).decode().rstrip("=")


def bucket_of(hashed: str) -> str:
    """The bucket of a hash: one of 64, by its first 6 bits."""
    return hashed[0]


class Bucket(State):
    """For each hash, its archive pages, oldest first."""

    pages: dict[str, list[int]] = Field(default_factory=dict)

    def with_more(self, added: "Bucket") -> "Bucket":
        """Return the bucket with these entries added. Repeated entries change nothing."""
        known = {
            hashed: sorted({*self.pages.get(hashed, ()), *added_pages}) for hashed, added_pages in added.pages.items()
        }
        return self.model_copy(update={"pages": {**self.pages, **known}})

    def of(self, hashes: Iterable[str]) -> "Bucket":
        """Return only the entries of these hashes."""
        return Bucket(pages={hashed: self.pages[hashed] for hashed in hashes if hashed in self.pages})


class ArchiveIndex(State):
    """For each archive page, the concatenated hashes of its ids; empty once they have been moved to buckets.

    A page's number is its position here, from 1. Earlier versions number pages in the same way and never move any.
    """

    pages: list[str] = Field(default_factory=list)

    def with_page(self, names: Iterable[str]) -> "ArchiveIndex":
        """Return the index with one more page, which holds these names."""
        return self.model_copy(update={"pages": [*self.pages, "".join(map(hash_of, names))]})

    @property
    def has_moved(self) -> bool:
        """Whether any page has been moved to buckets. The oldest pages are moved first."""
        return bool(self.pages) and not self.pages[0]

    def pages_of(self, hashed: str) -> list[int]:
        """The pages of a hash, among those that have not been moved."""
        return [number for number, page in enumerate(self.pages, 1) if hashed in page and hashed in _hashes(page)]

    def move_old(self) -> tuple["ArchiveIndex", dict[str, Bucket]]:
        """If the index covers too many pages, take out the older ones. Returns what to add to each bucket, by name."""
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
    """A Bloom filter of the hashes in the buckets: no false negatives, and few false positives."""

    bits: bytes = bytes(FILTER_BYTES)

    def with_buckets(self, buckets: Mapping[str, Bucket]) -> "ArchiveFilter":
        """Return the filter with the hashes of these buckets added."""
        bits = bytearray(self.bits)
        for bucket in buckets.values():
            for hashed in bucket.pages:
                for byte, bit in self._bits_of(hashed):
                    bits[byte] |= bit
        return ArchiveFilter(bytes(bits))

    def admits(self, hashed: str) -> bool:
        """Whether a bucket may have this hash. If false, no bucket has it."""
        return all(self.bits[byte] & bit for byte, bit in self._bits_of(hashed))

    def packed(self) -> bytes:
        """Compress the filter for storage. The fewer bits are set, the smaller it is."""
        return zlib.compress(self.bits)

    @staticmethod
    def unpacked(packed: bytes) -> "ArchiveFilter":
        """Read a stored filter of any size."""
        return ArchiveFilter(zlib.decompress(packed))

    def _bits_of(self, hashed: str) -> list[tuple[int, int]]:
        halves = struct.unpack(">II", urlsafe_b64decode(f"{hashed}="))
        positions = (half % (8 * len(self.bits)) for half in halves)
        return [(position // 8, 1 << position % 8) for position in positions]


def _hashes(page: str) -> list[str]:
    return [page[start : start + HASH_LENGTH] for start in range(0, len(page), HASH_LENGTH)]
