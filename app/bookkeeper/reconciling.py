"""How the bookkeeper compares a system with its provider: all of it once a day, and what is new in each look."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from app.bookkeeper import queries
from app.bookkeeper.reconcile import (
    Finding,
    Key,
    Moved,
    Open,
    Reconciliation,
    moved_here,
    moved_there,
    reconciliation,
)
from app.bookkeeper.spans import Span, spans_of, words_of
from app.bookkeeper.unreadable import moment_of
from app.domain.model import iso
from app.domain.payments import MovementPage

NAMED = 100
"""The most references that one look reports."""
ENTRIES_AT_ONCE = 50_000
"""About so many entries are read together and sorted here, since Restate's memory does not suffice to sort them all."""
WHOLE_EVERY = timedelta(days=1)
"""How often everything is compared again, whatever the looks between have seen."""
WHOLE_WHEN_FOUND = timedelta(minutes=10)
"""How often while something differs: what was entered late, with its older time, may have mended it."""
NEW_AT_MOST = timedelta(hours=2)
"""How much may be new to be read together. After longer, as when the provider was away, all is read in spans."""
LATE = timedelta(seconds=60)
"""What moved longer ago than this has been entered on both sides, so that the next look need not see it again. What is
even later makes that look compare everything."""
AHEAD = timedelta(hours=1)
"""What is dated later than this from now is read by a later look."""
AGAIN_SECONDS = 2.0
"""After a comparison of everything that found something, it is made once more before it is told."""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

Query = Callable[[str], Awaitable[Sequence[queries.Row]]]


class Listing(Protocol):
    """The listings of all movements at a payment provider."""

    async def charges_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        """Return a page of the movements of charges since the given moment."""

    async def payouts_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        """Return a page of the movements of payouts since the given moment."""


@dataclass(frozen=True)
class _Look:
    """What one comparison saw."""

    at: datetime
    settled: Open
    """What differs of all that moved until `until`, to go on from."""
    until: datetime
    found: dict[Key, Finding]
    compared: int


class Reconciler:
    """Compares again and again. It remembers what differed, and how far it has seen; matters that agree are let go."""

    def __init__(self, provider: Listing, grace: timedelta) -> None:
        self._provider = provider
        self._grace = grace
        self._last: _Look | None = None
        self._whole_at = BEGINNING

    async def look(self, query: Query) -> Reconciliation:
        """Compare what both sides have had for longer than the grace."""
        look = await self._new(query)
        if look is None:
            look = await self._whole(query)
            self._whole_at = look.at
        self._last = look
        return reconciliation(look.at, look.compared, look.found, NAMED)

    async def _new(self, query: Query) -> _Look | None:
        """Compare what is new since the last look; None where that does not do, and everything has to be compared."""
        last, now = self._last, _now()
        if last is None or now - last.until > NEW_AT_MOST:
            return None
        if now - self._whole_at >= (WHOLE_WHEN_FOUND if last.found else WHOLE_EVERY):
            return None
        look = await self._compare(query, now, last.settled, last.until)
        return look if look.found.items() <= last.found.items() else None

    async def _whole(self, query: Query) -> _Look:
        """Compare everything; what differs is told if it still does when all is compared once more.

        The two sides are not seen at one moment, and a page of older movements may be on its way.
        """
        look = await self._compare(query, _now(), Open(), BEGINNING)
        if not look.found:
            return look
        await asyncio.sleep(AGAIN_SECONDS)
        again = await self._compare(query, _now(), Open(), BEGINNING)
        confirmed = {key: finding for key, finding in again.found.items() if look.found.get(key) == finding}
        return _Look(again.at, again.settled, again.until, confirmed, again.compared)

    async def _compare(self, query: Query, now: datetime, before: Open, since: datetime) -> _Look:
        settled, until = before.copy(), max(since, now - max(self._grace, LATE))
        seen, compared = before.copy(), 0
        async for moved in _merged(self._moved_there(since), _moved_here(query, since, now)):
            compared += 1
            seen.enter(moved)
            if moved.at < until:
                settled.enter(moved)
        return _Look(now, settled, until, seen.older_than(now - self._grace), compared)

    async def _moved_there(self, since: datetime) -> AsyncIterator[Moved]:
        """What the provider says, charges and payouts, in the order of time."""
        async for moved in _merged(
            _listed(self._provider.charges_since, since), _listed(self._provider.payouts_since, since)
        ):
            yield moved


class _Page(Protocol):
    async def __call__(self, moment: datetime, cursor: str | None = None) -> MovementPage: ...


async def _listed(page_of: _Page, since: datetime) -> AsyncIterator[Moved]:
    cursor = None
    while True:
        page = await page_of(since, cursor)
        for movement in page.movements:
            if movement.at >= since:
                yield moved_there(movement)
        if (cursor := page.next) is None:
            return


async def _moved_here(query: Query, since: datetime, now: datetime) -> AsyncIterator[Moved]:
    """What the books say, in the order of time."""
    for span in await _spans(query, since, now):
        which = {"since": span.since, "until": span.until, "words": words_of(span)}
        rows = [
            *await query(queries.MOVED_IN_DOCUMENTS.format(**which)),
            *await query(queries.MOVED_ON_PAGES.format(**which)),
        ]
        entries = {entry for row in rows if (entry := _entry(row)) is not None}
        for entry in sorted(entries):
            at = datetime.fromisoformat(entry.at)
            yield moved_here(entry.kind, entry.reference, entry.player, entry.posting, entry.currency, at)


class _Entry(NamedTuple):
    """An entry on an account `provider`. One that is seen in a document and on a page is the same in both."""

    at: str
    player: str
    seq: int
    kind: str
    reference: str
    wallet: str
    posting: int
    currency: str


def _entry(row: queries.Row) -> _Entry | None:
    """An entry with all that one has; None for another, as in a document that cannot be read."""
    values: list[Any] = [row.get(name) for name in _Entry._fields]
    if None in values or moment_of(row["at"]) is None:
        return None
    return _Entry(*values)


async def _spans(query: Query, since: datetime, now: datetime) -> Sequence[Span]:
    if since != BEGINNING:
        return [Span(iso(since), iso(now + AHEAD))]
    told = {str(row.get("hour")): int(row["entries"]) for row in await query(queries.HOURS)}
    hours = {hour: entries for hour, entries in told.items() if moment_of(f"{hour}:00Z") is not None}
    return list(spans_of(hours, iso(BEGINNING), iso(now + AHEAD), ENTRIES_AT_ONCE))


async def _merged(*sides: AsyncIterator[Moved]) -> AsyncIterator[Moved]:
    """What several say, in the order of time as far as each is: so little differs at any moment."""
    heads = [(side, moved) for side in sides if (moved := await anext(side, None)) is not None]
    while heads:
        place = min(range(len(heads)), key=lambda place: heads[place][1].at)
        side, moved = heads[place]
        yield moved
        if (following := await anext(side, None)) is None:
            del heads[place]
        else:
            heads[place] = side, following


def _now() -> datetime:
    """The time to the millisecond, as entries have it."""
    return datetime.fromisoformat(iso(datetime.now(UTC)))
