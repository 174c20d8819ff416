"""Restate's admin API, as far as shipping versions needs it."""

import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

import httpx

from app.release.plan import Deployment, Restate, Work
from app.release.watching import Troubled

LISTED = 100
"""The most invocations that one list names."""

Row = Mapping[str, Any]

CONNECT_SECONDS = 3.0
"""For a connection. To an address whose pod has just gone there never is one; the next try may go to another."""
CONNECT_AGAIN = 2
"""How often a connection is tried again; nothing was asked then, so nothing is asked twice."""

PAUSE_LOOKS = 20
PAUSE_LOOK_SECONDS = 0.5

HINTS = {
    "META0003": "its pods do not answer, or refuse this Restate's signature: see their log and the signing key",
    "META0006": "a service changed its type (Service, Virtual Object, Workflow): give it a new name instead",
    "META0009": "another deployment has this address",
}

_WORK = """
select pinned_deployment_id, target_service_name, status, count(*) as n, min(created_at) as oldest
from sys_invocation_status where status != 'completed' group by 1, 2, 3"""

_RETRYING = """
select pinned_deployment_id, target_service_name, status, count(*) as n, min(created_at) as oldest
from sys_invocation where status = 'backing-off' group by 1, 2, 3"""

_HOLDING = """
select id, status, target, pinned_deployment_id, created_at, scheduled_start_at,
  retry_count, next_retry_at, last_failure
from sys_invocation where status != 'completed' and ({where}){only} order by created_at limit {limit}"""

_FAILURES = "select id, event_json from sys_journal_events where id in ({ids}) order by appended_at"
_STATUS = "select status from sys_invocation_status where id = '{id}'"
_STEPS = """
select id, entry_type, name, sleep_wakeup_at, invoked_target, entry_lite_json
from sys_journal where id in ({ids})"""


_TROUBLED = """
select i.target_service_name as service, i.target_handler_name as handler, i.status as status,
  i.last_failure_error_code as code, i.created_at >= d.created_at as own,
  count(*) as n, sum(i.retry_count) as attempts
from sys_invocation i join sys_deployment d on d.id = i.pinned_deployment_id
where d.id = '{id}' and i.status != 'completed' and (i.status in ('paused', 'backing-off') or i.retry_count > 1)
group by 1, 2, 3, 4, 5"""


class Queries(Protocol):
    """Restate's SQL."""

    def query(self, sql: str) -> list[Row]:
        """Give the rows. UnknownError if that is not the whole answer."""


class UnknownError(Exception):
    """Restate gave no complete reply, so no conclusion may be drawn."""


class RefusedError(Exception):
    """Restate refused the request, and a retry will not help."""


@dataclass(frozen=True)
class Holding:
    """One unfinished invocation that holds a version."""

    id: str
    status: str
    handler: str
    pinned: bool
    made: datetime
    waiting_on: str
    last_failure: str


class RestateAdmin:
    """The admin API of one Restate."""

    def __init__(self, url: str, timeout_seconds: float = 15) -> None:
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
            headers={"accept": "application/json"},
            transport=httpx.HTTPTransport(retries=CONNECT_AGAIN),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def observe(self) -> Restate:
        """Routing first, then work: what a version starts after it lost its routes is still seen."""
        try:
            deployments = tuple(
                Deployment(known["id"], known["uri"], frozenset(service["name"] for service in known["services"]))
                for known in self._read("GET", "/deployments")["deployments"]
                if "uri" in known
            )
            routes = {known["name"]: known["deployment_id"] for known in self._read("GET", "/services")["services"]}
            work, retrying = (tuple(map(_work, self._query(sql))) for sql in (_WORK, _RETRYING))
        except (KeyError, TypeError, ValueError) as error:
            raise UnknownError(f"an answer of Restate is not what we know: {error!r}") from error
        return Restate(deployments, routes, work, retrying)

    def register(self, uri: str, again: bool) -> None:
        """Send new work of all services at this address to it.

        `again` brings back a version that Restate knows, which takes `force`. A new one must not have it: with `force`,
        Restate accepts even a service that changed its type.
        """
        try:
            self._ask("POST", "/deployments", json={"uri": uri, "force": again})
        except httpx.HTTPStatusError as error:
            raise RefusedError(_said(error.response)) from error

    def manifest(self, uri: str) -> list[dict[str, Any]]:
        """What the code at an address would serve; nothing is registered."""
        try:
            told = self._ask("POST", "/deployments", json={"uri": uri, "dry_run": True})
        except httpx.HTTPStatusError as error:
            raise RefusedError(_said(error.response)) from error
        return list(told["services"])

    def contracts(self) -> tuple[tuple[list[dict[str, Any]], ...], bool]:
        """What is served: by the newest versions, and by each that has unfinished work; and whether there is any."""
        work = self._query(_WORK)
        pinned = {row["pinned_deployment_id"] for row in work if row.get("pinned_deployment_id")}
        served = [self._read("GET", "/services")["services"]]
        known = {deployment["id"] for deployment in self._read("GET", "/deployments")["deployments"]}
        served += [self._read("GET", f"/deployments/{id}")["services"] for id in sorted(pinned & known)]
        return tuple(served), bool(work)

    def fed(self) -> frozenset[str]:
        """The handlers for which Restate reads a topic, as SERVICE/HANDLER."""
        told = self._ask("GET", "/subscriptions")["subscriptions"]
        return frozenset(one["sink"].removeprefix("service://") for one in told)

    def deregister(self, deployment: str) -> None:
        """Remove a version from Restate without checking its work, which the plan has done. It may be gone already."""
        try:
            self._ask("DELETE", f"/deployments/{deployment}", params={"force": "true"})
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise RefusedError(_said(error.response)) from error

    def pause(self, invocation: str) -> None:
        """Stop the retries of an invocation, and wait until they have stopped. One that has ended is refused."""
        try:
            self._ask("PATCH", f"/invocations/{invocation}/pause")
        except httpx.HTTPStatusError as error:
            raise RefusedError(_said(error.response)) from error
        for _ in range(PAUSE_LOOKS):
            rows = self._query(_STATUS.format(id=invocation))
            if [row["status"] for row in rows] == ["paused"]:
                return
            time.sleep(PAUSE_LOOK_SECONDS)
        raise UnknownError(f"{invocation} still runs")

    def resume(self, invocation: str, deployment: str) -> None:
        """Resume a paused invocation on this deployment."""
        try:
            self._ask("PATCH", f"/invocations/{invocation}/resume", params={"deployment": deployment})
        except httpx.HTTPStatusError as error:
            raise RefusedError(_said(error.response)) from error

    def holding(
        self,
        deployment: Deployment,
        routes: frozenset[str],
        limit: int = LISTED,
        statuses: Collection[str] = (),
        chosen: Collection[str] = (),
        past: Collection[str] = (),
    ) -> tuple[Holding, ...]:
        """What holds a version, oldest first.

        Only what has one of these statuses and is one of those chosen, if any are named, and none of those in `past`:
        the limit counts nothing else.
        """
        where = [f"pinned_deployment_id = '{deployment.id}'"]
        if routes:
            names = ", ".join(f"'{name}'" for name in sorted(routes))
            where.append(f"pinned_deployment_id is null and target_service_name in ({names})")
        lists = (("status", "in", statuses), ("id", "in", chosen), ("id", "not in", past))
        only = "".join(
            f" and {column} {which} ({', '.join(map(quoted, values))})" for column, which, values in lists if values
        )
        rows = self._query(_HOLDING.format(where=" or ".join(where), only=only, limit=limit))
        steps = self._of_each(_STEPS, [row["id"] for row in rows if row["status"] in ("running", "suspended")])
        failures = self._of_each(_FAILURES, [row["id"] for row in rows if row["status"] == "paused"])
        return tuple(_holding(row, steps[row["id"]], failures[row["id"]]) for row in rows)

    def troubled(self, deployment: str) -> tuple[Troubled, ...]:
        """The unfinished work of a deployment that has failed or is paused."""
        try:
            return tuple(map(_troubled, self._query(_TROUBLED.format(id=deployment))))
        except (KeyError, TypeError, ValueError) as error:
            raise UnknownError(f"an answer of Restate is not what we know: {error!r}") from error

    def _of_each(self, sql: str, ids: list[str]) -> Mapping[str, list[dict[str, Any]]]:
        """The rows of each of these invocations."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._query(sql.format(ids=", ".join(f"'{id}'" for id in ids))) if ids else ():
            found[row["id"]].append(row)
        return found

    def query(self, sql: str) -> list[Row]:
        """Ask Restate's SQL. UnknownError if it is refused, or the answer is not whole."""
        return list(self._query(sql))

    def _query(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._read("POST", "/query", json={"query": sql})["rows"]
        return rows

    def _read(self, method: str, path: str, **content: Any) -> Any:
        """Ask for what changes nothing: there, a refusal is no answer either."""
        try:
            return self._ask(method, path, **content)
        except httpx.HTTPStatusError as error:
            raise UnknownError(f"{method} {path}: {_said(error.response)}") from error

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        """A refusal is an HTTPStatusError; all else that is not a whole answer is an UnknownError."""
        try:
            response = self._http.request(method, path, **content)
            if response.is_client_error:
                response.raise_for_status()
            if response.is_server_error:
                raise UnknownError(_said(response))
            return response.json() if response.content else None
        except (httpx.TransportError, httpx.DecodingError, ValueError) as error:
            raise UnknownError(f"{method} {path}: {error!r}") from error


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _said(response: httpx.Response) -> str:
    """Return Restate's error message, with advice."""
    try:
        said = response.json()
        message, code = str(said["message"]), said.get("restate_code")
    except (ValueError, KeyError, AttributeError):
        message, code = response.text, None
    return f"{message} ({response.status_code}" + (f"; {HINTS[code]})" if code in HINTS else ")")


def _work(row: Row) -> Work:
    return Work(
        row.get("pinned_deployment_id"),
        row["target_service_name"],
        row["status"],
        row["n"],
        datetime.fromisoformat(row["oldest"]),
    )


def _troubled(row: Row) -> Troubled:
    return Troubled(
        handler=f"{row['service']}/{row['handler']}",
        status=row["status"],
        count=row["n"],
        attempts=row.get("attempts") or 0,
        code=row.get("code") or "",
        own=row["own"],
    )


def _holding(row: Row, steps: Sequence[Row], events: Sequence[Row]) -> Holding:
    return Holding(
        id=row["id"],
        status=row["status"],
        handler=row["target"],
        pinned="pinned_deployment_id" in row,
        made=datetime.fromisoformat(row["created_at"]),
        waiting_on=_waiting_on(row, steps),
        last_failure=(row.get("last_failure") or _failure(events)).split("\n", 1)[0],
    )


def _failure(events: Sequence[Row]) -> str:
    """The last failure that the events of an invocation tell: paused work has it nowhere else."""
    told = [json.loads(event["event_json"]) for event in events]
    failures = [event.get("last_failure") or event for event in told]
    return next((str(failure["error_message"]) for failure in reversed(failures) if "error_message" in failure), "")


def _waiting_on(row: Row, steps: Sequence[Row]) -> str:
    match row["status"]:
        case "scheduled":
            return f"its time, {row.get('scheduled_start_at')}"
        case "pending":
            return "its turn: another invocation has the key"
        case "backing-off":
            return f"retry {row.get('retry_count')} at {row.get('next_retry_at')}"
        case "paused":
            return "a human: rescue"
        case _:
            pass
    brought = {completion for step in steps for completion in _brought(step)}
    return ", ".join(_named(step) for step in steps if set(_to_come(step)) - brought)


def _to_come(step: Row) -> Iterator[int]:
    """The completions that this step of a journal asks for."""
    entry = json.loads(step.get("entry_lite_json") or "{}")
    for command in entry.get("Command", {}).values():
        yield from (value for name, value in command.items() if name.endswith("completion_id"))


def _brought(step: Row) -> Iterator[int]:
    """The completion that this step of a journal brought."""
    entry = json.loads(step.get("entry_lite_json") or "{}")
    if (completion := entry.get("Notification", {}).get("id", {}).get("CompletionId")) is not None:
        yield completion


def _named(step: Row) -> str:
    kind = step["entry_type"].removeprefix("Command: ").lower()
    promises = (command.get("key") for command in json.loads(step.get("entry_lite_json") or "{}")["Command"].values())
    which = (*(step.get(part) for part in ("name", "invoked_target", "sleep_wakeup_at")), *promises)
    return " ".join([kind, *(str(part) for part in which if part)])
