"""The index of what is archived: nothing is forgotten, and what a bet has to read stays small."""

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import archive
from app.domain.archive import (
    FILTER_BYTES,
    HASH_LENGTH,
    KEPT_PAGES,
    MAX_PAGES,
    ArchiveFilter,
    ArchiveIndex,
    Bucket,
    Operations,
    bucket_of,
    hash_of,
    name_of,
)

names = st.builds(name_of, st.sampled_from(Operations), st.integers(0, 200).map(str))
some_names = st.lists(names, min_size=1, max_size=3, unique=True)
histories = st.integers(0, 3 * MAX_PAGES).flatmap(lambda count: st.lists(some_names, min_size=count, max_size=count))


@dataclass
class Archive:
    """What the player's object and its buckets store, as archiving and looking up go over it."""

    index: ArchiveIndex = field(default_factory=ArchiveIndex)
    filter: bytes = b""
    buckets: dict[str, Bucket] = field(default_factory=dict)

    def put_away(self, page: list[str]) -> None:
        self.index, moved = self.index.with_page(page).move_old()
        if moved:
            known = ArchiveFilter.unpacked(self.filter) if self.filter else ArchiveFilter()
            self.filter = known.with_buckets(moved).packed()
            for name, added in moved.items():
                self.buckets[name] = self.buckets.get(name, Bucket()).with_more(added)

    def put_away_by_an_earlier_version(self, page: list[str]) -> None:
        self.index = self.index.with_page(page)

    def pages_of(self, name: str) -> list[int]:
        hashed, found = hash_of(name), []
        if self.index.has_moved and ArchiveFilter.unpacked(self.filter).admits(hashed):
            bucket = self.buckets.get(bucket_of(hashed), Bucket())
            found = bucket.of([hashed, "absent"]).pages.get(hashed, [])
        return found + self.index.pages_of(hashed)


@given(histories, st.lists(st.booleans(), max_size=3 * MAX_PAGES))
def test_every_page_of_every_id_is_found_whichever_version_archived_it(
    pages: list[list[str]], ours: list[bool]
) -> None:
    stored = Archive()
    for number, page in enumerate(pages):
        if number < len(ours) and not ours[number]:
            stored.put_away_by_an_earlier_version(page)
        else:
            stored.put_away(page)

    for name in {name for page in pages for name in page} | {"bets/never"}:
        assert stored.pages_of(name) == [number for number, page in enumerate(pages, 1) if name in page]


@given(histories)
def test_what_an_earlier_version_archived_moves_with_the_next_page(pages: list[list[str]]) -> None:
    stored = Archive()
    for page in pages:
        stored.put_away_by_an_earlier_version(page)

    stored.put_away(["bets/last"])

    assert len(stored.index.pages) == len(pages) + 1
    assert sum(map(bool, stored.index.pages)) == (KEPT_PAGES if len(pages) >= MAX_PAGES else len(pages) + 1)
    for name in {name for page in pages for name in page}:
        assert stored.pages_of(name) == [number for number, page in enumerate(pages, 1) if name in page]


def test_what_a_new_bet_reads_stays_small_however_long_the_history() -> None:
    stored, sizes = Archive(), []
    for page in range(1_000):
        stored.put_away([f"bets/{page}-{number}" for number in range(50)])
        sizes.append(len(stored.index.model_dump_json()) + len(stored.filter))

    assert max(sizes) < MAX_PAGES * (50 * HASH_LENGTH + 3) + 1_000 * 3 + FILTER_BYTES + 100
    assert len(stored.filter) <= FILTER_BYTES + 100
    assert max(len(bucket.pages) for bucket in stored.buckets.values()) < 2 * 50_000 / 64
    assert len(stored.buckets) == 64


def test_an_archived_deposit_is_found_though_a_later_withdrawal_has_its_id() -> None:
    index = ArchiveIndex().with_page(["deposits/a"]).with_page(["withdrawals/a"])

    found = [index.pages_of(hash_of(name_of(kind, "a"))) for kind in Operations]

    assert found == [[1], [2], []]


def test_ids_with_one_hash_hide_no_page_of_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "hash_of", lambda name: hash_of(name[:6]))
    stored = Archive()
    for number in range(2 * MAX_PAGES):
        stored.put_away(["bets/a" if number == 3 else "bets/b" if number == 40 else f"{number:06}"])
    stored.put_away(["bets/anew"])

    assert stored.pages_of("bets/a") == [4, 61]


def test_a_hash_is_found_only_where_it_begins() -> None:
    first, second = hash_of("bets/a"), hash_of("bets/b")
    across = (first + second)[5 : 5 + HASH_LENGTH]

    assert ArchiveIndex(pages=[first + second]).pages_of(across) == []


@given(st.sets(names), st.sets(names))
def test_the_filter_admits_everything_it_was_given(first: set[str], second: set[str]) -> None:
    known = ArchiveFilter()
    for added in (first, second):
        buckets = {"any": Bucket(pages={hash_of(name): [1] for name in added})}
        known = ArchiveFilter.unpacked(known.with_buckets(buckets).packed())

    assert all(known.admits(hash_of(name)) for name in first | second)


@pytest.mark.parametrize(
    ("archived", "wrong_of_1000", "stored"), [(0, 0, 100), (1_000, 2, 4_000), (10_000, 15, 16_000)]
)
def test_the_filter_is_small_and_seldom_wrong(archived: int, wrong_of_1000: int, stored: int) -> None:
    bucket = Bucket(pages={hash_of(f"bets/{number}"): [1] for number in range(archived)})

    known = ArchiveFilter().with_buckets({"any": bucket})

    assert len(known.packed()) < stored
    assert sum(known.admits(hash_of(f"bets/new-{number}")) for number in range(1_000)) <= wrong_of_1000


def test_a_larger_filter_of_a_newer_version_is_read_as_it_is() -> None:
    buckets = {"any": Bucket(pages={hash_of(f"bets/{number}"): [1] for number in range(100)})}
    larger = ArchiveFilter(bytes(4 * FILTER_BYTES)).with_buckets(buckets)

    known = ArchiveFilter.unpacked(larger.packed())

    assert known == larger
    assert any(known.bits[FILTER_BYTES:])
    assert all(known.admits(hashed) for hashed in buckets["any"].pages)


def test_a_bucket_keeps_every_page_once_oldest_first() -> None:
    known = Bucket(pages={"x": [2], "y": [1]})

    for _ in range(2):
        known = known.with_more(Bucket(pages={"x": [7, 3], "z": [9]}))

    assert known.pages == {"x": [2, 3, 7], "y": [1], "z": [9]}
    assert json.loads(known.of(["z", "absent"]).model_dump_json()) == {"pages": {"z": [9]}}
