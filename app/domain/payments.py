"""What the payment provider can answer, as values: an unknown outcome is an outcome, not an error."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from app.domain.model import Amount, Id, Moment, Wire, is_none


class PaymentStatus(StrEnum):
    """Where a charge or a payout stands at the provider."""

    DONE = "done"
    """The money moved."""
    DECLINED = "declined"
    """A definite no: no money moved and none will under this reference."""
    ACTION_REQUIRED = "actionRequired"
    """The customer (3-D Secure) or the provider has to act first."""
    UNKNOWN = "unknown"
    """No answer, or none that tells: the money may have moved. Look it up by its reference."""
    NEVER_SEEN = "neverSeen"
    """A look-up's answer only: the provider knows no such reference."""
    CONFLICT = "conflict"
    """The provider knows this reference with other content. Nothing moved for this request."""


class ChargeRequest(Wire):
    """Take `amount` (minor units) from a customer. `reference` is also the provider's idempotency key."""

    reference: str
    user_id: str
    wallet_id: str
    amount: int
    currency: str
    payment_method: str


class PayoutRequest(Wire):
    """Send `amount` (minor units) to a customer. `reference` is also the provider's idempotency key."""

    reference: str
    user_id: str
    wallet_id: str
    amount: int
    currency: str
    destination: str


class PaymentOutcome(Wire):
    """The provider's answer to a charge, a payout or a look-up of one."""

    status: PaymentStatus
    redirect_url: str | None = None
    detail: str = ""
    at: Moment | None = None
    """When we had the answer."""


class EventKind(StrEnum):
    """What a provider's event is about."""

    CHARGE = "charge"
    PAYOUT = "payout"


class EventStatus(StrEnum):
    """What a provider's event says: of a charge, of a payout, or of either."""

    DONE = "done"
    DECLINED = "declined"
    REFUNDED = "refunded"
    """We, or the provider for us, gave the money of a charge back."""
    CHARGEBACK = "chargeback"
    """The customer's bank took the money of a charge back."""
    CHARGEBACK_REVERSED = "chargebackReversed"
    """The bank gave it to us again."""
    PAID = "paid"
    REFUSED = "refused"
    SENT_BACK = "sentBack"
    """The money of a payout came back, perhaps days after it was paid."""


CHARGE_EVENTS = frozenset({EventStatus.REFUNDED, EventStatus.CHARGEBACK, EventStatus.CHARGEBACK_REVERSED})
"""What is only ever said of a charge."""
PAYOUT_EVENTS = frozenset({EventStatus.PAID, EventStatus.REFUSED, EventStatus.SENT_BACK})
"""What is only ever said of a payout."""
EITHER = {EventStatus.DONE: EventStatus.PAID, EventStatus.DECLINED: EventStatus.REFUSED}
"""What is said of either, and how the same is called for a payout."""
assert CHARGE_EVENTS | PAYOUT_EVENTS | set(EITHER) == set(EventStatus)

EventId = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:@-]{1,200}$")]


class PaymentEvent(Wire):
    """What the provider's webhook says about a charge or a payout.

    `event_id` tells two events of the same content apart, such as a second chargeback after the first was reversed;
    without it, the same content is the same event.
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
    """Which way money moved at the provider, and why."""

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
    """Money that moved at the provider, at a moment of its clock. `amount` is above zero, whichever way it went."""

    kind: MovementKind
    reference: str
    user_id: str
    wallet_id: str
    amount: int
    currency: str
    at: Moment


class MovementPage(Wire):
    """Some of what moved, oldest first; `next` is the cursor of the page after it, None where there is none yet."""

    movements: tuple[Movement, ...]
    next: str | None = None
