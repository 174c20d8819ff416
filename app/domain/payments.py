"""What the payment provider can answer, as values: an unknown outcome is an outcome, not an error."""

from enum import StrEnum

from app.domain.model import Moment, Wire


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


class PaymentEvent(Wire):
    """What the provider's webhook says about a charge."""

    reference: str
    status: PaymentStatus
    user_id: str
    wallet_id: str
    amount: int
    currency: str
