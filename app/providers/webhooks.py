"""How the payment provider signs what it tells us, so that nobody else can."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

HEADER = "Webhook-Signature"
MAX_SIGNATURES = 10
"""Signatures in a header, of which one has to be genuine: while a provider changes secrets, it signs with both."""
_SIGNED = re.compile(r"t=([0-9]{1,12})((?:,[a-z0-9]{1,10}=[!-+\--~]{1,200})+)")
_SIGNATURE = re.compile(r"v1=([0-9a-f]{64})")


def sign(secret: str, body: bytes, at: datetime) -> str:
    """The signature header of a webhook sent at a moment: its unix second and an HMAC-SHA256 over both."""
    second = int(at.timestamp())
    return f"t={second},v1={_hmac(secret, second, body)}"


def verify(secrets: str | Iterable[str], body: bytes, header: str, now: datetime, tolerance: timedelta) -> bool:
    """Whether the provider signed exactly this body with one of the secrets, at most `tolerance` before or after now.

    The header may have several signatures, and some of schemes that we do not know: one that is genuine is enough.
    """
    if (signed := _SIGNED.fullmatch(header.replace(" ", ""))) is None:
        return False
    parts = signed[2].split(",")[1:]
    signatures = [match[1] for part in parts[:MAX_SIGNATURES] if (match := _SIGNATURE.fullmatch(part))]
    second = int(signed[1])
    genuine = [
        hmac.compare_digest(_hmac(secret, second, body), signature)
        for secret in ([secrets] if isinstance(secrets, str) else secrets)
        for signature in signatures
    ]
    return any(genuine) and abs(now.timestamp() - second) <= tolerance.total_seconds()


def _hmac(secret: str, second: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{second}.".encode() + body, hashlib.sha256).hexdigest()
