"""What to do while a deposit's outcome is unknown: trust signed events, look up with back-off, end at a deadline.

The charge is repeated under the same reference only inside the provider's idempotency window, counted from the
reservation; after it, look-ups only.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from app.domain.model import Moment, State, Wire
from app.domain.payments import ChargeRequest, EventStatus, PaymentEvent, PaymentStatus
from app.domain.player import Deposit, DepositStatus

MAX_EARLY_EVENTS = 20
"""Events kept of a deposit that is not known yet."""


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
    LOOK_UP = "lookUp"
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
    """What earlier versions kept of events that came before the deposit; `early_events` goes on from it."""
    early_events: list[PaymentEvent] = Field(default_factory=list)
    look_up_number: int = 0
    """Which scheduled look-up counts: one that was scheduled earlier does nothing any more."""
    next_look_up_at: Moment | None = None
    void_wanted: bool = False
    """The charge is not wanted any more: it is to be void at the provider if it can still be, and not made anew."""
    released: bool = False
    """The customer has been told a no that was not the provider's last word: it is looked up, but not made anew."""
    refunded: bool = False
    """The provider has given back what we refunded, or said that it never will."""

    @property
    def waits_for_customer(self) -> bool:
        """Whether the charge needed the customer (3-D Secure)."""
        return self.redirect_url is not None


class Watch(Wire):
    """A deposit to follow: what is charged, and since when it is reserved."""

    charge: ChargeRequest
    reserved_at: Moment
    redirect_url: str | None = None
    """Where the customer has to act."""


class WhoseDeposit(Wire):
    """The player whose book knows a deposit."""

    user_id: str


class LookUp(Wire):
    """A look-up that was scheduled."""

    number: int


def watch_of(deposit_id: str, user_id: str, deposit: Deposit) -> Watch:
    """What is charged for a deposit, and since when it is reserved."""
    charge = ChargeRequest(
        reference=deposit_id,
        user_id=user_id,
        wallet_id=deposit.wallet_id,
        amount=deposit.amount,
        currency=deposit.currency,
        payment_method=deposit.payment_method,
    )
    return Watch(charge=charge, reserved_at=deposit.reserved_at)


def watching(follow_up: FollowUp, watch: Watch) -> FollowUp | None:
    """Follow this deposit; None where another one has the id."""
    if follow_up.charge is None:
        return follow_up.model_copy(update={"charge": watch.charge, "reserved_at": watch.reserved_at})
    return follow_up if follow_up.charge == watch.charge else None


def with_early(follow_up: FollowUp, event: PaymentEvent) -> FollowUp:
    """Keep an event of a deposit that is not known yet. What says that money moved is kept before a mere no."""
    known = early_events(follow_up)
    if event in known:
        return follow_up
    kept = sorted([*known, event], key=lambda one: one.status is EventStatus.DECLINED)[:MAX_EARLY_EVENTS]
    return follow_up.model_copy(update={"early_events": kept, "early_event": None})


def early_events(follow_up: FollowUp) -> list[PaymentEvent]:
    """What has been told before the deposit was known: first that it is done, whatever else came when."""
    before = [] if follow_up.early_event is None else [follow_up.early_event]
    return sorted([*before, *follow_up.early_events], key=lambda one: one.status is not EventStatus.DONE)


def heard(follow_up: FollowUp, status: EventStatus) -> Step:
    """What an event means for a deposit that is followed. Only the provider's answer to us is its last word.

    A `declined` event may be stale, or of one attempt of several under the same reference. It is believed for a charge
    that waits for the customer, which is looked up all the same; of any other it only makes us look it up soon.
    """
    if status is EventStatus.DONE:
        return Step.CREDIT
    if status is not EventStatus.DECLINED or follow_up.phase is not Phase.LOOKING_UP:
        return Step.WAIT
    return Step.DECLINE if follow_up.waits_for_customer else Step.LOOK_UP


def is_open(follow_up: FollowUp, deposit: Deposit) -> bool:
    """Whether a charge may still be made: its deposit is reserved, or was released on less than the last word."""
    released = follow_up.released and follow_up.phase is Phase.LOOKING_UP
    return deposit.status is DepositStatus.RESERVED or (released and deposit.status is DepositStatus.DECLINED)


def scheduled(follow_up: FollowUp, now: datetime, pause: timedelta) -> tuple[FollowUp, timedelta]:
    """Look up after a pause, or sooner where that was planned: all that was scheduled before does nothing any more.

    So it can be asked for at any time and as often as anybody likes: it revives look-ups that were killed, and never
    puts off those that are due.
    """
    planned = follow_up.next_look_up_at
    at = now + pause if planned is None or planned <= now else min(now + pause, planned)
    changes = {
        "phase": Phase.LOOKING_UP,
        "look_up_number": follow_up.look_up_number + 1,
        "next_look_up_at": at,
    }
    return follow_up.model_copy(update=changes), at - now


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


def next_step(
    status: PaymentStatus, reserved_at: datetime, now: datetime, patience: Patience, may_charge: bool = True
) -> Step:
    """What a look-up or a repeated charge means for a deposit that is not decided yet."""
    if status is PaymentStatus.DONE:
        return Step.CREDIT
    if status in (PaymentStatus.DECLINED, PaymentStatus.CONFLICT):
        return Step.DECLINE
    if now >= reserved_at + patience.deadline:
        return Step.FAIL
    if status is PaymentStatus.NEVER_SEEN:
        if now >= reserved_at + patience.window:
            return Step.FAIL
        return Step.CHARGE_AGAIN if may_charge else Step.WAIT
    return Step.WAIT
