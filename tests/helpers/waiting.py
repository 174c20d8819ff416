"""Waiting for an outcome, never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import pytest

POLL_SECONDS = 0.05

T = TypeVar("T")


def eventually(look: Callable[[], T], timeout: float = 60) -> T:
    """The first truthy value; a test fails with the last one it saw."""
    deadline = time.monotonic() + timeout
    last: object = None
    while time.monotonic() < deadline:
        try:
            if last := (value := look()):
                return value
        except httpx.TransportError as error:
            last = error
        time.sleep(POLL_SECONDS)
    pytest.fail(f"not within {timeout} s; the last look gave {last!r}")


def is_unknown_to_restate(answer: httpx.Response) -> bool:
    """Whether Restate's ingress does not know yet what was registered: just now, or before its node started."""
    return answer.status_code == httpx.codes.NOT_FOUND and answer.json()["source"] == "ingress"


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Return as soon as a condition that only looking can tell holds."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110, it holds in another process
            await asyncio.sleep(0.02)


async def healthy(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def answers() -> bool:
            try:
                return (await client.get(f"{url}/health")).is_success
            except httpx.TransportError:
                return False

        await until(answers)
