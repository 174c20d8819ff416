"""A connection that does not come about is given up within seconds: Restate's pod may just have gone."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from app.bookkeeper import restate as books
from app.bookkeeper.restate import Restate
from app.domain.payments import EventStatus
from app.release import restate_admin
from app.release.restate_admin import RestateAdmin, UnknownError
from app.sandbox import webhooks
from app.sandbox.orders import Charge
from app.sandbox.store import Store
from tests.helpers.nobody import nobody
from tests.helpers.waiting import until

LONGEST_SECONDS = 10
"""What a planned restart may take of anybody's time."""
CONNECT_SECONDS = {module: module.CONNECT_SECONDS for module in (restate_admin, books, webhooks)}
PAUSES_SECONDS = 0.5
"""All that httpx waits before it tries twice again."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (restate_admin, books, webhooks):
        monkeypatch.setattr(module, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(webhooks, "PAUSES_SECONDS", (0.0, 0.0))


def release_tools(url: str, folder: Path) -> None:
    with RestateAdmin(url) as admin, pytest.raises(UnknownError):
        admin.observe()


def the_books(url: str, folder: Path) -> None:
    async def look() -> None:
        async with Restate(url, url, timedelta(seconds=1), 0) as restate:
            await restate.look(1)

    with pytest.raises(books.UnknownError):
        asyncio.run(look())


async def gone(store: Store) -> bool:
    return not store.webhooks()


def the_sandbox(url: str, folder: Path) -> None:
    order = Charge.model_validate(
        {"reference": "d-1", "userId": "a", "walletId": "a", "amount": 1, "currency": "EUR", "paymentMethod": "card"}
    )
    store = Store(folder / "sandbox.sqlite")

    async def tell() -> None:
        async with webhooks.WebhookSender(store, url, "a secret") as sender:
            sender.tell(order, EventStatus.DONE)
            await until(lambda: gone(store))

    asyncio.run(tell())
    store.close()


@pytest.mark.parametrize("ask", [release_tools, the_books, the_sandbox])
def test_a_connection_that_does_not_come_about_is_given_up(ask: Callable[[str, Path], None], tmp_path: Path) -> None:
    with nobody() as port:
        began = time.monotonic()

        ask(f"http://127.0.0.1:{port}", tmp_path)

    assert time.monotonic() - began < 4, "as the other timeouts are"


@pytest.mark.parametrize(("module", "again"), [(restate_admin, 2), (books, 2), (webhooks, 0)])
def test_all_tries_together_take_less_than_a_restart_may(module: ModuleType, again: int) -> None:
    assert getattr(module, "CONNECT_AGAIN", 0) == again
    assert (1 + again) * CONNECT_SECONDS[module] + PAUSES_SECONDS < LONGEST_SECONDS
