"""The pages of a look at all players, and whose turn it is."""

from hypothesis import given
from hypothesis import strategies as st

from app.bookkeeper.pages import KEYS, next_of, pages_of


@given(players=st.integers(0, 10_000_000), size=st.integers(1_000, 500_000))
def test_pages_have_every_partition_key_once(players: int, size: int) -> None:
    pages = list(pages_of(players, size))

    assert (pages[0].first, pages[-1].last) == (0, KEYS - 1)
    assert all(page.first <= page.last for page in pages)
    assert [page.first for page in pages[1:]] == [page.last + 1 for page in pages[:-1]]
    assert len(pages) == max(1, -(-players // size))


@given(places=st.sets(st.integers(0, 99)), after=st.integers(0, 99), most=st.integers(1, 9))
def test_everybody_has_a_turn_before_anybody_has_two(places: set[int], after: int, most: int) -> None:
    had: list[int] = []
    while len(had) + most <= len(places):
        had += (turn := next_of(tuple(places), after, most))
        after = turn[-1]

    assert len(had) == len(set(had))
    assert {*had, *next_of(tuple(places), after, most)} == places
