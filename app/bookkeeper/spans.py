"""Spans of time with so many entries that they can be read and sorted together, and how texts of theirs are found.

A moment is a text here, as entries have it: texts are in the order of time.
"""

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import NamedTuple

MOST_HOURS = 6
"""The most hours that are searched for one by one."""


class Span(NamedTuple):
    """From a moment until before another one."""

    since: str
    until: str


def spans_of(hours: Mapping[str, int], since: str, until: str, most: int) -> Iterator[Span]:
    """Spans without a gap between two moments, each with about `most` entries, or with those of a minute.

    `hours` says how many entries there are, by the beginning of their moments' texts. Those of an hour are taken to be
    spread over it.
    """
    begun, entries = since, 0
    for moment, more in _parts(hours, most):
        if entries and entries + more > most and begun < moment < until:
            yield Span(begun, moment)
            begun, entries = moment, 0
        entries += more
    yield Span(begun, until)


def _parts(hours: Mapping[str, int], most: int) -> Iterator[tuple[str, int]]:
    """The hours, each whole or in parts of as many minutes as are needed, and about how many entries there are."""
    for hour, entries in sorted(hours.items()):
        parts = min(60, -(-entries // most))
        for number in range(parts):
            yield f"{hour}:{number * 60 // parts:02}" if number else hour, -(-entries // parts)


def words_of(span: Span) -> str:
    """An SQL condition that each document with a moment of this span meets, and few others: it is quick to check."""
    return " or ".join(f"""value_utf8 like '%"{beginning}%'""" for beginning in _beginnings(span))


def _beginnings(span: Span) -> Iterator[str]:
    """What the text of any moment of a span begins with: one of some hours, or what both ends have in common."""
    (day, first), (last_day, last) = ((text[:11], text[11:13]) for text in span)
    if day == last_day and int(last) - int(first) < MOST_HOURS:
        yield from (f"{day}{hour:02}" for hour in range(int(first), int(last) + 1))
        return
    common = takewhile(lambda pair: pair[0] == pair[1], zip(span.since, span.until, strict=False))
    yield "".join(both for both, _ in common)
