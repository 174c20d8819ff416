import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.domain.payments import EITHER, EventStatus, PaymentEvent
from app.providers.webhooks import verify
from tests.helpers.ports import free_ports
from tests.sandbox.asking import ask, moved
from tests.sandbox.running import SECRET, Listener, listener, sandbox


@pytest.fixture
async def service() -> AsyncIterator[Listener]:
    async with listener() as listening:
        yield listening


@pytest.fixture
async def bank(tmp_path: Path, service: Listener) -> AsyncIterator[httpx.AsyncClient]:
    """A sandbox that tells the service."""
    async with (
        sandbox(tmp_path / "sandbox.db", service.url) as address,
        httpx.AsyncClient(base_url=address.url, trust_env=False) as client,
    ):
        yield client


async def events(service: Listener, count: int) -> list[PaymentEvent]:
    """The next events, each verified; then silence."""
    heard = []
    for _ in range(count):
        async with asyncio.timeout(60):
            path, body, signature = await service.heard.get()
        event = PaymentEvent.model_validate_json(body)
        assert verify(SECRET, body, signature, datetime.now(UTC), timedelta(minutes=5))
        of_a_charge = event.status in EITHER
        assert path == (f"/DepositFollowUp/{event.reference}/webhook" if of_a_charge else "/PaymentService/webhook")
        heard.append(event)
    await asyncio.sleep(0.3)
    assert service.heard.empty()
    return heard


async def test_a_completed_charge_moves_once_and_is_told_exactly_twice(
    bank: httpx.AsyncClient, service: Listener
) -> None:
    await ask(bank, "charges", "d:1@x", "threeDSecure")
    answer = await bank.post("/threeDSecure/d:1@x/complete")

    assert (answer.status_code, answer.json()["status"]) == (200, "charged")
    event = PaymentEvent(
        reference="d:1@x", status=EventStatus.DONE, user_id="u-1", wallet_id="w-1", amount=100, currency="EUR"
    )
    assert await events(service, 2) == [event, event]
    assert len(await moved(bank, "charges", "d:1@x")) == 1
    assert (await ask(bank, "charges", "d:1@x", "threeDSecure")).json()["status"] == "charged"


async def test_completing_again_changes_nothing(bank: httpx.AsyncClient, service: Listener) -> None:
    await ask(bank, "charges", "d-1", "threeDSecure")
    await bank.post("/threeDSecure/d-1/complete")
    answer = await bank.post("/threeDSecure/d-1/complete", params={"outcome": "declined"})

    assert answer.json()["status"] == "charged"
    assert {event.status for event in await events(service, 4)} == {EventStatus.DONE}
    assert len(await moved(bank, "charges", "d-1")) == 1


async def test_a_customer_who_fails_pays_nothing_and_the_service_is_told(
    bank: httpx.AsyncClient, service: Listener
) -> None:
    await ask(bank, "charges", "d-1", "threeDSecure")
    answer = await bank.post("/threeDSecure/d-1/complete", json={"outcome": "declined"})

    assert answer.json()["status"] == "declined"
    assert [event.status for event in await events(service, 2)] == [EventStatus.DECLINED] * 2
    assert await moved(bank, "charges", "d-1") == []


@pytest.mark.parametrize(
    ("outcome", "status", "told", "payouts"),
    [("paid", "paid", EventStatus.PAID, 1), ("declined", "declined", EventStatus.REFUSED, 0)],
)
async def test_a_completed_payout_is_paid_or_refused_and_the_service_is_told(
    bank: httpx.AsyncClient, service: Listener, outcome: str, status: str, told: EventStatus, payouts: int
) -> None:
    await ask(bank, "payouts", "p-1", "threeDSecure")
    answer = await bank.post("/threeDSecure/p-1/complete", params={"outcome": outcome})

    assert answer.json()["status"] == status
    assert [event.status for event in await events(service, 2)] == [told] * 2
    assert len(await moved(bank, "payouts", "p-1")) == payouts


async def test_an_unknown_reference_cannot_be_completed(bank: httpx.AsyncClient) -> None:
    answer = await bank.post("/threeDSecure/d-1/complete")

    assert (answer.status_code, list(answer.json())) == (404, ["error"])


async def test_an_outcome_that_is_none_is_refused(bank: httpx.AsyncClient) -> None:
    await ask(bank, "charges", "d-1", "threeDSecure")
    answer = await bank.post("/threeDSecure/d-1/complete", params={"outcome": "perhaps"})

    assert (answer.status_code, answer.json()["error"][:8]) == (422, "outcome:")
    assert await moved(bank, "charges", "d-1") == []


async def test_the_customer_is_sent_to_a_page_whose_buttons_complete_the_charge(bank: httpx.AsyncClient) -> None:
    url = (await ask(bank, "charges", "d-1", "threeDSecure")).json()["redirectUrl"]
    page = await bank.get(url)

    assert 'action="d-1/complete"' in page.text
    assert (await bank.post(f"{url}/complete", data={})).json()["status"] == "charged"


async def test_a_webhook_is_sent_until_it_is_heard(bank: httpx.AsyncClient, service: Listener) -> None:
    service.statuses += [500, 404, 503]
    await ask(bank, "charges", "d-1", "threeDSecure")
    await bank.post("/threeDSecure/d-1/complete")

    assert len(await events(service, 5)) == 5


async def test_a_webhook_not_yet_heard_is_sent_after_a_restart(tmp_path: Path) -> None:
    database, (port,) = tmp_path / "sandbox.db", free_ports(1)
    service_url = f"http://127.0.0.1:{port}"
    async with sandbox(database, service_url) as address, httpx.AsyncClient(base_url=address.url) as client:
        await ask(client, "charges", "d-1", "threeDSecure")
        await client.post("/threeDSecure/d-1/complete")

    async with listener(port=port) as service, sandbox(database, service_url):
        assert [event.reference for event in await events(service, 2)] == ["d-1", "d-1"]
    async with listener(port=port) as service, sandbox(database, service_url):
        assert await events(service, 0) == []
