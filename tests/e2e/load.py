"""Players who deposit without a pause; runs in a pod of its own until /tmp/stop is there, then says how it went."""

import asyncio
import json
import os
import sys

import httpx

INGRESS, PLAYERS, PAUSE_SECONDS = sys.argv[1], int(sys.argv[2]), 0.1


async def player(number: int, http: httpx.AsyncClient, told: dict[str, int], errors: list[str]) -> None:
    """One deposit after the other; a lost answer is asked for again with the same id, so that nothing is paid twice."""
    count = 0
    while not os.path.exists("/tmp/stop"):  # noqa: ASYNC240
        count += 1
        body = {
            "walletId": f"load-{number}",
            "userId": f"load-{number}",
            "email": f"load-{number}@example.com",
            "amount": 1,
            "paymentMethod": "creditCard",
            "depositId": f"load-{number}-{count}",
        }
        told["sent"] += 1
        while True:
            try:
                answer = await http.post("/PaymentService/deposit", json=body)
                if answer.status_code == 200 and answer.json()["status"] == "credited":
                    told["credited"] += 1
                    break
                errors.append(f"{answer.status_code} {answer.text[:200]}")
            except httpx.TransportError as error:
                errors.append(repr(error))
            told["failed attempts"] += 1
            await asyncio.sleep(0.5)
        await asyncio.sleep(PAUSE_SECONDS)


async def main() -> None:
    told, errors = {"sent": 0, "credited": 0, "failed attempts": 0}, list[str]()
    async with httpx.AsyncClient(base_url=INGRESS, timeout=60) as http:
        await asyncio.gather(*(player(number, http, told, errors) for number in range(PLAYERS)))
    print(json.dumps({**told, "errors": errors[:5]}))


asyncio.run(main())
