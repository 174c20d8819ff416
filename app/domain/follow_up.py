"""What to do while a deposit's outcome is unknown: trust signed events, look up with back-off, end at a deadline.

The charge is repeated under the same reference only inside the provider's idempotency window, counted from the
reservation; after it, look-ups only.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.model import Moment, State, Wire
from app.domain.payments import ChargeRequest, PaymentEvent, PaymentStatus


class Phase(StrEnum):
    """How far a deposit's follow-up has come."""

    CHARGING = "charging"
    """The deposit itself is talking to the provider."""
    LOOKING_UP = "lookingUp"
    ENDED = "ended"


class Step(StrEnum):
    """What has to be done with the player's deposit now."""

    CREDIT = "credit"
    DECLINE = "decline"
    FAIL = "fail"
    CHARGE_AGAIN = "chargeAgain"
    WAIT = "wait"


class Patience(Wire):
    """How long what is tried: the pauses between look-ups (the last repeats), the window and the deadline."""

    pauses: tuple[float, ...] = (10, 60, 600, 3600)
    window: timedelta = timedelta(hours=20)
    deadline: timedelta = timedelta(hours=72)

    def pause(self, tries: int) -> timedelta:
        """How long to wait before the next look-up after so many."""
        return timedelta(seconds=self.pauses[min(tries, len(self.pauses) - 1)])


class FollowUp(State):
    """One deposit's follow-up. An event may come before the deposit itself is known here."""

    charge: ChargeRequest | None = None
    reserved_at: Moment | None = None
    phase: Phase = Phase.CHARGING
    redirect_url: str | None = None
    tries: int = 0
    early_event: PaymentEvent | None = None


class Watch(Wire):
    """A deposit to follow: what is charged, and since when it is reserved."""

    charge: ChargeRequest
    reserved_at: Moment
    redirect_url: str | None = None
    """Where the customer has to act."""


def watching(follow_up: FollowUp, watch: Watch) -> FollowUp | None:
    """Follow this deposit; None where another one has the id."""
    if follow_up.charge is None:
        return follow_up.model_copy(update={"charge": watch.charge, "reserved_at": watch.reserved_at})
    return follow_up if follow_up.charge == watch.charge else None


def about_this_charge(follow_up: FollowUp, event: PaymentEvent) -> bool:
    """Whether a signed event tells of the very charge that we asked for."""
    charge = follow_up.charge
    return charge is not None and (
        charge.reference,
        charge.user_id,
        charge.wallet_id,
        charge.amount,
        charge.currency,
    ) == (
        event.reference,
        event.user_id,
        event.wallet_id,
        event.amount,
        event.currency,
    )


def next_step(status: PaymentStatus, reserved_at: datetime, now: datetime, patience: Patience) -> Step:
    """What a look-up, a repeated charge or an event means for a deposit that is not decided yet."""
    if status is PaymentStatus.DONE:
        return Step.CREDIT
    if status in (PaymentStatus.DECLINED, PaymentStatus.CONFLICT):
        return Step.DECLINE
    if now >= reserved_at + patience.deadline:
        return Step.FAIL
    if status is PaymentStatus.NEVER_SEEN:
        return Step.CHARGE_AGAIN if now < reserved_at + patience.window else Step.FAIL
    return Step.WAIT
