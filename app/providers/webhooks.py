"""How the payment provider signs what it tells us, so that nobody else can."""

import hashlib
import hmac
import re
from datetime import datetime, timedelta

HEADER = "Webhook-Signature"
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def sign(secret: str, body: bytes, at: datetime) -> str:
    """The signature header of a webhook sent at a moment: its unix second and an HMAC-SHA256 over both."""
    second = int(at.timestamp())
    return f"t={second},v1={_hmac(secret, second, body)}"


def verify(secret: str, body: bytes, header: str, now: datetime, tolerance: timedelta) -> bool:
    """Whether the provider signed exactly this body, at most `tolerance` before or after now."""
    if (signature := _SIGNATURE.fullmatch(header)) is None:
        return False
    second = int(signature[1])
    genuine = hmac.compare_digest(_hmac(secret, second, body), signature[2])
    return genuine and abs(now.timestamp() - second) <= tolerance.total_seconds()


def _hmac(secret: str, second: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{second}.".encode() + body, hashlib.sha256).hexdigest()
