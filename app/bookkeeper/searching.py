"""How the bookkeeper finds what was left behind: by Restate's SQL, and the player where a bet may be in the archive."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import groupby, islice
from typing import Protocol
from urllib.parse import quote

import httpx

from app.bookkeeper import queries
from app.bookkeeper.pages import next_of
from app.bookkeeper.stranded import OWN_TIME, Kind, Stranded, Strandings, Suspicions
from app.bookkeeper.unreadable import is_unreadable, moment_of
from app.domain.model import iso

NAMED = 100
"""The most things of one kind that a look names, and sends on."""
PAGES_A_LOOK = 200
"""Pages of bets that are compared with their players' documents in one look, others in each, until all had a turn."""
LEGS_A_LOOK = 1_000
"""The most legs without a bet that a look takes on."""
PLAYERS_A_LOOK = 10_000
"""Players with open bets whose markets' results are compared with theirs in one look, others in each, until all had a
turn."""
ASKED_AT_ONCE = 8
LOOK_AGAIN_SECONDS = 1.0
"""The pause between looks at work of unknown age."""

_NAMES = {Kind.DEPOSIT: "depositId", Kind.WITHDRAWAL: "withdrawalId", Kind.BET: "betId"}
assert _NAMES.keys() == OWN_TIME


class Asked(Protocol):
    """The interface of a running system that a search queries."""

    async def query(self, sql: str) -> Sequence[queries.Row]:
        """Run an SQL query in Restate and return its rows."""

    async def request(self, path: str, body: object) -> httpx.Response:
        """Send a request to the ingress and return its reply, whatever its status."""


@dataclass(frozen=True)
class Players:
    """The players whom a search concerns, by their partition keys, as a look at all players has seen them."""

    under_way: Sequence[int] = ()
    """Who may have something under way."""
    betting: Sequence[int] = ()
    """Who may have an open bet."""


class Search:
    """Searches repeatedly for work that was left behind."""

    def __init__(self, grace: timedelta, charge_wait: timedelta, better: int = 0) -> None:
        """Begin; bets are compared from the player with an open bet who follows `better`, a partition key."""
        self.grace = grace
        self._charge_wait = charge_wait
        self._legs, self._results, self._terms, self._untold = (Suspicions() for _ in range(4))
        self._place, self._better = 0, better
        self._suspects: frozenset[int] = frozenset()
        """Where the players are who seemed not to know a result in the last look."""

    async def look(self, asked: Asked, players: Players, now: datetime, everywhere: bool = False) -> Strandings:
        """See what is left behind now, and since when; `everywhere` compares all bets and pages of bets at once."""
        operations, totals = await self._operations(asked, players.under_way, now)
        results = self._results.confirm(
            await _markets(asked, queries.LEFT_RESULTS, Kind.SETTLEMENT, now), now, self.grace
        )
        terms = self._terms.confirm(await _markets(asked, queries.LEFT_TERMS, Kind.TERMS, now), now, self.grace)
        legs = self._legs.confirm(await self._orphans(asked, now, everywhere), now, self.grace)
        told_late = self._untold.confirm(
            await self._untold_bets(asked, players.betting, now, everywhere), now, self.grace
        )
        totals |= {Kind.BET: totals[Kind.BET] + len(told_late)}
        return Strandings(
            totals=totals | {Kind.LEG: len(legs), Kind.SETTLEMENT: len(results), Kind.TERMS: len(terms)},
            first=(*operations, *told_late, *legs[:NAMED], *results, *terms),
        )

    async def look_patiently(self, asked: Asked, players: Players, found: Strandings) -> Strandings:
        """Look again at what nobody can tell the age of, until each is cleared or was seen for as long as the grace.

        What is suspected only meanwhile is not waited for: where bets are placed, something always is.
        """
        suspected = self._unconfirmed
        while suspected:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            found = await self.look(asked, replace(players, betting=()), datetime.now(UTC), everywhere=True)
            suspected &= self._unconfirmed
        return found

    @property
    def _unconfirmed(self) -> frozenset[object]:
        kinds = (self._legs, self._results, self._terms, self._untold)
        return frozenset(key for suspicions in kinds for key in suspicions.unconfirmed)

    async def _operations(
        self, asked: Asked, under_way: Sequence[int], now: datetime
    ) -> tuple[list[Stranded], dict[Kind, int]]:
        """What these players wait for and nobody works on: the oldest of each kind, and how many there are."""
        before, charged_before = iso(now - self.grace), iso(now - self.grace - self._charge_wait)
        found: list[Stranded] = []
        totals = dict.fromkeys(Kind, 0)
        for places in _in_pages(under_way):
            rows = await asked.query(
                queries.LEFT_OPERATIONS.format(places=places, before=before, charged_before=charged_before, most=NAMED)
            )
            for kind, total in {row["kind"]: row["total"] for row in rows}.items():
                totals[Kind(kind)] += total
            for row in rows:
                if (since := moment_of(row["since"])) is not None:
                    found.append(_operation(row, since))
                else:  # its player's document cannot be read, and nobody could go on with it
                    totals[Kind(row["kind"])] -= 1
        found.sort(key=lambda thing: (thing.kind, thing.since, *map(str, thing.names.values())))
        return [
            thing for _, of_kind in groupby(found, lambda thing: thing.kind) for thing in islice(of_kind, NAMED)
        ], totals

    async def _untold_bets(
        self, asked: Asked, betting: Sequence[int], now: datetime, everywhere: bool
    ) -> list[Stranded]:
        """Open bets that missed a result, of the next players who have open bets and of those who were suspected."""
        compared = betting if everywhere else next_of(betting, self._better, PLAYERS_A_LOOK)
        others = [place for place in compared if place not in self._suspects]
        rows = [
            row
            for players in (self._suspects, others)
            for places in _in_pages(players)
            for row in await asked.query(queries.UNTOLD.format(places=places, most=NAMED))
        ][:NAMED]
        if compared and not everywhere:  # only now: those of a look that fails are the next look's
            self._better = compared[-1]
        self._suspects = frozenset(row["place"] for row in rows)
        return [Stranded(Kind.BET, {"userId": row["player"], "betId": row["bet"]}, now) for row in rows]

    async def _orphans(self, asked: Asked, now: datetime, everywhere: bool) -> list[Stranded]:
        """Legs of bets that their players do not have, on the next pages and on those where some were suspected."""
        after = 0 if everywhere else self._place
        upto = queries.LAST_PLACE if everywhere else await self._next_place(asked)
        again = ", ".join(f"'{key}'" for leg in self._legs.all for key in _page_keys(leg)) or "''"
        found = await asked.query(queries.ORPHANS.format(after=after, upto=upto, again=again, most=LEGS_A_LOOK))
        gate = asyncio.Semaphore(ASKED_AT_ONCE)

        async def has_no_bet(row: queries.Row) -> bool:
            if not row["unknown"]:
                return True
            async with gate:
                answer = await asked.request(
                    f"PlayerService/{quote(row['player'], safe='')}/getBet", {"betId": row["bet"]}
                )
            if is_unreadable(answer):
                return False
            return answer.status_code == HTTPStatus.NOT_FOUND or answer.json()["status"] == "refused"

        orphaned = await asyncio.gather(*map(has_no_bet, found))
        return [_leg(row, now) for row, orphan in zip(found, orphaned, strict=True) if orphan]

    async def _next_place(self, asked: Asked) -> int:
        """Where this look's pages end; the next look goes on from there, and after the last with the first again."""
        places = await asked.query(queries.PAGE_PLACES.format(after=self._place, most=PAGES_A_LOOK))
        self._place = int(places[-1]["place"]) if len(places) == PAGES_A_LOOK else 0
        return self._place or queries.LAST_PLACE


async def _markets(asked: Asked, which: str, kind: Kind, now: datetime) -> list[Stranded]:
    rows = await asked.query(which.format(most=NAMED))
    return [Stranded(kind, {"marketId": row["market"]}, now) for row in rows]


def _in_pages(places: Collection[int]) -> Iterator[str]:
    """Partition keys as SQL lists them, in their order, as many at a time as Restate looks up one by one."""
    ordered = sorted(places)
    for start in range(0, len(ordered), queries.PLACES):
        yield ", ".join(map(str, ordered[start : start + queries.PLACES]))


def _operation(row: queries.Row, since: datetime) -> Stranded:
    kind = Kind(row["kind"])
    return Stranded(kind, {"userId": row["player"], _NAMES[kind]: row["id"]}, since)


def _leg(row: queries.Row, now: datetime) -> Stranded:
    where = {"marketId": row["market"], "book": row["book"], "page": row["page"]}
    return Stranded(Kind.LEG, {**where, "userId": row["player"], "betId": row["bet"]}, now)


def _page_keys(leg: Stranded) -> tuple[str, str]:
    """Where a leg's page is stored: the newest in its book, others by themselves."""
    book = "{marketId}:{book}".format(**leg.names)
    return book.replace("'", "''"), f"{book}:{leg.names['page']}".replace("'", "''")
