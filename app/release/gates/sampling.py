"""A bounded sample of the documents that Restate keeps: one look at all without their contents, then point reads.

The look is one scan. It comes back as one row for each kind of document and each of some buckets of partition keys: how
many there are, the largest one, and one by chance. For 40,000 documents of 180 MB together, it took 0.3 s. Restate does
not know how old a document is, so the oldest cannot be asked for: chance finds old forms as often as they are kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from app.release.restate_admin import quoted

Row = Mapping[str, Any]

READ_AT_ONCE = 50
BYTES_AT_ONCE = 4 * 1024 * 1024
"""Of the documents in one read, unless one alone is larger."""

_LOOK = """
with documents as (
  select service_name, key as name, partition_key % {buckets} as bucket,
    concat(partition_key, ' ', service_key) as place,
    coalesce(octet_length(value_utf8), octet_length(encode(value, 'hex')) / 2) as bytes
  from state
)
select service_name, name, bucket, count(*) as n,
  max(concat(lpad(cast(bytes as varchar), 12, '0'), ' ', place)) as largest,
  min(concat(md5(concat(place, '{salt}')), ' ', lpad(cast(bytes as varchar), 12, '0'), ' ', place)) as chosen
from documents group by 1, 2, 3"""
"""`chosen` is the first in an order by a hash with a salt, which is another one in each look."""

_READ = """
select service_name, key as name, service_key, value from state
where partition_key in ({places}) and service_name in ({services}) and key in ({names})"""


@dataclass(frozen=True, order=True)
class Kind:
    """Documents of one name of one service."""

    service: str
    name: str

    def __str__(self) -> str:
        return f"{self.service}/{self.name}"


@dataclass(frozen=True)
class Place:
    """Where a document is, and how large it was when it was looked at."""

    kind: Kind
    key: str
    partition_key: int
    bytes: int


@dataclass(frozen=True)
class Sample:
    """What is to be read, in this order, so that each kind has a turn early."""

    places: tuple[Place, ...]
    totals: Mapping[Kind, int]
    """How many documents there are of each kind."""


def look_sql(buckets: int, salt: str) -> str:
    """The question for what there is; `buckets` bounds the rows of each kind. The salt is letters and digits."""
    assert buckets > 0
    assert salt.isalnum()
    return _LOOK.format(buckets=buckets, salt=salt)


def sample_of(rows: Iterable[Row], per_service: int) -> Sample:
    """Choose at most so many documents of each service, at least one of each kind: half the largest, half by chance.

    Raises KeyError, ValueError or TypeError for rows that are not those of the question.
    """
    totals: dict[Kind, int] = defaultdict(int)
    largest: dict[Kind, list[Place]] = defaultdict(list)
    chosen: dict[Kind, list[tuple[str, Place]]] = defaultdict(list)
    for row in rows:
        kind = Kind(row["service_name"], row["name"])
        totals[kind] += row["n"]
        largest[kind].append(_place(kind, row["largest"]))
        order, _, place = row["chosen"].partition(" ")
        chosen[kind].append((order, _place(kind, place)))
    names: dict[str, int] = defaultdict(int)
    for kind in totals:
        names[kind.service] += 1
    of_each = [
        _both(
            sorted(largest[kind], key=lambda place: -place.bytes),
            [place for _, place in sorted(chosen[kind], key=lambda one: one[0])],
            max(1, per_service // names[kind.service]),
        )
        for kind in sorted(totals)
    ]
    in_turn = tuple(place for turn in zip_longest(*of_each) for place in turn if place is not None)
    return Sample(in_turn, dict(totals))


def within(places: Sequence[Place], max_bytes: int) -> tuple[Place, ...]:
    """Those of these places that a bound of bytes has room for, in their order."""
    kept, left = [], max_bytes
    for place in places:
        if place.bytes <= left:
            kept.append(place)
            left -= place.bytes
    return tuple(kept)


def batches(places: Iterable[Place]) -> Iterator[list[Place]]:
    """What is read together."""
    batch: list[Place] = []
    for place in places:
        full = len(batch) == READ_AT_ONCE or sum(one.bytes for one in batch) + place.bytes > BYTES_AT_ONCE
        if batch and full:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def read_sql(batch: Sequence[Place]) -> str:
    """The question for these documents. It brings others too, whose objects have the same keys."""
    return _READ.format(
        places=", ".join(str(place.partition_key) for place in batch),
        services=", ".join(sorted({quoted(place.kind.service) for place in batch})),
        names=", ".join(sorted({quoted(place.kind.name) for place in batch})),
    )


def _both(largest: Sequence[Place], chosen: Sequence[Place], most: int) -> list[Place]:
    """As many of the ones as of the others, in turn, each once."""
    pairs = zip_longest(largest, chosen)
    return list(dict.fromkeys(place for pair in pairs for place in pair if place is not None))[:most]


def _place(kind: Kind, text: str) -> Place:
    size, partition_key, key = text.split(" ", 2)
    return Place(kind, key, int(partition_key), int(size))
