"""Payments, and what they are compared with."""

from collections.abc import Callable

import aiohttp

from tests.bench.measuring import FLOOR, Request, ask, fresh, no_op


def get_account() -> Request:
    """Read a player."""
    return f"PlayerService/{fresh()}/getAccount", None


def three_steps() -> Request:
    """A workflow of three durable steps."""
    return f"BenchSteps/{fresh()}/run", None


def deposit() -> Request:
    """A first deposit: reserve, charge, credit, message."""
    name = fresh()
    body = {"walletId": "w", "userId": name, "email": "a@example.com", "amount": 100, "paymentMethod": "creditCard"}
    return "PaymentService/deposit", {**body, "depositId": name}


class Withdrawals:
    """Withdrawals without review, from players who have just had a deposit."""

    def __init__(self) -> None:
        self.players: list[str] = []

    async def prepare(self, client: aiohttp.ClientSession, count: int) -> None:
        """Give so many players something to withdraw."""
        for _ in range(count):
            path, body, *_ = deposit()
            assert body is not None
            await ask(client, path, body)
            self.players.append(str(body["userId"]))

    def __call__(self) -> Request:
        """The next player's withdrawal."""
        body: dict[str, object] = {"walletId": "w", "userId": self.players.pop(), "amount": 100, "destination": "bank"}
        return "PaymentService/withdraw", body


def flows() -> dict[str, Callable[[], Request]]:
    """Payments beside the floor."""
    return {
        FLOOR: no_op,
        "getAccount": get_account,
        "3-step workflow": three_steps,
        "withdrawal": Withdrawals(),
        "deposit": deposit,
    }
