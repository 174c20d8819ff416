"""Reading what a provider sends us: bytes that anybody may have written, until they have been read."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.domain.model import Wire
from app.domain.payments import (
    CHARGE_EVENTS,
    EITHER,
    PAYOUT_EVENTS,
    EventKind,
    EventStatus,
    PaymentEvent,
)
from app.domain.refusals import Refusal, Refused, invalid_request

MAX_EVENT_BYTES = 64 * 1024


@dataclass(frozen=True)
class UnknownEvent:
    """An event of a kind that we do not know: providers add kinds, and switch off who refuses them."""

    kind: str


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
        labels = _Labelled.model_validate_json(body)  # pydantic refuses what is nested too deep, and half characters
        json.loads(body, object_pairs_hook=_once, parse_constant=_no_number)
        if (unknown := _unknown(labels)) is not None:
            return unknown
        return PaymentEvent.model_validate_json(body)
    except ValidationError as error:
        return invalid_request(error)
    except (ValueError, RecursionError):
        return _unreadable("the event is no JSON object with each field once")


def is_of_payout(event: PaymentEvent) -> bool | None:
    """Whether an event is of a payout; None where it does not say."""
    if event.kind is not None:
        return event.kind is EventKind.PAYOUT
    return None if event.status in EITHER else event.status in PAYOUT_EVENTS


def of_payout(event: PaymentEvent) -> PaymentEvent:
    """The event in the words for payouts."""
    status = EITHER.get(event.status, event.status)
    return event.model_copy(update={"kind": EventKind.PAYOUT, "status": status})


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
