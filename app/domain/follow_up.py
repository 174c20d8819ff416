"""Follow-up of a deposit with an unknown outcome: trust signed events, look up with back-off, end at a deadline.

The charge is repeated, under the same reference, only inside the provider's idempotency window, which starts with the
reservation. After the window, the charge is only looked up.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from app.domain.model import Moment, State, Wire, is_empty
from app.domain.payments import ChargeRequest, EventStatus, PaymentEvent, PaymentStatus
from app.domain.player import Deposit, DepositStatus

MAX_EARLY_EVENTS = 20
"""The most events that are stored for a deposit that is not known yet."""


class Phase(StrEnum):
    """The phase of a deposit's follow-up."""

    CHARGING = "charging"
    """The deposit workflow itself is calling the provider."""
    LOOKING_UP = "lookingUp"
    ENDED = "ended"


class Step(StrEnum):
    """The next step of a deposit."""

    CREDIT = "credit"
    DECLINE = "decline"
    FAIL = "fail"
    CHARGE_AGAIN = "chargeAgain"
    LOOK_UP = "lookUp"
    WAIT = "wait"


class Patience(Wire):
    """Retry times: the pauses between look-ups in seconds (the last one repeats), the window and the deadline."""

    pauses: tuple[float, ...] = (10, 60, 600, 3600)
    window: timedelta = timedelta(hours=20)
    deadline: timedelta = timedelta(hours=72)

    def pause(self, tries: int) -> timedelta:
        """The pause before the next look-up, after `tries` of them."""
        return timedelta(seconds=self.pauses[min(tries, len(self.pauses) - 1)])


class FollowUp(State):
    """The follow-up of one deposit. An event may arrive before the deposit itself."""

    charge: ChargeRequest | None = None
    reserved_at: Moment | None = None
    phase: Phase = Phase.CHARGING
    redirect_url: str | None = None
    tries: int = 0
    early_event: PaymentEvent | None = None
    """The event that an earlier version stored before the deposit was known. `early_events` includes it."""
    early_events: list[PaymentEvent] = Field(default_factory=list)
    look_up_number: int = 0
    """The number of the newest scheduled look-up. Look-ups with lower numbers are ignored."""
    next_look_up_at: Moment | None = None
    void_wanted: bool = False
    """Whether the charge is no longer wanted. It is voided at the provider if possible, and not repeated."""
    released: bool = False
    """Whether the customer was told that the deposit failed before the provider's final answer. The charge is still
    looked up, but not repeated."""
    refunded: bool = False
    """Whether the provider has made the refund that we requested, or has definitely refused to make it."""
    recalled: bool = Field(False, exclude_if=is_empty)
    """Whether this was built from the player's document after the deposit had ended, because what was kept was
    forgotten."""

    @property
    def waits_for_customer(self) -> bool:
        """Whether the charge needed the customer (3-D Secure)."""
        return self.redirect_url is not None

    @property
    def may_have_waited(self) -> bool:
        """Whether the charge needed the customer, or may have: it may then have been made during a restriction."""
        return self.waits_for_customer or self.recalled


class Watch(Wire):
    """A request to follow up a deposit: its charge and the time of its reservation."""

    charge: ChargeRequest
    reserved_at: Moment
    redirect_url: str | None = None
    """The address at which the customer must confirm the charge."""


class WhoseDeposit(Wire):
    """The player whose document has a deposit."""

    user_id: str


class Forget(Wire):
    """A request to forget a deposit, if it was reserved before a moment and has ended."""

    reserved_before: Moment


class LookUp(Wire):
    """A scheduled look-up."""

    number: int


def watch_of(deposit_id: str, user_id: str, deposit: Deposit) -> Watch:
    """Build the request to follow up a deposit."""
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
    """Start to follow up a deposit. Returns None if the id is already used by a different charge."""
    if follow_up.charge is None:
        return follow_up.model_copy(update={"charge": watch.charge, "reserved_at": watch.reserved_at})
    return follow_up if follow_up.charge == watch.charge else None


def recalled(follow_up: FollowUp, watch: Watch, deposit: Deposit) -> FollowUp | None:
    """Start to follow up a deposit as the player's document has it. Returns None if another charge has the id."""
    again = watching(follow_up, watch)
    if again is None or follow_up.charge is not None or deposit.status is DepositStatus.RESERVED:
        return again
    return again.model_copy(update={"recalled": True})


def may_be_forgotten(follow_up: FollowUp, deposit: Deposit | None, reserved_before: datetime) -> bool:
    """Whether everything that a late event needs is in the player's document, and nothing is left to be done.

    A refund that the provider was asked for stays on record here: nothing else tells that it was made.
    """
    return (
        follow_up.reserved_at is not None
        and follow_up.reserved_at < reserved_before
        and follow_up.phase is not Phase.LOOKING_UP
        and deposit is not None
        and deposit.status is not DepositStatus.RESERVED
        and not deposit.refund_due
    )


def with_early(follow_up: FollowUp, event: PaymentEvent) -> FollowUp:
    """Store an event about a deposit that is not known yet. If there are too many, drop `declined` ones first."""
    known = early_events(follow_up)
    if event in known:
        return follow_up
    kept = sorted([*known, event], key=lambda one: one.status is EventStatus.DECLINED)[:MAX_EARLY_EVENTS]
    return follow_up.model_copy(update={"early_events": kept, "early_event": None})


def early_events(follow_up: FollowUp) -> list[PaymentEvent]:
    """The events that arrived before the deposit was known. `done` events come first, whenever they arrived."""
    before = [] if follow_up.early_event is None else [follow_up.early_event]
    return sorted([*before, *follow_up.early_events], key=lambda one: one.status is not EventStatus.DONE)


def heard(follow_up: FollowUp, status: EventStatus) -> Step:
    """Decide the next step from an event about a deposit. Only the provider's direct answer is final.

    A `declined` event may be old, or may be about only one of several attempts under the same reference. For a charge
    that waits for the customer, it declines the deposit, and the look-ups continue. For any other charge, it only
    causes an early look-up.
    """
    if status is EventStatus.DONE:
        return Step.CREDIT
    if status is not EventStatus.DECLINED or follow_up.phase is not Phase.LOOKING_UP:
        return Step.WAIT
    return Step.DECLINE if follow_up.waits_for_customer else Step.LOOK_UP


def is_open(follow_up: FollowUp, deposit: Deposit) -> bool:
    """Whether the charge may still be made: the deposit is reserved, or was released before a final answer."""
    released = follow_up.released and follow_up.phase is Phase.LOOKING_UP
    return deposit.status is DepositStatus.RESERVED or (released and deposit.status is DepositStatus.DECLINED)


def scheduled(follow_up: FollowUp, now: datetime, pause: timedelta) -> tuple[FollowUp, timedelta]:
    """Schedule a look-up after a pause, or earlier if one is already planned. Older look-ups are ignored from now on.

    It is safe to call this at any time: it replaces a look-up that was killed, and never delays a planned one.
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
    """Whether reference, player, wallet, amount and currency of a signed event match the charge."""
    return follow_up.charge is not None and is_about(follow_up.charge, event)


def is_about(charge: ChargeRequest, event: PaymentEvent) -> bool:
    """Whether reference, player, wallet, amount and currency of a signed event match a charge."""
    return (
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
    """Decide the next step of an undecided deposit from the answer to a look-up or a repeated charge."""
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
