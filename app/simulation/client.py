"""The public side of a running system, as its customers and operators reach it: asked again until it answers."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

ATTEMPT_SECONDS = 60
"""How long one attempt may take; a deposit alone may wait 25 s for its provider."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class UnreachableError(Exception):
    """Nothing answered for as long as we were willing to wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A handler's answer: what it gave, or the reason of its refusal; `tries` is how often it had to be asked."""

    body: Mapping[str, Any]
    reason: str | None = None
    tries: int = 1
    seconds: float = 0

    @property
    def message(self) -> str:
        """What a refusal said."""
        return f"{self.reason}: {self.body.get('message')}"


class Client(AbstractAsyncContextManager["Client"]):
    """Asks the ingress and the sandbox. What gets no definite answer is asked again, unchanged, for a while."""

    def __init__(
        self,
        ingress: str,
        sandbox: str,
        at_once: int,
        patience_seconds: float,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self.repeated = 0
        self._ingress = ingress.rstrip("/")
        self._sandbox = sandbox.rstrip("/")
        self._patience = patience_seconds
        self._credentials = dict(credentials or {})
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        self._http = httpx.AsyncClient(timeout=ATTEMPT_SECONDS, limits=limits, trust_env=False)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Be ready to ask."""
        return self

    async def ask(self, path: str, body: object = None, once: str | None = None) -> Answer:
        """Call a handler. `once` makes the call one for Restate, for what has no business id of its own."""
        headers = _identity(path, body) | ({} if once is None else {"idempotency-key": once})
        started = time.monotonic()
        response, tries = await self._answered("POST", f"{self._ingress}/{path}", headers, body=body)
        told = response.json()
        reason = told["metadata"]["reason"] if response.is_error else None
        return Answer(told, reason, tries, time.monotonic() - started)

    async def moved(self, what: str, reference: str) -> list[dict[str, Any]]:
        """The charges or payouts that the sandbox really made under a reference."""
        response, _ = await self._answered("GET", f"{self._sandbox}/{what}", {}, params={"reference": reference})
        found: list[dict[str, Any]] = response.json()
        return found

    async def move_back(self, what: str, reference: str, how: str) -> None:
        """Have the sandbox move the money of a charge or payout back, or again, which it then tells the service."""
        await self._answered("POST", f"{self._sandbox}/{what}/{reference}/{how}", self._credentials)

    async def movements(self, what: str, since: datetime) -> list[dict[str, Any]]:
        """All that moved at the sandbox since a moment of charges or payouts, there and back."""
        found: list[dict[str, Any]] = []
        query = {"of": what, "since": since.isoformat(), "limit": "1000"}
        while True:
            response, _ = await self._answered("GET", f"{self._sandbox}/movements", self._credentials, params=query)
            page = response.json()
            found += page["movements"]
            if page["next"] is None:
                return found
            query["after"] = page["next"]

    async def confirm(self, reference: str) -> None:
        """Do as the customer whom 3-D Secure asks."""
        await self._answered("POST", f"{self._sandbox}/threeDSecure/{reference}/complete", {})

    async def find(self, patience_seconds: float) -> None:
        """Make sure that both are there, or say soon which is not."""
        patience, self._patience = self._patience, patience_seconds
        await self.ask("PlayerService/nobody/getAccount")
        await self._answered("GET", f"{self._sandbox}/health", {})
        self._patience = patience

    async def _answered(
        self, method: str, url: str, headers: dict[str, str], body: object = None, params: dict[str, str] | None = None
    ) -> tuple[httpx.Response, int]:
        deadline = time.monotonic() + self._patience
        pause, tries = FIRST_PAUSE_SECONDS, 1
        while True:
            try:
                response = await self._http.request(method, url, headers=headers, json=body, params=params)
                if is_definite(response):
                    return response, tries
                problem = f"{response.status_code} {response.text[:200]}"
            except httpx.TransportError as error:
                problem = f"{error}" or type(error).__name__
            if time.monotonic() + pause > deadline:
                raise UnreachableError(f"no definite answer from {url} within {self._patience:g} s: {problem}")
            self.repeated += 1
            tries += 1
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _identity(path: str, body: object) -> dict[str, str]:
    """Who asks: the player whom a request is about, or an operator of the house that it needs.

    Restate's own ingress takes a caller's word for it. A door in front of it would ask for a token instead.
    """
    component, key = path.split("/")[:2]
    if component == "PlayerService":
        return {"x-betting-user": key, "x-betting-roles": ""}
    if component == "PaymentService" and isinstance(body, Mapping):
        return {"x-betting-user": body["userId"], "x-betting-roles": ""}
    return {"x-betting-user": "simulation", "x-betting-roles": "trader,payments"}


def is_definite(response: httpx.Response) -> bool:
    """Whether a response says how it ended: a success, or a refusal with its reason, not an outage on the way."""
    if response.is_success:
        return True
    if not response.is_client_error or not response.headers.get("content-type", "").startswith("application/json"):
        return False
    return "reason" in (response.json().get("metadata") or {})
