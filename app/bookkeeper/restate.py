"""How the bookkeeper sees a running system: Restate's SQL for totals, the ingress for the audit of single players."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import nsmallest
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from app.bookkeeper import queries
from app.bookkeeper.auditing import audits_due
from app.bookkeeper.books import Books, Waiting
from app.bookkeeper.forgetting import Forgetting
from app.bookkeeper.pages import PLAYERS_A_PAGE, Page, pages_of
from app.bookkeeper.queries import Row
from app.bookkeeper.reconcile import Reconciliation
from app.bookkeeper.reconciling import Reconciler
from app.bookkeeper.rows import Rows
from app.bookkeeper.searching import LOOK_AGAIN_SECONDS, Players, Search
from app.bookkeeper.stranded import Stranded, Strandings
from app.bookkeeper.tally import NAMED, Tally
from app.bookkeeper.unreadable import is_unreadable
from app.domain.access import BOOKKEEPER, headers_of
from app.domain.model import iso
from app.domain.statement import Audit
from app.providers.payments import ListingError

ANSWER_SECONDS = 60.0
"""Of silence. What is longer in coming is as good as none."""
QUERY_SECONDS = 600.0
"""For a query that is answered at its end, since Restate reads past all players for most."""
CONNECT_SECONDS = 3.0
"""For a connection. To an address whose pod has just gone there never is one; the next try may go to another."""
CONNECT_AGAIN = 2
"""How often a connection is tried again; nothing was asked then, so nothing is asked twice."""
UNKNOWN_PAUSES_SECONDS = (0.2, 0.5, 1.0)
"""The pauses before a node of Restate that does not know a handler is asked again; nothing was accepted then."""
PAGE_PAUSES_SECONDS = (1.0, 5.0)
"""The pauses before a page of players that failed is asked for again."""
AS_BOOKKEEPER = headers_of(BOOKKEEPER)
AUDITS_AT_ONCE = 8
STRANDED_AFTER = timedelta(seconds=60)
REPAIR_SECONDS = 30.0
"""How long what was sent on may take to be worked on again, or to be done."""


class UnknownError(Exception):
    """A system gave no complete answer, so no conclusion may be drawn from the look."""


class Restate(AbstractAsyncContextManager["Restate"]):
    """One running system. Players are sampled in turn, from `place` on; then the first come again."""

    def __init__(
        self,
        admin: str,
        ingress: str,
        charge_wait: timedelta,
        place: int,
        stranded_after: timedelta = STRANDED_AFTER,
        reconciler: Reconciler | None = None,
        forgetting: Forgetting | None = None,
        players_a_page: int = PLAYERS_A_PAGE,
    ) -> None:
        self._admin = admin.rstrip("/")
        self._ingress = ingress.rstrip("/")
        self._charge_wait = charge_wait
        self._place = place
        self._players = Players()
        self._audited_at: float | None = None
        self._unread: tuple[str, ...] = ()
        """Players whose last audit said that their documents cannot be read: they are asked again in each look."""
        self._search = Search(stranded_after, charge_wait, place)
        self._reconciler = reconciler
        self._forgetting = forgetting
        self._players_a_page = players_a_page
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            headers={"accept": "application/json"},
            transport=httpx.AsyncHTTPTransport(
                limits=httpx.Limits(max_connections=AUDITS_AT_ONCE), retries=CONNECT_AGAIN, trust_env=False
            ),
            trust_env=False,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Be ready to ask."""
        return self

    async def look(self, sample: int, done: Callable[[str], None] = lambda _: None, patiently: bool = False) -> Books:
        """See everything, or raise `UnknownError`. `done` is told each step that is.

        What is stranded, and cannot say since when, is told when a later look sees it again; or now, if `patiently`.
        """
        with _understood():
            return await self._look(sample, done, patiently)

    async def repair(self, stranded: Strandings) -> tuple[Stranded, ...]:
        """Ask for all that is named to be sent on, and tell what was."""
        for thing in stranded.first:
            await self.send_on(f"RepairService/{thing.kind}/send", thing.body)
        return stranded.first

    async def forget(self) -> int:
        """Ask for what is kept to answer about old deposits to be cleared, some at a time; tell about how many."""
        if self._forgetting is None:
            return 0
        with _understood():
            return await self._forgetting.sweep(self, datetime.now(UTC))

    async def settled_down(self, sent_on: tuple[Stranded, ...]) -> None:
        """Wait until what was sent on is not stranded any more, for a while at most."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + REPAIR_SECONDS
        keys = {thing.key for thing in sent_on}
        while loop.time() < deadline:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            with _understood():
                left = await self._search.look(self, self._players, datetime.now(UTC), everywhere=True)
            if keys.isdisjoint(thing.key for thing in left.first):
                return

    async def _strandings(self, now: datetime, patiently: bool) -> Strandings:
        found = await self._search.look(self, self._players, now, everywhere=patiently)
        return await self._search.look_patiently(self, self._players, found) if patiently else found

    async def _tally(self, before: str, done: Callable[[str], None]) -> Tally:
        """Count all players, page by page. A page that fails is asked for again, and the others are not."""
        [row] = await self.query(queries.PLAYERS)
        tally = Tally()
        for page in pages_of(row["players"], self._players_a_page):
            tally.add(await self._page(page, before))
            done(f"{tally.players} of about {row['players']} players")
        return tally

    async def _page(self, page: Page, before: str) -> Tally:
        sql = queries.PAGE_OF_PLAYERS.format(first=page.first, last=page.last)
        for pause in (*PAGE_PAUSES_SECONDS, None):
            tally = Tally()
            try:
                await self._each_row(sql, partial(tally.enter, before=before))
            except UnknownError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                break
        return tally

    async def _look(self, sample: int, done: Callable[[str], None], patiently: bool) -> Books:
        seen_at, started = datetime.now(UTC), asyncio.get_running_loop().time()
        tally = await self._tally(iso(seen_at - self._charge_wait), done)
        self._players = Players(tally.under_way, tally.betting)
        markets = await self.query(queries.MARKETS)
        done("markets")
        [settlements] = await self.query(queries.SETTLEMENTS)
        done("settlements")
        stranded = await self._strandings(datetime.now(UTC), patiently)
        done("what is stranded")
        reconciled, not_reconciled = await self._reconciled()
        done("what the provider moved")
        now = asyncio.get_running_loop().time()
        audits, unread = await self._audits(audits_due(tally.players, now - (self._audited_at or now), sample), done)
        self._audited_at = now
        # Whom the tally counts, it names up to a limit; beyond that, an audited player may be counted already.
        named_all = tally.unreadable == len(tally.unreadable_first)
        more = unread - set(tally.unreadable_first) if named_all else frozenset()
        return Books(
            seen_at=seen_at,
            players=tally.players,
            sampled=len(audits),
            disagreeing=tuple(sorted(player for player, audit in audits.items() if not audit.balanced)),
            unreadable=tally.unreadable + len(more),
            unreadable_players=tuple(nsmallest(NAMED, [*tally.unreadable_first, *more])),
            balances={currency: dict(accounts) for currency, accounts in tally.balances.items()},
            unbalanced_wallets=tally.unbalanced,
            unbalanced_examples=tuple(map(str, tally.unbalanced_first)),
            players_in_debt=tally.in_debt,
            open_markets=sum(row["open"] for row in markets),
            liability={row["currency"]: row["liability"] for row in markets},
            deposits=tally.deposits,
            withdrawals=tally.withdrawals,
            settlements=_waiting(settlements, "running"),
            settlement_bets_left=settlements["bets_left"],
            stranded=stranded,
            reconciled=reconciled,
            not_reconciled=not_reconciled,
            seconds=asyncio.get_running_loop().time() - started,
        )

    async def _reconciled(self) -> tuple[Reconciliation | None, str]:
        """What the provider moved beside the books, or why that cannot be told. The books are told all the same."""
        if self._reconciler is None:
            return None, "nobody said where it is (--provider)"
        try:
            return await self._reconciler.look(self.query), ""
        except ListingError as error:
            return None, str(error)

    async def _audits(self, sample: int, done: Callable[[str], None]) -> tuple[dict[str, Audit], frozenset[str]]:
        """Audit the next players of the sample, and tell those apart whose documents cannot be read."""
        gate = asyncio.Semaphore(AUDITS_AT_ONCE)

        async def one(player: str) -> tuple[str, Audit | None]:
            async with gate:
                audit = await self._audit(player)
            done("audits")
            return player, audit

        names = dict.fromkeys([*self._unread, *await self._next_players(sample)])
        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(one(player)) for player in names]
        except* UnknownError as errors:
            raise errors.exceptions[0] from None
        audits = dict(task.result() for task in asked)
        unread = frozenset(player for player, audit in audits.items() if audit is None)
        self._unread = tuple(nsmallest(NAMED, unread))
        return {player: audit for player, audit in audits.items() if audit is not None}, unread

    async def _next_players(self, most: int) -> list[str]:
        rows = await self.query(queries.SAMPLE.format(after=self._place, most=most))
        if len(rows) < most:
            rows += await self.query(queries.SAMPLE.format(after=0, most=most - len(rows)))
        if rows:
            self._place = rows[-1]["place"]
        return [row["player"] for row in rows]

    async def _audit(self, player: str) -> Audit | None:
        """Audit a player; None if the document cannot be read."""
        path = f"PlayerService/{quote(player, safe='')}/audit"
        url = f"{self._ingress}/{path}"
        response = await self._asked("POST", url, headers=AS_BOOKKEEPER)
        if is_unreadable(response):
            return None
        _require_success(url, response)
        try:
            return Audit.model_validate_json(response.content)
        except ValidationError as error:
            raise UnknownError(f"{path} answered what is no audit: {response.text[:200]}") from error

    async def request(self, path: str, body: object) -> httpx.Response:
        """Send a request to the ingress and return its reply, whatever its status."""
        return await self._asked("POST", f"{self._ingress}/{path}", json=body, headers=AS_BOOKKEEPER)

    async def send_on(self, path: str, body: object) -> None:
        """Send a request to the ingress. Raises UnknownError if it is not taken."""
        await self._answered("POST", f"{self._ingress}/{path}", json=body, headers=AS_BOOKKEEPER)

    async def query(self, sql: str) -> list[Row]:
        """Run an SQL query in Restate and return its rows."""
        patience = httpx.Timeout(QUERY_SECONDS, connect=CONNECT_SECONDS)
        response = await self._answered("POST", f"{self._admin}/query", json={"query": sql}, timeout=patience)
        rows: list[Row] = response.json()["rows"]
        return rows

    async def _each_row(self, sql: str, take: Callable[[Row], None]) -> None:
        """Run an SQL query in Restate and take its rows as they come, of which there may be any number."""
        url, rows = f"{self._admin}/query", Rows()
        try:
            async with self._http.stream("POST", url, json={"query": sql}) as response:
                if not response.is_success:
                    raise UnknownError(f"{url} answers {response.status_code}: {(await response.aread())[:200]!r}")
                async for text in response.aiter_text():
                    for row in rows.feed(text):
                        take(row)
            rows.end()
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise UnknownError(f"{url} does not answer: {str(error) or type(error).__name__}") from error
        except ValueError as error:
            raise UnknownError(f"{url}: {error}") from error

    async def _asked(self, method: str, url: str, **content: Any) -> httpx.Response:
        for pause in (*UNKNOWN_PAUSES_SECONDS, None):
            try:
                response = await self._http.request(method, url, **content)
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise UnknownError(f"{url} does not answer: {str(error) or type(error).__name__}") from error
            if not _is_unknown_to_restate(response):
                return response
            if pause is not None:
                await asyncio.sleep(pause)
        raise UnknownError(f"{url}: Restate does not know this handler now: {response.text[:200]}")

    async def _answered(self, method: str, url: str, **content: Any) -> httpx.Response:
        response = await self._asked(method, url, **content)
        _require_success(url, response)
        return response


def _require_success(url: str, response: httpx.Response) -> None:
    if not response.is_success:
        raise UnknownError(f"{url} answers {response.status_code}: {response.text[:200]}")


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise UnknownError(f"an answer of Restate is not what we know: {error!r}") from error


def _is_unknown_to_restate(response: httpx.Response) -> bool:
    """Whether the 404 is the ingress's own, as of a node that has just started, and says nothing of what was asked."""
    own = response.headers.get("x-restate-error-source") == "ingress"
    return own and response.status_code == HTTPStatus.NOT_FOUND


def _waiting(row: Row, count: str) -> Waiting:
    oldest = row.get("oldest")
    return Waiting(row[count], datetime.fromisoformat(oldest) if oldest else None)
