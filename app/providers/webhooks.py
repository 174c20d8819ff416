"""What the payment provider tells us: how it signs it, so that nobody else can, and how it looks.

A body is bytes that anybody may have written, until it has been verified and read.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import StringConstraints, ValidationError

from app.domain.model import Amount, Id, Wire, read_json
from app.domain.payments import CHARGE_EVENTS, PAYOUT_EVENTS, EventId, EventKind, EventStatus, PaymentEvent
from app.domain.provider_events import UnknownEvent
from app.domain.refusals import Refusal, Refused, invalid_request

HEADER = "Webhook-Signature"
MAX_EVENT_BYTES = 64 * 1024
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


@dataclass(frozen=True)
class Signatures:
    """Whose signatures are believed, and how old they may be; nobody's where there is no secret."""

    secrets: tuple[str, ...] = ()
    tolerance: timedelta = timedelta(0)

    def read_event(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> PaymentEvent | UnknownEvent | Refused:
        """The event in a body that the provider signed. `headers` have names in small letters."""
        if not verify(self.secrets, body, headers.get(HEADER.lower(), ""), now, self.tolerance):
            return Refused(reason=Refusal.BAD_SIGNATURE, message=f"{HEADER}: missing, forged or too old")
        return read_event(body)


class _Event(Wire):
    """An event as the provider writes it."""

    reference: Id
    status: EventStatus
    user_id: Id
    wallet_id: Id
    amount: Amount
    currency: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]
    kind: EventKind | None = None
    event_id: EventId | None = None


class _Labelled(Wire):
    kind: str | None = None
    status: Any = None
    type: Any = None
    """What many providers call the kind; we do not, so an event that has nothing else is of none that we know."""


def read_event(body: bytes) -> PaymentEvent | UnknownEvent | Refused:
    """The event in a body; a refusal, never an error, where there is none to be read."""
    if len(body) > MAX_EVENT_BYTES:
        return _unreadable(f"the event is longer than {MAX_EVENT_BYTES} bytes")
    try:
        labels = read_json(_Labelled, body)  # pydantic refuses what is nested too deep, and half characters
        json.loads(body, object_pairs_hook=_once, parse_constant=_no_number)
        if (unknown := _unknown(labels)) is not None:
            return unknown
        return PaymentEvent(**_Event.model_validate_json(body).model_dump(by_alias=False))
    except ValidationError as error:
        return invalid_request(error)
    except (ValueError, RecursionError):
        return _unreadable("the event is no JSON object with each field once")


def _unknown(labels: _Labelled) -> UnknownEvent | None:
    kind, status = labels.kind, labels.status
    if kind is not None and kind not in list(EventKind):
        return UnknownEvent(kind)
    if status is None and kind is None and isinstance(labels.type, str):
        return UnknownEvent(labels.type)
    if not isinstance(status, str):
        return None
    others = CHARGE_EVENTS if kind == EventKind.PAYOUT else PAYOUT_EVENTS if kind == EventKind.CHARGE else ()
    if status not in list(EventStatus) or status in others:
        return UnknownEvent(status)
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field twice")
    return fields


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _unreadable(message: str) -> Refused:
    return Refused(reason=Refusal.INVALID_REQUEST, message=message)
