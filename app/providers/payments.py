"""The payment provider, as the services see it."""

from typing import Protocol

from app.domain.payments import ChargeRequest, PaymentOutcome, PayoutRequest


class PaymentProvider(Protocol):
    """Moves real money. Every answer is a value; only a bug raises."""

    async def charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Take money once per reference: DONE, DECLINED, ACTION_REQUIRED, CONFLICT or UNKNOWN."""

    async def find_charge(self, reference: str) -> PaymentOutcome:
        """Where a charge stands: DONE, DECLINED, ACTION_REQUIRED, NEVER_SEEN or UNKNOWN."""

    async def pay_out(self, request: PayoutRequest) -> PaymentOutcome:
        """Send money once per reference: DONE, DECLINED, ACTION_REQUIRED, CONFLICT or UNKNOWN."""

    async def find_payout(self, reference: str) -> PaymentOutcome:
        """Where a payout stands: DONE, DECLINED, ACTION_REQUIRED, NEVER_SEEN or UNKNOWN."""
