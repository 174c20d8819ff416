import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.domain.payments import PaymentOutcome, PaymentStatus, PayoutRequest
from app.providers.payments import HttpPaymentProvider
from tests.helpers.ports import free_ports
from tests.helpers.waiting import until
from tests.providers.answers import CHARGE, answering, charge_of, response
from tests.sandbox.running import Address

PAYOUT = PayoutRequest(reference="p-1", user_id="u-1", wallet_id="w-1", amount=100, currency="EUR", destination="iban")
ANSWER = {
    "reference": "d-1",
    "status": "charged",
    "userId": "u-1",
    "walletId": "w-1",
    "amount": 100,
    "currency": "EUR",
}


@pytest.fixture
async def provider(address: Address) -> AsyncIterator[HttpPaymentProvider]:
    async with HttpPaymentProvider(address.url, timeout_seconds=10) as provider:
        yield provider


@pytest.fixture
async def hasty(address: Address) -> AsyncIterator[HttpPaymentProvider]:
    """A provider client that does not wait long."""
    async with HttpPaymentProvider(address.url, timeout_seconds=2) as provider:
        yield provider


async def asked(
    url: str, ask: Callable[[HttpPaymentProvider], Awaitable[PaymentOutcome]], timeout_seconds: float = 10
) -> PaymentOutcome:
    async with HttpPaymentProvider(url, timeout_seconds) as provider:
        return await ask(provider)


@pytest.mark.parametrize(
    ("scenario", "status"),
    [
        ("creditCard", PaymentStatus.DONE),
        ("declined", PaymentStatus.DECLINED),
        ("threeDSecure", PaymentStatus.ACTION_REQUIRED),
    ],
)
async def test_a_payment_and_its_look_up_tell_the_same(
    provider: HttpPaymentProvider, scenario: str, status: PaymentStatus
) -> None:
    charge = CHARGE.model_copy(update={"reference": f"same:{scenario}", "payment_method": scenario})
    payout = PAYOUT.model_copy(update={"reference": f"same:{scenario}", "destination": scenario})

    assert (await provider.charge(charge)).status == status
    assert (await provider.find_charge(charge)).status == status
    assert (await provider.pay_out(payout)).status == status
    assert (await provider.find_payout(payout)).status == status


async def test_a_customer_who_has_to_act_is_told_where(provider: HttpPaymentProvider, address: Address) -> None:
    outcome = await provider.charge(CHARGE.model_copy(update={"reference": "act", "payment_method": "threeDSecure"}))

    assert outcome.redirect_url == f"{address.url}/threeDSecure/act"


async def test_a_reference_with_other_content_is_a_conflict(provider: HttpPaymentProvider) -> None:
    await provider.charge(CHARGE.model_copy(update={"reference": "twice"}))
    outcome = await provider.charge(CHARGE.model_copy(update={"reference": "twice", "amount": 101}))

    assert outcome.status == PaymentStatus.CONFLICT


async def test_a_request_that_the_provider_cannot_read_is_declined(provider: HttpPaymentProvider) -> None:
    outcome = await provider.charge(CHARGE.model_copy(update={"reference": "zero", "amount": 0}))

    assert outcome.status == PaymentStatus.DECLINED
    assert "amount" in outcome.detail


@pytest.mark.parametrize("reference", ["unheard", "a:b@c.d", "..", "."])
async def test_a_reference_nobody_used_was_never_seen(provider: HttpPaymentProvider, reference: str) -> None:
    assert (await provider.find_charge(charge_of(reference))).status == PaymentStatus.NEVER_SEEN
    assert (
        await provider.find_payout(PAYOUT.model_copy(update={"reference": reference}))
    ).status == PaymentStatus.NEVER_SEEN


@pytest.mark.parametrize(
    ("scenario", "truth"), [("timeoutCharged", PaymentStatus.DONE), ("timeoutLost", PaymentStatus.NEVER_SEEN)]
)
async def test_no_answer_is_unknown_and_a_look_up_tells_the_truth(
    hasty: HttpPaymentProvider, provider: HttpPaymentProvider, scenario: str, truth: PaymentStatus
) -> None:
    outcome = await hasty.charge(CHARGE.model_copy(update={"reference": scenario, "payment_method": scenario}))

    assert outcome.status == PaymentStatus.UNKNOWN
    assert (await provider.find_charge(charge_of(scenario))).status == truth


async def test_a_flaky_provider_is_unknown_until_it_answers(provider: HttpPaymentProvider) -> None:
    charge = CHARGE.model_copy(update={"reference": "flaky", "payment_method": "flaky"})
    statuses = [(await provider.charge(charge)).status for _ in range(3)]

    assert statuses == [PaymentStatus.UNKNOWN, PaymentStatus.UNKNOWN, PaymentStatus.DONE]


async def test_no_connection_is_unknown() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"

    assert (await asked(url, lambda provider: provider.charge(CHARGE))).status == PaymentStatus.UNKNOWN
    assert (await asked(url, lambda provider: provider.find_charge(charge_of("d-1")))).status == PaymentStatus.UNKNOWN


async def test_an_answer_that_drips_is_unknown_after_the_deadline_for_the_whole() -> None:
    drips = [bytes([byte]) for byte in response(200, ANSWER)]
    async with answering(*drips, pause=0.1) as url:
        outcome = await asked(url, lambda provider: provider.charge(CHARGE), timeout_seconds=0.5)

    assert outcome.status == PaymentStatus.UNKNOWN


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 408, 429, 500, 502, 503])
async def test_an_error_that_does_not_tell_is_unknown(status: int) -> None:
    async with answering(response(status, {"error": "no"})) as url:
        assert (await asked(url, lambda provider: provider.charge(CHARGE))).status == PaymentStatus.UNKNOWN
        assert (await asked(url, lambda provider: provider.pay_out(PAYOUT))).status == PaymentStatus.UNKNOWN
        assert (
            await asked(url, lambda provider: provider.find_charge(charge_of("d-1")))
        ).status == PaymentStatus.UNKNOWN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        [],
        {},
        ANSWER | {"status": "perhaps"},
        ANSWER | {"amount": "100"},
        ANSWER | {"amount": True},
        {name: said for name, said in ANSWER.items() if name != "userId"},
    ],
)
async def test_an_answer_that_cannot_be_read_is_unknown(body: object) -> None:
    async with answering(response(200, body)) as url:
        assert (await asked(url, lambda provider: provider.charge(CHARGE))).status == PaymentStatus.UNKNOWN
        assert (
            await asked(url, lambda provider: provider.find_charge(charge_of("d-1")))
        ).status == PaymentStatus.UNKNOWN


@pytest.mark.parametrize("said", [b"", response(200, ANSWER)[:-1], b"SMTP ready\r\n"])
async def test_a_broken_conversation_is_unknown(said: bytes) -> None:
    async with answering(said) as url:
        assert (await asked(url, lambda provider: provider.charge(CHARGE))).status == PaymentStatus.UNKNOWN


@pytest.mark.parametrize(
    "other",
    [{"reference": "d-2"}, {"amount": 99}, {"currency": "USD"}, {"userId": "u-2"}, {"walletId": "w-2"}],
)
async def test_an_answer_about_other_money_is_a_conflict(other: dict[str, object]) -> None:
    async with answering(response(200, ANSWER | other)) as url:
        assert (await asked(url, lambda provider: provider.charge(CHARGE))).status == PaymentStatus.CONFLICT


@pytest.mark.parametrize("other", [{"amount": 99}, {"currency": "USD"}, {"userId": "u-2"}, {"walletId": "w-2"}])
async def test_a_look_up_that_finds_other_money_under_our_reference_is_a_conflict(other: dict[str, object]) -> None:
    async with answering(response(200, ANSWER | other)) as url:
        assert (await asked(url, lambda provider: provider.find_charge(CHARGE))).status == PaymentStatus.CONFLICT


async def test_an_answer_about_this_money_is_believed_whatever_else_it_says() -> None:
    async with answering(response(200, ANSWER | {"risk": "low"})) as url:
        assert (await asked(url, lambda provider: provider.charge(CHARGE))).status == PaymentStatus.DONE


async def test_a_look_up_answered_for_another_reference_is_unknown() -> None:
    async with answering(response(200, ANSWER)) as url:
        assert (
            await asked(url, lambda provider: provider.find_charge(charge_of("d-2")))
        ).status == PaymentStatus.UNKNOWN


@pytest.mark.parametrize("body", [b"not found", {"error": "Not Found"}, {"reference": "d-2"}])
async def test_a_404_that_does_not_name_the_reference_is_unknown(body: object) -> None:
    async with answering(response(404, body)) as url:
        assert (
            await asked(url, lambda provider: provider.find_charge(charge_of("d-1")))
        ).status == PaymentStatus.UNKNOWN


async def test_a_cancelled_charge_is_cancelled(provider: HttpPaymentProvider) -> None:
    charge = CHARGE.model_copy(update={"reference": "cancelled", "payment_method": "timeoutCharged"})
    charging = asyncio.create_task(provider.charge(charge))

    async def charged() -> bool:
        return (await provider.find_charge(charge_of("cancelled"))).status == PaymentStatus.DONE

    await until(charged)
    charging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await charging


async def test_connections_are_reused() -> None:
    opened = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            writer.write(response(404, {"reference": "d-1"}).replace(b"Connection: close\r\n", b""))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with HttpPaymentProvider(f"http://127.0.0.1:{port}", timeout_seconds=10) as provider:
            for _ in range(3):
                assert (await provider.find_charge(charge_of("d-1"))).status == PaymentStatus.NEVER_SEEN

    assert opened == 1
