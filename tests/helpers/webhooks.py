"""What the payment provider tells, signed."""

import json
from datetime import UTC, datetime

import httpx

from app.providers import webhooks
from tests.running import WEBHOOK_SECRET as SECRET
from tests.running import System

JSON = {"content-type": "application/json"}


def event(body: dict[str, object], told: str = "done") -> bytes:
    fields = {name: body[name] for name in ("userId", "walletId", "amount")}
    return json.dumps({"reference": body["depositId"], "status": told, "currency": "EUR", **fields}).encode()


def send(
    betting: System, body: dict[str, object], content: bytes, secret: str = SECRET, at: datetime | None = None
) -> httpx.Response:
    header = webhooks.sign(secret, content, at or datetime.now(UTC))
    return betting.post_raw(f"DepositFollowUp/{body['depositId']}/webhook", content, {**JSON, webhooks.HEADER: header})
