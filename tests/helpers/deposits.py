"""Deposits: what a test asks for, and what has become of it."""

from uuid import uuid4

import httpx

from tests.running import System

SEED = {
    "walletId": "exampleWalletId",
    "email": "example@example.com",
    "amount": 100,
    "paymentMethod": "creditCard",
}


def request(payment_method: str = "creditCard", **fields: object) -> dict[str, object]:
    """The seed's request for a player and a deposit of their own."""
    name = uuid4().hex
    content = {**SEED, "userId": f"u-{name}", "email": f"{name}@example.com", "depositId": f"d-{name}"}
    return {**content, "paymentMethod": payment_method, **fields}


SILENT = ("timeoutCharged", "timeoutLost")
"""Of these the provider never tells in time what became of them."""


def deposit(betting: System, body: dict[str, object], status: int = 200) -> dict:  # type: ignore[type-arg]
    """Pay in, and ask again while nothing is known only because the machine was busy."""

    def answered() -> httpx.Response | None:
        response = betting.call("PaymentService", "deposit", body)
        is_late = response.is_success and response.json()["status"] == "pending"
        return None if is_late and "depositId" in body and body["paymentMethod"] not in SILENT else response

    response = betting.eventually(answered)
    assert response is not None
    assert response.status_code == status, response.text
    return response.json()  # type: ignore[no-any-return]


def credited(betting: System, body: dict[str, object]) -> None:
    """Pay in, so that the money is there."""
    assert deposit(betting, body)["status"] == "credited"


def status(betting: System, body: dict[str, object]) -> str:
    return betting.call("DepositFollowUp", "status", key=str(body["depositId"])).json()["status"]  # type: ignore[no-any-return]


def cash(betting: System, body: dict[str, object]) -> int:
    account = betting.call("PlayerService", "getAccount", key=str(body["userId"])).json()
    audit = betting.call("PlayerService", "audit", key=str(body["userId"])).json()
    assert audit["balanced"] is True
    if body["walletId"] not in account["wallets"]:  # a wallet is made by its first credit
        return 0
    wallet = account["wallets"][body["walletId"]]
    assert wallet["locked"] == wallet["pendingOut"] == 0
    return wallet["cash"]  # type: ignore[no-any-return]


def moved(betting: System, body: dict[str, object]) -> list[int]:
    return [charge["amount"] for charge in betting.charges(str(body["depositId"]))]


def subjects(betting: System, body: dict[str, object], count: int) -> list[str]:
    """The subjects of the player's mails, once there are that many."""
    betting.eventually(lambda: len(betting.mails(str(body["email"]))) >= count)
    return [mail["subject"] for mail in betting.mails(str(body["email"]))]
