"""What moved at the sandbox, as it lists it, and what was moved back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.payments import EventStatus, MovementKind, PaymentEvent, PaymentStatus
from app.providers.payments import HttpPaymentProvider, ListingError
from tests.providers.answers import CHARGE, answering, charge_of, response
from tests.sandbox.asking import ask
from tests.sandbox.running import Listener, listener, sandbox

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def service() -> AsyncIterator[Listener]:
    async with listener() as listening:
        yield listening


@pytest.fixture
async def bank(tmp_path: Path, service: Listener) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        sandbox(tmp_path / "sandbox.db", service.url) as address,
        httpx.AsyncClient(base_url=address.url, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
async def provider(bank: httpx.AsyncClient) -> AsyncIterator[HttpPaymentProvider]:
    async with HttpPaymentProvider(str(bank.base_url), timeout_seconds=10) as provider:
        yield provider


async def events(service: Listener, count: int) -> list[tuple[str, PaymentEvent]]:
    heard = []
    for _ in range(count):
        async with asyncio.timeout(60):
            path, body, _ = await service.heard.get()
        heard.append((path, PaymentEvent.model_validate_json(body)))
    return heard


async def listed(client: httpx.AsyncClient, **query: Any) -> list[tuple[str, str, int]]:
    """All pages, as kind, reference and amount."""
    found: list[tuple[str, str, int]] = []
    while True:
        page = (await client.get("/movements", params=query)).raise_for_status().json()
        found += [(one["kind"], one["reference"], one["amount"]) for one in page["movements"]]
        if page["next"] is None:
            return found
        query["after"] = page["next"]


async def test_everything_that_moved_is_listed_page_by_page(bank: httpx.AsyncClient) -> None:
    for reference, scenario in (("d-1", "creditCard"), ("d-2", "declined"), ("d-3", "threeDSecure")):
        await ask(bank, "charges", reference, scenario)
    await ask(bank, "payouts", "d-1", "iban", 60)
    await bank.post("/threeDSecure/d-3/complete")
    for what in ("refund", "refund"):
        assert (await bank.post(f"/charges/d-3/{what}")).json()["status"] == "refunded"
    await bank.post("/payouts/d-1/sendBack")

    everything = [
        ("charge", "d-1", 100),
        ("payout", "d-1", 60),
        ("charge", "d-3", 100),
        ("refund", "d-3", 100),
        ("sentBack", "d-1", 60),
    ]
    for limit in (1, 2, 100):
        assert await listed(bank, limit=limit) == everything
    assert await listed(bank, of="payouts", limit=1) == [("payout", "d-1", 60), ("sentBack", "d-1", 60)]
    assert await listed(bank, since=(datetime.now(UTC) + timedelta(minutes=1)).isoformat()) == []


async def test_the_client_reads_the_list(bank: httpx.AsyncClient, provider: HttpPaymentProvider) -> None:
    for number in range(101):
        await ask(bank, "charges", f"d-{number}", "creditCard")
    await ask(bank, "payouts", "p-1", "iban")

    first = await provider.charges_since(LONG_AGO)
    second = await provider.charges_since(LONG_AGO, first.next)
    payouts = await provider.payouts_since(LONG_AGO)

    told = [movement.reference for movement in (*first.movements, *second.movements)]
    assert told == [f"d-{number}" for number in range(101)]
    assert second.next is None
    assert [movement.kind for movement in payouts.movements] == [MovementKind.PAYOUT]


@pytest.mark.parametrize(
    "content",
    [
        response(500, {"error": "no"}),
        response(200, b"no json"),
        response(200, {"movements": [], "next": "1"}),
        response(200, b"[" * 100_000),
    ],
)
async def test_a_list_that_cannot_be_read_tells_nothing(content: bytes) -> None:
    async with answering(content) as url, HttpPaymentProvider(url, timeout_seconds=10) as provider:
        with pytest.raises(ListingError):
            await provider.charges_since(LONG_AGO)


async def test_a_chargeback_is_told_twice_and_comes_again_only_after_its_reversal(
    bank: httpx.AsyncClient, service: Listener
) -> None:
    await ask(bank, "charges", "d-1", "creditCard")
    assert (await bank.post("/charges/d-1/chargebackReversed")).status_code == 422

    for what in ("chargeback", "chargeback", "chargebackReversed", "chargebackReversed", "chargeback"):
        assert (await bank.post(f"/charges/d-1/{what}")).status_code == 200

    kinds = ["charge", "chargeback", "chargebackReversed", "chargeback"]
    assert [kind for kind, _, _ in await listed(bank)] == kinds
    told = await events(service, 10)
    assert {path for path, _ in told} == {"/PaymentService/webhook"}
    assert len({event.event_id for _, event in told if event.status is EventStatus.CHARGEBACK}) == 2
    assert len({event.event_id for _, event in told if event.status is EventStatus.CHARGEBACK_REVERSED}) == 1


@pytest.mark.parametrize("path", ["charges/d-1/refund", "charges/d-1/chargeback", "payouts/d-1/sendBack"])
async def test_what_never_moved_is_not_moved_back(bank: httpx.AsyncClient, path: str) -> None:
    assert (await bank.post(f"/{path}")).status_code == 404
    await ask(bank, path.split("/")[0], "d-1", "declined")
    assert (await bank.post(f"/{path}")).status_code == 422
    assert await listed(bank) == []


async def test_a_charge_that_waits_is_void_for_good(bank: httpx.AsyncClient, provider: HttpPaymentProvider) -> None:
    charge = CHARGE.model_copy(update={"payment_method": "threeDSecure"})
    assert (await provider.void_charge(charge)).status is PaymentStatus.NEVER_SEEN
    await provider.charge(charge)

    assert (await provider.void_charge(charge)).status is PaymentStatus.DECLINED
    await bank.post("/threeDSecure/d-1/complete")

    assert (await provider.find_charge(charge)).status is PaymentStatus.DECLINED
    assert await listed(bank) == []


async def test_a_charge_that_was_made_is_not_void_but_refunded_once(
    bank: httpx.AsyncClient, provider: HttpPaymentProvider
) -> None:
    assert (await provider.refund_charge(charge_of("d-2"))).status is PaymentStatus.NEVER_SEEN
    await provider.charge(charge_of("d-2"))

    assert (await provider.void_charge(charge_of("d-2"))).status is PaymentStatus.DONE
    for _ in range(2):
        assert (await provider.refund_charge(charge_of("d-2"))).status is PaymentStatus.DONE

    assert [kind for kind, _, _ in await listed(bank)] == ["charge", "refund"]
