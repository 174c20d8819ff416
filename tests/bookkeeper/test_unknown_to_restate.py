"""A node of Restate that does not know yet what is registered: its 404 says nothing of bets or players."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from app.bookkeeper import restate as module
from app.bookkeeper.restate import Restate, UnknownError
from tests.helpers.ports import free_port
from tests.helpers.scripted import UNKNOWN, Scripted
from tests.helpers.serving import served

REFUSED = (404, "invocation", b'{"code":404,"metadata":{"reason":"unknown_bet"}}')


def asked(scripted: Scripted) -> httpx.Response:
    async def ask(url: str) -> httpx.Response:
        async with Restate(url, url, timedelta(0), 0) as restate:
            return await restate.request("PlayerService/ann/getBet", {"betId": "b-1"})

    with served(scripted, free_port()) as url:
        return asyncio.run(ask(url))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNKNOWN_PAUSES_SECONDS", (0.0, 0.0))


def test_it_is_asked_again_until_it_knows() -> None:
    restate = Scripted(UNKNOWN, UNKNOWN, (200, None, b'{"status":"open"}'))

    answer = asked(restate)

    assert (answer.status_code, answer.json(), restate.asked) == (200, {"status": "open"}, 3)


def test_a_bet_is_not_missing_because_restate_does_not_know_who_would_tell() -> None:
    restate = Scripted(UNKNOWN)

    with pytest.raises(UnknownError, match="does not know this handler now"):
        asked(restate)

    assert restate.asked == 3


def test_what_a_handler_says_is_believed_at_once() -> None:
    restate = Scripted(REFUSED, (200, None, b'{"status":"open"}'))

    assert (asked(restate).status_code, restate.asked) == (404, 1)
