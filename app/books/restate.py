"""How the bookkeeper sees a running system: Restate's SQL for totals, the ingress for the audit of single players."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from app.books import queries
from app.books.books import Books, Waiting, balances_of
from app.domain.model import iso
from app.domain.statement import Audit

ANSWER_SECONDS = 60.0
AUDITS_AT_ONCE = 8

Row = Mapping[str, Any]


class UnknownError(Exception):
    """Something did not answer, or not completely: nothing may be concluded from it."""


class Restate(AbstractAsyncContextManager["Restate"]):
    """One running system. Players are sampled in turn, from `place` on; then the first come again."""

    def __init__(self, admin: str, ingress: str, charge_wait: timedelta, place: int) -> None:
        self._admin = admin.rstrip("/")
        self._ingress = ingress.rstrip("/")
        self._charge_wait = charge_wait
        self._place = place
        limits = httpx.Limits(max_connections=AUDITS_AT_ONCE)
        headers = {"accept": "application/json"}
        self._http = httpx.AsyncClient(timeout=ANSWER_SECONDS, limits=limits, headers=headers, trust_env=False)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Be ready to ask."""
        return self

    async def look(self, sample: int, done: Callable[[str], None] = lambda _: None) -> Books:
        """See everything, or raise `UnknownError`. `done` is told each step that is."""
        try:
            return await self._look(sample, done)
        except (KeyError, TypeError, ValueError) as error:
            raise UnknownError(f"an answer of Restate is not what we know: {error!r}") from error

    async def _look(self, sample: int, done: Callable[[str], None]) -> Books:
        seen_at = datetime.now(UTC)
        [players] = await self._query(queries.PLAYERS)
        balances = await self._query(queries.BALANCES)
        unreadable = players["unreadable"] + sum(row["unreadable"] for row in balances)
        if unreadable:
            raise UnknownError(f"{unreadable} documents or balances of players cannot be read")
        done("balances")
        [wallets] = await self._query(queries.WALLETS)
        examples = await self._query(queries.UNBALANCED) if wallets["unbalanced"] else ()
        done("wallets")
        before = iso(seen_at - self._charge_wait)
        operations = {row["operation"]: row for row in await self._query(queries.OPERATIONS.format(before=before))}
        done("deposits and withdrawals")
        [markets] = await self._query(queries.MARKETS)
        done("markets")
        [settlements] = await self._query(queries.SETTLEMENTS)
        done("settlements")
        audits = await self._audits(min(sample, players["players"]), done)
        return Books(
            seen_at=seen_at,
            players=players["players"],
            sampled=len(audits),
            disagreeing=tuple(sorted(player for player, audit in audits.items() if not audit.balanced)),
            balances=balances_of(balances),
            unbalanced_wallets=wallets["unbalanced"],
            unbalanced_examples=tuple(
                f"player {row['player']}: wallet {row['wallet']} sums to {row['off']}" for row in examples
            ),
            players_in_debt=wallets["in_debt"],
            open_markets=markets["open"],
            liability=markets["liability"],
            deposits=_waiting(operations["deposits"], "n"),
            withdrawals=_waiting(operations["withdrawals"], "n"),
            settlements=_waiting(settlements, "running"),
            settlement_bets_left=settlements["bets_left"],
        )

    async def _audits(self, sample: int, done: Callable[[str], None]) -> dict[str, Audit]:
        """The audits of the next players."""
        gate = asyncio.Semaphore(AUDITS_AT_ONCE)

        async def one(player: str) -> tuple[str, Audit]:
            async with gate:
                audit = await self._audit(player)
            done("audits")
            return player, audit

        names = await self._next_players(sample)
        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(one(player)) for player in names]
        except* UnknownError as errors:
            raise errors.exceptions[0] from None
        return dict(task.result() for task in asked)

    async def _next_players(self, most: int) -> list[str]:
        rows = await self._query(queries.SAMPLE.format(after=self._place, most=most))
        if len(rows) < most:
            rows += await self._query(queries.SAMPLE.format(after=0, most=most - len(rows)))
        if rows:
            self._place = rows[-1]["place"]
        return [row["player"] for row in rows]

    async def _audit(self, player: str) -> Audit:
        path = f"PlayerService/{quote(player, safe='')}/audit"
        response = await self._answered("POST", f"{self._ingress}/{path}")
        try:
            return Audit.model_validate_json(response.content)
        except ValidationError as error:
            raise UnknownError(f"{path} answered what is no audit: {response.text[:200]}") from error

    async def _query(self, sql: str) -> list[Row]:
        response = await self._answered("POST", f"{self._admin}/query", json={"query": sql})
        rows: list[Row] = response.json()["rows"]
        return rows

    async def _answered(self, method: str, url: str, **content: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, url, **content)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise UnknownError(f"{url} does not answer: {str(error) or type(error).__name__}") from error
        if not response.is_success:
            raise UnknownError(f"{url} answers {response.status_code}: {response.text[:200]}")
        return response


def _waiting(row: Row, count: str) -> Waiting:
    oldest = row.get("oldest")
    return Waiting(row[count], datetime.fromisoformat(oldest) if oldest else None)
