"""How the tests ask the sandbox for money."""

from typing import Any

import httpx

WORD = {"charges": "paymentMethod", "payouts": "destination"}


def content(path: str, reference: str, scenario: str, amount: object = 100) -> dict[str, object]:
    return {
        "reference": reference,
        "userId": "u-1",
        "walletId": "w-1",
        "amount": amount,
        "currency": "EUR",
        WORD[path]: scenario,
    }


async def ask(
    client: httpx.AsyncClient, path: str, reference: str, scenario: str, amount: object = 100
) -> httpx.Response:
    return await client.post(
        f"/{path}",
        json=content(path, reference, scenario, amount),
        headers={"Idempotency-Key": reference},
        timeout=httpx.Timeout(60, read=1 if scenario.startswith("timeout") else 60),
    )


async def moved(client: httpx.AsyncClient, path: str, reference: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = (await client.get(f"/{path}", params={"reference": reference})).json()
    return answer
