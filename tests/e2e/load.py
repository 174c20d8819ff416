"""Players who deposit without a pause; runs in a pod of its own until /tmp/stop is there, then says how it went."""

import asyncio
import json
import os
import sys

import httpx

DOOR, TOKENS, PAUSE_SECONDS = sys.argv[1], json.loads(sys.argv[2]), 0.1


async def player(name: str, http: httpx.AsyncClient, told: dict[str, int], errors: list[str]) -> None:
    """One deposit after the other; a lost answer is asked for again with the same id, so that nothing is paid twice."""
    count, who = 0, {"authorization": f"Bearer {TOKENS[name]}"}
    while not os.path.exists("/tmp/stop"):  # noqa: ASYNC240
        count += 1
        body = {
            "walletId": name,
            "userId": name,
            "email": f"{name}@example.com",
            "amount": 1,
            "paymentMethod": "creditCard",
            "depositId": f"{name}-{count}",
        }
        told["sent"] += 1
        while True:
            try:
                answer = await http.post("/PaymentService/deposit", json=body, headers=who)
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
    async with httpx.AsyncClient(base_url=DOOR, timeout=60) as http:
        await asyncio.gather(*(player(name, http, told, errors) for name in TOKENS))
    print(json.dumps({**told, "errors": errors[:5]}))


asyncio.run(main())
