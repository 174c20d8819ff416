"""Players who deposit or bet without a pause; in a pod of its own until /tmp/stop is there, then says how it went."""

import asyncio
import json
import os
import sys
from collections import Counter
from time import monotonic, time_ns
from typing import Any

import httpx

DOOR, TOKENS, KIND = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
RUN = time_ns()
"""Part of each id: what an earlier run has sent is not sent again."""


def deposit(player: str, count: int) -> tuple[str, dict[str, Any]]:
    body = {"walletId": player, "userId": player, "email": f"{player}@example.com", "amount": 1}
    return "PaymentService/deposit", body | {"paymentMethod": "creditCard", "depositId": f"{player}-{RUN}-{count}"}


def bet(player: str, count: int) -> tuple[str, dict[str, Any]]:
    legs = [{"marketId": "bad-days", "selectionId": "home", "price": "2.50"}]
    body = {"betId": f"{player}-{RUN}-{count}", "walletId": player, "stake": 1, "legs": legs}
    return f"PlayerService/{player}/placeBet", body


ASKS, SUCCEEDS, PAUSE_SECONDS = {"deposits": (deposit, "credited", 0.1), "bets": (bet, "accepted", 0.25)}[KIND]


longest = 0.0
"""The longest that a player waited until a request had succeeded, in seconds."""


async def play(player: str, http: httpx.AsyncClient, told: Counter[str], errors: Counter[str]) -> None:
    """One request after the other; a lost answer is asked for again with the same id, so that no money moves twice."""
    global longest
    count, who = 0, {"authorization": f"Bearer {TOKENS[player]}"}
    while not os.path.exists("/tmp/stop"):  # noqa: ASYNC240
        count, began = count + 1, monotonic()
        path, body = ASKS(player, count)
        told["sent"] += 1
        while True:
            try:
                answer = await http.post(path, json=body, headers=who)
                if answer.status_code == 200 and answer.json()["status"] == SUCCEEDS:
                    told["succeeded"] += 1
                    break
                errors[f"{answer.status_code} {answer.text[:200]}"] += 1
            except httpx.TransportError as error:
                errors[repr(error)] += 1
            told["failed attempts"] += 1
            await asyncio.sleep(0.5)
        longest = max(longest, monotonic() - began)
        await asyncio.sleep(PAUSE_SECONDS)


async def main() -> None:
    told, errors = Counter({"sent": 0, "succeeded": 0, "failed attempts": 0}), Counter[str]()
    async with httpx.AsyncClient(base_url=DOOR, timeout=60) as http:
        await asyncio.gather(*(play(player, http, told, errors) for player in TOKENS))
    print(json.dumps({**told, "longest": longest, "errors": dict(errors.most_common(5))}))


asyncio.run(main())
