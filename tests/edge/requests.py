"""What honest customers ask for."""

import json

ACCOUNT = "/PlayerService/ann/getAccount"
DEPOSIT = "/PaymentService/deposit"


def deposit(user: object = "ann", **others: object) -> bytes:
    """A deposit's body."""
    asked = {"walletId": "w-1", "userId": user, "email": "a@example.com", "amount": 100, "paymentMethod": "creditCard"}
    return json.dumps({**asked, **others}).encode()
