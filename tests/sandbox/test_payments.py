import httpx
import pytest

from tests.sandbox.asking import ask, content, moved

DONE = {"charges": "charged", "payouts": "paid"}

both = pytest.mark.parametrize("path", ["charges", "payouts"])


@both
@pytest.mark.parametrize("scenario", ["creditCard", "any other word"])
async def test_a_payment_moves_money(client: httpx.AsyncClient, reference: str, path: str, scenario: str) -> None:
    answer = await ask(client, path, reference, scenario)

    assert answer.status_code == 200
    assert answer.json() == {
        "reference": reference,
        "status": DONE[path],
        "userId": "u-1",
        "walletId": "w-1",
        "amount": 100,
        "currency": "EUR",
    }
    (movement,) = await moved(client, path, reference)
    assert movement.pop("at").endswith("Z")
    assert movement == content(path, reference, scenario)


@pytest.mark.parametrize(
    ("path", "scenario", "status"),
    [
        ("charges", "declined", "declined"),
        ("payouts", "declined", "declined"),
        ("payouts", "refused", "declined"),
        ("charges", "threeDSecure", "actionRequired"),
        ("payouts", "threeDSecure", "actionRequired"),
    ],
)
async def test_what_is_not_done_moves_nothing(
    client: httpx.AsyncClient, reference: str, path: str, scenario: str, status: str
) -> None:
    answer = await ask(client, path, reference, scenario)

    assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert (await client.get(f"/{path}/{reference}")).json() == answer.json()
    assert await moved(client, path, reference) == []


@both
async def test_a_repeated_payment_gets_the_same_answer_and_moves_once(
    client: httpx.AsyncClient, reference: str, path: str
) -> None:
    first = await ask(client, path, reference, "creditCard")
    second = await ask(client, path, reference, "creditCard")

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert len(await moved(client, path, reference)) == 1


@both
async def test_a_reference_with_other_content_is_a_conflict(
    client: httpx.AsyncClient, reference: str, path: str
) -> None:
    await ask(client, path, reference, "creditCard")
    answer = await ask(client, path, reference, "creditCard", amount=101)

    assert (answer.status_code, list(answer.json())) == (409, ["error"])
    assert [movement["amount"] for movement in await moved(client, path, reference)] == [100]


async def test_a_charge_and_a_payout_do_not_share_references(client: httpx.AsyncClient, reference: str) -> None:
    await ask(client, "charges", reference, "creditCard")
    answer = await ask(client, "payouts", reference, "iban")

    assert answer.json()["status"] == "paid"


@both
async def test_a_payment_that_times_out_after_charging_moves_once_and_never_answers(
    client: httpx.AsyncClient, reference: str, path: str
) -> None:
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            await ask(client, path, reference, "timeoutCharged")

    assert (await client.get(f"/{path}/{reference}")).json()["status"] == DONE[path]
    assert len(await moved(client, path, reference)) == 1


@both
async def test_a_payment_that_is_lost_moves_nothing_and_was_never_seen(
    client: httpx.AsyncClient, reference: str, path: str
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await ask(client, path, reference, "timeoutLost")

    answer = await client.get(f"/{path}/{reference}")
    assert (answer.status_code, answer.json()["reference"]) == (404, reference)
    assert await moved(client, path, reference) == []


@both
async def test_a_flaky_payment_fails_twice_and_then_moves_once(
    client: httpx.AsyncClient, reference: str, path: str
) -> None:
    statuses = [(await ask(client, path, reference, "flaky")).status_code for _ in range(4)]

    assert statuses == [503, 503, 200, 200]
    assert len(await moved(client, path, reference)) == 1


@pytest.mark.parametrize("field", ["reference", "userId", "walletId", "amount", "currency", "paymentMethod"])
async def test_a_charge_without_a_field_is_refused_by_its_name(client: httpx.AsyncClient, field: str) -> None:
    request = content("charges", "r-1", "creditCard")
    del request[field]
    answer = await client.post("/charges", json=request, headers={"Idempotency-Key": "r-1"})

    assert (answer.status_code, answer.json()) == (422, {"error": f"{field}: Field required"})


@pytest.mark.parametrize("amount", [0, -1, 1.5, "100", True, 10**13])
async def test_an_amount_that_is_none_is_refused(client: httpx.AsyncClient, reference: str, amount: object) -> None:
    answer = await ask(client, "charges", reference, "creditCard", amount)

    assert answer.status_code == 422
    assert answer.json()["error"].startswith("amount: ")
    assert await moved(client, "charges", reference) == []


async def test_a_payment_without_its_reference_as_idempotency_key_is_refused(
    client: httpx.AsyncClient, reference: str
) -> None:
    answer = await client.post("/charges", json=content("charges", reference, "creditCard"))

    assert (answer.status_code, answer.json()) == (422, {"error": "Idempotency-Key: has to be the reference"})


@pytest.mark.parametrize(("method", "path", "status"), [("DELETE", "/charges", 405), ("GET", "/nothing", 404)])
async def test_every_error_is_json(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)

    assert (answer.status_code, list(answer.json())) == (status, ["error"])


async def test_what_is_not_json_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/charges", content=b"{", headers={"Idempotency-Key": "r-1"})

    assert answer.status_code == 422
    assert answer.json()["error"].startswith("body: ")
