"""A look at all players goes by pages: ranges of partition keys, which are spread evenly."""

from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import NamedTuple

from app.bookkeeper.queries import LAST_PLACE

KEYS = LAST_PLACE + 1
"""How many partition keys there are."""
PLAYERS_A_PAGE = 500_000
"""About so many players a page.

A page that fails is asked for again, so it must not be long. Restate reads all documents for each page, though it only
works on those of the page, so there must not be many.
"""


class Page(NamedTuple):
    """The partition keys of a page, both included."""

    first: int
    last: int


def pages_of(players: int, players_a_page: int = PLAYERS_A_PAGE) -> Iterator[Page]:
    """Pages that have every partition key exactly once, whoever joins meanwhile."""
    count = max(1, -(-players // players_a_page))
    for number in range(count):
        yield Page(number * KEYS // count, (number + 1) * KEYS // count - 1)


def next_of(places: Sequence[int], after: int, most: int) -> list[int]:
    """The next places behind one, in their order and at most so many; behind the last comes the first again."""
    if len(places) <= most:
        return sorted(places)
    following = nsmallest(most, (place for place in places if place > after))
    return following + nsmallest(most - len(following), (place for place in places if place <= after))
