"""Requests to the payment provider, and its answers and events. An unknown outcome is a value, not an error."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from app.domain.model import Amount, Id, Moment, Wire, is_none


class PaymentStatus(StrEnum):
    """The status of a charge or a payout at the provider."""

    DONE = "done"
    """The money has moved."""
    DECLINED = "declined"
    """Definitely declined: no money has moved or will move under this reference."""
    ACTION_REQUIRED = "actionRequired"
    """The customer (3-D Secure) or the provider must act first."""
    UNKNOWN = "unknown"
    """No answer, or an unclear one. The money may have moved: look it up by its reference."""
    NEVER_SEEN = "neverSeen"
    """The provider does not know the reference. Only a look-up has this answer."""
    CONFLICT = "conflict"
    """The provider knows the reference with different content. No money moved for this request."""


class ChargeRequest(Wire):
    """A request to charge a customer `amount` minor units. `reference` is also the provider's idempotency key."""

    reference: str
    user_id: str
    wallet_id: str
    amount: int
    currency: str
    payment_method: str


class PayoutRequest(Wire):
    """A request to pay a customer `amount` minor units. `reference` is also the provider's idempotency key."""

    reference: str
    user_id: str
    wallet_id: str
    amount: int
    currency: str
    destination: str


class PaymentOutcome(Wire):
    """The provider's answer to a charge, a payout or a look-up."""

    status: PaymentStatus
    redirect_url: str | None = None
    detail: str = ""
    at: Moment | None = None
    """When the answer arrived here."""


class EventKind(StrEnum):
    """The kind of operation that a provider's event is about."""

    CHARGE = "charge"
    PAYOUT = "payout"


class EventStatus(StrEnum):
    """The status in a provider's event. Some apply only to charges, some only to payouts, and some to both."""

    DONE = "done"
    DECLINED = "declined"
    REFUNDED = "refunded"
    """The house, or the provider for the house, gave the money of a charge back to the customer."""
    CHARGEBACK = "chargeback"
    """The customer's bank took back the money of a charge."""
    CHARGEBACK_REVERSED = "chargebackReversed"
    """The customer's bank returned the money of a chargeback."""
    PAID = "paid"
    REFUSED = "refused"
    SENT_BACK = "sentBack"
    """The customer's bank sent back the money of a payout, perhaps days after the payment."""


CHARGE_EVENTS = frozenset({EventStatus.REFUNDED, EventStatus.CHARGEBACK, EventStatus.CHARGEBACK_REVERSED})
"""The statuses that apply only to charges."""
PAYOUT_EVENTS = frozenset({EventStatus.PAID, EventStatus.REFUSED, EventStatus.SENT_BACK})
"""The statuses that apply only to payouts."""
EITHER = {EventStatus.DONE: EventStatus.PAID, EventStatus.DECLINED: EventStatus.REFUSED}
"""The statuses that apply to both, each with its equivalent for payouts."""
assert CHARGE_EVENTS | PAYOUT_EVENTS | set(EITHER) == set(EventStatus)

EventId = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:@-]{1,200}$")]


class PaymentEvent(Wire):
    """An event about a charge or a payout from the provider's webhook. `amount` is in minor units.

    `event_id` distinguishes events with equal content, such as a second chargeback after the first was reversed.
    Without it, events with equal content are the same event.
    """

    reference: Id
    status: EventStatus
    user_id: Id
    wallet_id: Id
    amount: Amount
    currency: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]
    kind: EventKind | None = Field(None, exclude_if=is_none)
    event_id: EventId | None = Field(None, exclude_if=is_none)


class MovementKind(StrEnum):
    """The kind of a movement at the provider, which also gives its direction."""

    CHARGE = "charge"
    REFUND = "refund"
    CHARGEBACK = "chargeback"
    CHARGEBACK_REVERSED = "chargebackReversed"
    PAYOUT = "payout"
    SENT_BACK = "sentBack"


OF_CHARGES = frozenset(
    {MovementKind.CHARGE, MovementKind.REFUND, MovementKind.CHARGEBACK, MovementKind.CHARGEBACK_REVERSED}
)
OF_PAYOUTS = frozenset({MovementKind.PAYOUT, MovementKind.SENT_BACK})
assert set(MovementKind) == OF_CHARGES | OF_PAYOUTS


class Movement(Wire):
    """A movement of money at the provider. `amount` is in minor units and positive in both directions.

    `at` is a time of the provider's clock.
    """

    kind: MovementKind
    reference: str
    user_id: str
    wallet_id: str
    amount: int
    currency: str
    at: Moment


class MovementPage(Wire):
    """A page of movements, oldest first. `next` is the cursor of the next page, or None if there is none yet."""

    movements: tuple[Movement, ...]
    next: str | None = None
