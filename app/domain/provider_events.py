"""Provider events: whether one is about a charge or a payout. The provider's adapter reads the webhook itself."""

from dataclasses import dataclass

from app.domain.payments import EITHER, PAYOUT_EVENTS, EventKind, PaymentEvent


@dataclass(frozen=True)
class UnknownEvent:
    """An event of an unknown kind. It must not be refused: providers add kinds, and disable a webhook that fails."""

    kind: str


def is_of_payout(event: PaymentEvent) -> bool | None:
    """Whether an event is about a payout; None if the event does not say."""
    if event.kind is not None:
        return event.kind is EventKind.PAYOUT
    return None if event.status in EITHER else event.status in PAYOUT_EVENTS


def of_payout(event: PaymentEvent) -> PaymentEvent:
    """Rewrite an event as one about a payout."""
    status = EITHER.get(event.status, event.status)
    return event.model_copy(update={"kind": EventKind.PAYOUT, "status": status})
