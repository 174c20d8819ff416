"""Spans of time, and the words that find their entries."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bookkeeper.spans import Span, spans_of, words_of
from app.domain.model import iso

UTC_MOMENTS = st.integers(946_684_800, 4_070_908_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
HOURS = st.dictionaries(UTC_MOMENTS.map(lambda moment: iso(moment)[:13]), st.integers(1, 9), max_size=9)
BEGINNING, END = "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"


def spread_over(hours: dict[str, int]) -> list[str]:
    """Moments of so many entries, as far apart as an hour has room for."""
    return [f"{hour}:{entry * 60 // count:02}" for hour, count in hours.items() for entry in range(count)]


@given(hours=HOURS, most=st.integers(1, 20))
def test_spans_have_every_moment_once_and_no_more_entries_than_they_have_to(hours: dict[str, int], most: int) -> None:
    spans = list(spans_of(hours, BEGINNING, END, most))

    assert (spans[0].since, spans[-1].until) == (BEGINNING, END)
    assert all(before.until == after.since for before, after in pairwise(spans))
    for span in spans:
        assert sum(span.since <= moment < span.until for moment in spread_over(hours)) <= most


@st.composite
def moments(draw: st.DrawFn) -> list[datetime]:
    """Three in their order, often close together."""
    first = draw(UTC_MOMENTS)
    most = draw(st.sampled_from([1, 60, 24 * 60, 10**7]))
    return sorted(first + timedelta(minutes=draw(st.integers(0, most))) for _ in range(3))


@given(moments())
def test_the_words_of_a_span_are_in_every_document_with_a_moment_of_it(three: list[datetime]) -> None:
    since, at, until = map(iso, three)
    words = re.findall("%(.*?)%", words_of(Span(since, until)))

    assert any(word in f'{{"at":"{at}"}}' for word in words)


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("2026-11-27T18:20:00.000Z", "2026-11-27T19:50:00.000Z", ["2026-11-27T18", "2026-11-27T19"]),
        ("2026-11-27T05", "2026-11-27T18", ["2026-11-27T"]),
        ("2026-11-27T23:20:00.000Z", "2026-11-28T00:20:00.000Z", ["2026-11-2"]),
        ("1970-01-01T00:00:00.000Z", "2026-11-28T00:20:00.000Z", [""]),
    ],
)
def test_few_other_documents_have_the_words_of_a_span(since: str, until: str, words: list[str]) -> None:
    assert words_of(Span(since, until)) == " or ".join(f"""value_utf8 like '%"{word}%'""" for word in words)
