"""What a provider's event is about; how it comes is a matter of the provider's adapter."""

from dataclasses import dataclass

from app.domain.payments import EITHER, PAYOUT_EVENTS, EventKind, PaymentEvent


@dataclass(frozen=True)
class UnknownEvent:
    """An event of a kind that we do not know: providers add kinds, and switch off who refuses them."""

    kind: str


def is_of_payout(event: PaymentEvent) -> bool | None:
    """Whether an event is of a payout; None where it does not say."""
    if event.kind is not None:
        return event.kind is EventKind.PAYOUT
    return None if event.status in EITHER else event.status in PAYOUT_EVENTS


def of_payout(event: PaymentEvent) -> PaymentEvent:
    """The event in the words for payouts."""
    status = EITHER.get(event.status, event.status)
    return event.model_copy(update={"kind": EventKind.PAYOUT, "status": status})
