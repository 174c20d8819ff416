"""What the sandbox can be asked to do with money, and which word makes it go wrong."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import StringConstraints

from app.domain.model import Amount, Currency
from app.domain.payments import ChargeRequest, PaymentStatus, PayoutRequest

Reference = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:@-]{1,200}$")]

TIMEOUT_CHARGED = "timeoutCharged"
TIMEOUT_LOST = "timeoutLost"
FLAKY = "flaky"
FLAKY_FAILURES = 2
"""How often a flaky order fails before it succeeds."""


class Charge(ChargeRequest):
    """An order to take money from a customer; its payment method picks what happens."""

    kind: ClassVar[str] = "charge"
    done: ClassVar[str] = "charged"
    results: ClassVar[Mapping[str, PaymentStatus]] = {
        "declined": PaymentStatus.DECLINED,
        "threeDSecure": PaymentStatus.ACTION_REQUIRED,
    }
    reference: Reference
    amount: Amount
    currency: Currency

    @property
    def scenario(self) -> str:
        """The word that picks what happens."""
        return self.payment_method


class Payout(PayoutRequest):
    """An order to send money to a customer; its destination picks what happens."""

    kind: ClassVar[str] = "payout"
    done: ClassVar[str] = "paid"
    results: ClassVar[Mapping[str, PaymentStatus]] = {**Charge.results, "refused": PaymentStatus.DECLINED}
    reference: Reference
    amount: Amount
    currency: Currency

    @property
    def scenario(self) -> str:
        """The word that picks what happens."""
        return self.destination


Order = Charge | Payout
ORDERS: Mapping[str, type[Order]] = {"charge": Charge, "payout": Payout}


def decide(order: Order) -> PaymentStatus:
    """Where an order stands once it is taken: done, unless its scenario says otherwise."""
    return order.results.get(order.scenario, PaymentStatus.DONE)
