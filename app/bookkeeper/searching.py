"""How the bookkeeper finds what was left behind: by Restate's SQL, and the player where a bet may be in the archive."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

import httpx

from app.bookkeeper import queries
from app.bookkeeper.stranded import OWN_TIME, Kind, Stranded, Strandings, Suspicions
from app.domain.model import iso

NAMED = 100
"""The most things of one kind that a look names, and sends on."""
PAGES_A_LOOK = 200
"""Pages of bets that are compared with their players' documents in one look, others in each, until all had a turn."""
LEGS_A_LOOK = 1_000
"""The most legs without a bet that a look takes on."""
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


class Search:
    """Searches repeatedly for work that was left behind."""

    def __init__(self, grace: timedelta, charge_wait: timedelta) -> None:
        self.grace = grace
        self._charge_wait = charge_wait
        self._legs, self._results, self._terms, self._untold = (Suspicions() for _ in range(4))
        self._told_late: list[Stranded] = []
        self._place = 0

    async def look(self, asked: Asked, now: datetime, everywhere: bool = False) -> Strandings:
        """See what is left behind now, and since when; `everywhere` compares all pages of bets at once."""
        operations = await asked.query(
            queries.LEFT_OPERATIONS.format(
                before=iso(now - self.grace), charged_before=iso(now - self.grace - self._charge_wait), most=NAMED
            )
        )
        results = self._results.confirm(
            await _markets(asked, queries.LEFT_RESULTS, Kind.SETTLEMENT, now), now, self.grace
        )
        terms = self._terms.confirm(await _markets(asked, queries.LEFT_TERMS, Kind.TERMS, now), now, self.grace)
        legs = self._legs.confirm(await self._orphans(asked, now, everywhere), now, self.grace)
        self._told_late = self._untold.confirm(await _untold_bets(asked, now), now, self.grace)
        totals = dict.fromkeys(Kind, 0) | {Kind(row["kind"]): int(row["total"]) for row in operations}
        totals |= {Kind.BET: totals[Kind.BET] + len(self._told_late)}
        return Strandings(
            totals=totals | {Kind.LEG: len(legs), Kind.SETTLEMENT: len(results), Kind.TERMS: len(terms)},
            first=(*map(_operation, operations), *self._told_late, *legs[:NAMED], *results, *terms),
        )

    async def look_patiently(self, asked: Asked, found: Strandings) -> Strandings:
        """Look again at what nobody can tell the age of, until each is cleared or was seen for as long as the grace."""
        seen = (Kind.LEG, Kind.SETTLEMENT, Kind.TERMS)
        while self._suspected > sum(found.totals[kind] for kind in seen) + len(self._told_late):
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            found = await self.look(asked, datetime.now(UTC), everywhere=True)
        return found

    @property
    def _suspected(self) -> int:
        return len(self._legs.all) + len(self._results.all) + len(self._terms.all) + len(self._untold.all)

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


async def _untold_bets(asked: Asked, now: datetime) -> list[Stranded]:
    rows = await asked.query(queries.UNTOLD.format(most=NAMED))
    return [Stranded(Kind.BET, {"userId": row["player"], "betId": row["bet"]}, now) for row in rows]


def _operation(row: queries.Row) -> Stranded:
    kind = Kind(row["kind"])
    return Stranded(kind, {"userId": row["player"], _NAMES[kind]: row["id"]}, datetime.fromisoformat(row["since"]))


def _leg(row: queries.Row, now: datetime) -> Stranded:
    where = {"marketId": row["market"], "book": row["book"], "page": row["page"]}
    return Stranded(Kind.LEG, {**where, "userId": row["player"], "betId": row["bet"]}, now)


def _page_keys(leg: Stranded) -> tuple[str, str]:
    """Where a leg's page is stored: the newest in its book, others by themselves."""
    book = "{marketId}:{book}".format(**leg.names)
    return book.replace("'", "''"), f"{book}:{leg.names['page']}".replace("'", "''")
