"""The sandbox's payment API, where it demands a key."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.domain.payments import ChargeRequest, PaymentStatus
from app.providers.payments import HttpPaymentProvider, credentials
from tests.sandbox.running import Address, sandbox

KEY = "k3y"
CHARGE = ChargeRequest(
    reference="d-1", user_id="u", wallet_id="w", amount=100, currency="EUR", payment_method="creditCard"
)


@pytest.fixture(params=["Authorization", "X-Api-Key"])
async def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Address, str]]:
    demanded = {"provider_key": KEY, "provider_key_header": request.param}
    async with sandbox(tmp_path / "s.sqlite", **demanded) as address:
        yield address, request.param


async def charged(address: Address, told: dict[str, str]) -> PaymentStatus:
    async with HttpPaymentProvider(address.url, 5, told) as provider:
        return (await provider.charge(CHARGE)).status


async def test_only_who_has_the_key_can_charge(guarded: tuple[Address, str]) -> None:
    address, header = guarded
    for told in ({}, credentials("guessed", header), {header: ""}, credentials(KEY, "X-Other")):
        assert await charged(address, told) is PaymentStatus.UNKNOWN

    assert await charged(address, credentials(KEY, header)) is PaymentStatus.DONE
    async with HttpPaymentProvider(address.url, 5, credentials(KEY, header)) as provider:
        assert (await provider.find_charge(CHARGE)).status is PaymentStatus.DONE
    async with HttpPaymentProvider(address.url, 5) as stranger:
        assert (await stranger.find_charge(CHARGE)).status is PaymentStatus.UNKNOWN


LOOKED_AT = ("/charges", "/mails", "/health", "/movements")


async def test_what_people_look_at_stays_open(guarded: tuple[Address, str]) -> None:
    async with httpx.AsyncClient(base_url=guarded[0].url, trust_env=False) as client:
        statuses = {
            path: (await client.get(path)).status_code for path in ("/charges", "/mails", "/health", "/movements")
        }

    assert statuses == {"/charges": 200, "/mails": 200, "/health": 200, "/movements": 401}


def test_a_key_is_a_bearer_token_or_goes_as_it_is_in_another_header() -> None:
    assert credentials("k") == {"Authorization": "Bearer k"}
    assert credentials("k", "authorization") == {"authorization": "Bearer k"}
    assert credentials("k", "X-Api-Key") == {"X-Api-Key": "k"}
    assert credentials("") == {}
