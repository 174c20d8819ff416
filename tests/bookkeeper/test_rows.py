"""An answer of any length, read while it comes."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bookkeeper.rows import Rows

VALUES = st.none() | st.booleans() | st.integers() | st.text()
ANSWERS = st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=5)


def read(*pieces: str) -> list[object]:
    rows = Rows()
    found = [row for piece in pieces for row in rows.feed(piece)]
    rows.end()
    return list(found)


@given(answer=ANSWERS, cuts=st.lists(st.integers(0, 400), max_size=9), spaces=st.booleans())
def test_rows_are_the_same_wherever_the_answer_is_cut(answer: list[object], cuts: list[int], spaces: bool) -> None:
    text = json.dumps({"rows": answer}, separators=None if spaces else (",", ":"), ensure_ascii=spaces)
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})

    assert read(*(text[first:last] for first, last in pairwise(places))) == answer


@given(answer=ANSWERS, left=st.integers(0, 400))
def test_an_answer_that_breaks_off_is_not_taken_for_all_of_it(answer: list[object], left: int) -> None:
    text = json.dumps({"rows": answer})

    with pytest.raises(ValueError, match="cut off"):
        read(text[: min(left, len(text) - 1)])


def test_what_is_no_answer_to_a_query_has_no_rows() -> None:
    with pytest.raises(ValueError, match="cut off"):
        read('{"message":"something else"}')


def test_a_row_is_told_before_the_answer_is_over() -> None:
    assert list(Rows().feed('{"rows":[{"player":"ann"},{"pla')) == [{"player": "ann"}]
