"""DepositFollowUp: looks up one deposit until its outcome is known, and handles the provider's later events about it.

Every handler is idempotent. A handler that is stopped sends the same call to itself again, which repeats no effect. A
look-up that was killed is restarted by `resume`, or by the customer who repeats the deposit.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum

import restate
from restate.exceptions import TerminalError

from app.domain.access import Owner, Role, may
from app.domain.deposits import EndDeposit, TakeBack
from app.domain.follow_up import (
    FollowUp,
    Forget,
    LookUp,
    Phase,
    Step,
    Watch,
    WhoseDeposit,
    about_this_charge,
    early_events,
    heard,
    is_about,
    is_open,
    may_be_forgotten,
    next_step,
    recalled,
    scheduled,
    watch_of,
    watching,
    with_early,
)
from app.domain.model import Wire
from app.domain.payments import CHARGE_EVENTS, PaymentEvent, PaymentOutcome, PaymentStatus
from app.domain.player import Deposit, DepositStatus, TakenBack
from app.domain.refusals import Refusal, Refused
from app.services.payments import provider_calls
from app.services.payments.provider_events import Received, verified
from app.services.player import payments as player
from app.services.shell.access import check_owner, passed_on
from app.services.shell.clock import clock
from app.services.shell.dependencies import dependencies
from app.services.shell.observed import observed
from app.services.shell.requests import EmptyRequest, key_is, takes, takes_bytes
from app.services.shell.shield import was_stopped
from app.services.shell.wire import FORGET_AT_ONCE, Document, Json, Reply, SparseBody, invalid, refuse

logger = logging.getLogger(__name__)

deposit_follow_up = restate.VirtualObject(
    "DepositFollowUp",
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, key_is("depositId")],
)

STATE = "followUp"
_FOLLOW_UP = Document(FollowUp)

PAYMENTS = "PaymentService"
"""A component in a higher layer, addressed by name because it cannot be imported here."""


class PublicDepositStatus(StrEnum):
    """The status of a deposit as shown to the customer. `unknown` means that there is no such deposit."""

    PENDING = "pending"
    ACTION_REQUIRED = "actionRequired"
    CREDITED = "credited"
    DECLINED = "declined"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    CHARGED_BACK = "chargedBack"
    UNKNOWN = "unknown"


IN_PUBLIC: Mapping[DepositStatus | TakenBack, PublicDepositStatus] = {
    DepositStatus.RESERVED: PublicDepositStatus.PENDING,
    DepositStatus.CREDITED: PublicDepositStatus.CREDITED,
    DepositStatus.DECLINED: PublicDepositStatus.DECLINED,
    DepositStatus.FAILED: PublicDepositStatus.FAILED,
    DepositStatus.CANCELLED: PublicDepositStatus.CANCELLED,
    TakenBack.REFUNDED: PublicDepositStatus.REFUNDED,
    TakenBack.CHARGED_BACK: PublicDepositStatus.CHARGED_BACK,
}
assert IN_PUBLIC.keys() == {*DepositStatus, *TakenBack}
AT_ONCE = timedelta(0)


class DepositView(Wire):
    """The status of a deposit. One that was credited and then taken back is `refunded` or `chargedBack`."""

    deposit_id: str
    status: PublicDepositStatus
    redirect_url: str | None = None


@deposit_follow_up.handler(name="begin", ingress_private=True)
async def begin(ctx: restate.ObjectContext, watch: Watch) -> None:
    """Register a deposit before it is charged, so that an event about it can be handled whenever it arrives."""
    with _handed_over(lambda: ctx.object_send(begin, ctx.key(), watch)):
        known = await _load(ctx)
        follow_up = watching(known, watch)
        if follow_up is not None and follow_up is not known:
            _store(ctx, await _hear_early(ctx, follow_up))


@deposit_follow_up.handler(name="goOn", ingress_private=True)
async def go_on(ctx: restate.ObjectContext, watch: Watch) -> bool:
    """Start looking up a deposit whose charge has no definite answer yet. False if another deposit has this id."""
    known = await _load(ctx)
    follow_up = watching(known, watch)
    if follow_up is None:
        return False
    if follow_up.charge is not known.charge:
        follow_up = await _hear_early(ctx, follow_up)
    if follow_up.phase is not Phase.ENDED:
        url = watch.redirect_url if watch.redirect_url is not None else follow_up.redirect_url
        follow_up = follow_up.model_copy(update={"redirect_url": url})
        follow_up = _schedule(ctx, follow_up, await clock(ctx), _pause(follow_up))
    _store(ctx, follow_up)
    return True


@deposit_follow_up.handler(name="resume", ingress_private=True)
async def resume(ctx: restate.ObjectContext, whose: WhoseDeposit) -> None:
    """Restart the look-up of a deposit in case it was lost. Harmless if it was not."""
    with _handed_over(lambda: ctx.object_send(resume, ctx.key(), whose)):
        follow_up, deposit = await _find(ctx, whose)
        if deposit is None:
            return
        if follow_up is None:
            if deposit.status is DepositStatus.RESERVED:
                watch = watch_of(ctx.key(), whose.user_id, deposit)
                ctx.generic_send(PAYMENTS, "concludeAlone", watch.model_dump_json().encode())
            return
        if deposit.status is DepositStatus.RESERVED:
            follow_up = _schedule(ctx, follow_up, await clock(ctx), _pause(follow_up))
        if deposit.refund_due and not follow_up.refunded:
            ctx.object_send(refund, ctx.key(), LookUp(number=0))
        _store(ctx, follow_up)


@deposit_follow_up.handler(name="stop", ingress_private=True)
async def stop(ctx: restate.ObjectContext, whose: WhoseDeposit) -> None:
    """Stop a deposit that is no longer wanted: void it if it still can be, and never charge it again."""
    with _handed_over(lambda: ctx.object_send(stop, ctx.key(), whose)):
        follow_up, deposit = await _find(ctx, whose)
        if follow_up is None or deposit is None or not is_open(follow_up, deposit):
            return
        follow_up = follow_up.model_copy(update={"void_wanted": True})
        if follow_up.phase is Phase.LOOKING_UP:  # otherwise `deposit` is charging it, and calls `goOn`
            follow_up = _schedule(ctx, follow_up, await clock(ctx), AT_ONCE)
        _store(ctx, follow_up)


@deposit_follow_up.handler(name="lookUp", ingress_private=True, input_serde=Json(LookUp))
async def look_up(ctx: restate.ObjectContext, which: LookUp | None) -> None:
    """Look up the charge once. Act on a definite answer; otherwise schedule the next look-up."""
    with _handed_over(lambda: ctx.object_send(look_up, ctx.key(), which, send_delay=_first_pause())):
        follow_up = await _load(ctx)
        stale = which is not None and which.number != follow_up.look_up_number
        if follow_up.phase is not Phase.LOOKING_UP or stale:
            return
        now = await clock(ctx)
        follow_up = await _looked_up(ctx, follow_up, now)
        if follow_up.phase is Phase.LOOKING_UP:
            tries = follow_up.tries + 1
            follow_up = follow_up.model_copy(update={"tries": tries, "next_look_up_at": None})
            follow_up = _schedule(ctx, follow_up, now, dependencies().patience.pause(tries))
        _store(ctx, follow_up)


@deposit_follow_up.handler(name="refund", ingress_private=True)
async def refund(ctx: restate.ObjectContext, tries: LookUp) -> None:
    """Have the provider refund a deposit that is refunded in the player's document, retrying until it answers."""
    with _handed_over(lambda: ctx.object_send(refund, ctx.key(), tries, send_delay=_first_pause())):
        follow_up = await _load(ctx)
        if follow_up.refunded or follow_up.charge is None:
            return
        outcome = await provider_calls.refund_charge(ctx, follow_up.charge)
        if outcome.status in (PaymentStatus.DONE, PaymentStatus.DECLINED):
            if outcome.status is PaymentStatus.DECLINED:  # the reconciliation with the provider finds it
                logger.error("the provider declined to refund %s: %s", ctx.key(), outcome.detail)
            _store(ctx, follow_up.model_copy(update={"refunded": True}))
        else:
            pause = dependencies().patience.pause(tries.number)
            ctx.object_send(refund, ctx.key(), LookUp(number=tries.number + 1), send_delay=pause)


@deposit_follow_up.handler(name="forget", ingress_private=True)
async def forget(ctx: restate.ObjectContext, which: Forget) -> None:
    """Clear what is kept of a deposit that ended long ago. An event that comes even later finds it at its player."""
    follow_up = await _load(ctx)
    if follow_up.charge is None:
        return
    deposit = (await ctx.object_call(player.find_deposit, follow_up.charge.user_id, ctx.key())).value
    if may_be_forgotten(follow_up, deposit, which.reserved_before):
        ctx.clear(STATE)


@deposit_follow_up.handler(name="webhook", **takes_bytes(PaymentEvent, may(Role.PROVIDER), Refusal.BAD_SIGNATURE))
async def webhook(ctx: restate.ObjectContext, body: bytes) -> Received:
    """Handle a signed event about this deposit. Idempotent, at any time: the deposit is credited once."""
    event = await verified(ctx, body)
    if event is None:
        return Received()
    if event.reference != ctx.key():
        invalid("reference: must be the deposit in the address of this webhook")
    return (await _hear(ctx, event)).accepted()


@deposit_follow_up.handler(name="hear", ingress_private=True)
async def hear(ctx: restate.ObjectContext, event: PaymentEvent) -> Reply[Received]:
    """Handle an event about this deposit whose signature has been verified."""
    return await _hear(ctx, event)


@deposit_follow_up.handler(
    name="cancel",
    output_serde=SparseBody(DepositView),
    **takes(
        EmptyRequest,
        may(Role.PAYMENTS, owner=Owner.DOCUMENT),
        Refusal.UNKNOWN_DEPOSIT,
        Refusal.DEPOSIT_NOT_WAITING,
        repeatable=True,
    ),
)
async def cancel(ctx: restate.ObjectContext, request: EmptyRequest) -> DepositView:
    """Cancel a charge that waits for its customer. It ends only once the provider confirms that it is void.

    Refuses with `unknown_deposit`, or with `deposit_not_waiting` in any other status.
    """
    follow_up = await _load(ctx)
    check_owner(follow_up.charge.user_id if follow_up.charge else None)
    if follow_up.charge is None:
        refuse(Refused(reason=Refusal.UNKNOWN_DEPOSIT, message=f"there is no deposit {ctx.key()}"))
    whose = WhoseDeposit(user_id=follow_up.charge.user_id)
    with _handed_over(lambda: ctx.object_send(stop, ctx.key(), whose)):
        known = await _public_status(ctx, follow_up)
        if known is PublicDepositStatus.CANCELLED:
            return DepositView(deposit_id=ctx.key(), status=known)
        if known is not PublicDepositStatus.ACTION_REQUIRED:
            message = f"deposit {ctx.key()} does not wait for its customer: it is {known}"
            refuse(Refused(reason=Refusal.DEPOSIT_NOT_WAITING, message=message, metadata={"status": known.value}))
        now = await clock(ctx)
        follow_up = await _voided(ctx, follow_up.model_copy(update={"void_wanted": True}), now)
        if follow_up.phase is Phase.LOOKING_UP:
            follow_up = _schedule(ctx, follow_up, now, _first_pause())
        _store(ctx, follow_up)
        return DepositView(deposit_id=ctx.key(), status=await _public_status(ctx, follow_up))


@deposit_follow_up.handler(
    name="status",
    kind="shared",
    output_serde=SparseBody(DepositView),
    **takes(EmptyRequest, may(Role.PAYMENTS, Role.SUPPORT, Role.AUDITOR, owner=Owner.DOCUMENT), reads=True),
)
async def status(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> DepositView:
    """Return the status of the deposit, as the player's document records it."""
    follow_up = await ctx.get(STATE, serde=_FOLLOW_UP) or FollowUp()
    check_owner(follow_up.charge.user_id if follow_up.charge else None)
    known = await _public_status(ctx, follow_up)
    url = follow_up.redirect_url if known is PublicDepositStatus.ACTION_REQUIRED else None
    return DepositView(deposit_id=ctx.key(), status=known, redirect_url=url)


async def _public_status(
    ctx: restate.ObjectContext | restate.ObjectSharedContext, follow_up: FollowUp
) -> PublicDepositStatus:
    if follow_up.charge is None:
        return PublicDepositStatus.UNKNOWN
    found = await ctx.object_call(player.find_deposit, follow_up.charge.user_id, ctx.key(), headers=passed_on())
    deposit = found.accepted()
    if deposit.status is DepositStatus.RESERVED and follow_up.waits_for_customer:
        return PublicDepositStatus.ACTION_REQUIRED
    return IN_PUBLIC[deposit.status if deposit.taken_back is None else deposit.taken_back]


async def _load(ctx: restate.ObjectContext) -> FollowUp:
    return await ctx.get(STATE, serde=_FOLLOW_UP) or FollowUp()


def _store(ctx: restate.ObjectContext, follow_up: FollowUp) -> None:
    ctx.set(STATE, follow_up, serde=_FOLLOW_UP)


@contextmanager
def _handed_over(send: Callable[[], object]) -> Iterator[None]:
    """Send the call again if it is stopped. A cancel does not interrupt a send."""
    try:
        yield
    except TerminalError as error:
        if was_stopped(error):
            send()
        raise


def _first_pause() -> timedelta:
    return dependencies().patience.pause(0)


def _pause(follow_up: FollowUp) -> timedelta:
    return AT_ONCE if follow_up.void_wanted else _first_pause()


def _schedule(ctx: restate.ObjectContext, follow_up: FollowUp, now: datetime, pause: timedelta) -> FollowUp:
    """Schedule a look-up. The caller must store the result before it waits for anything else."""
    follow_up, delay = scheduled(follow_up, now, pause)
    ctx.object_send(look_up, ctx.key(), LookUp(number=follow_up.look_up_number), send_delay=delay)
    return follow_up


async def _find(ctx: restate.ObjectContext, whose: WhoseDeposit) -> tuple[FollowUp | None, Deposit | None]:
    """Find a player's deposit and its follow-up, which starts now if it has not started.

    The follow-up is None if this id belongs to another deposit; the deposit is None if the player has none with it.
    """
    known = await _load(ctx)
    deposit = (await ctx.object_call(player.find_deposit, whose.user_id, ctx.key())).value
    if deposit is None:
        return known, None
    follow_up = recalled(known, watch_of(ctx.key(), whose.user_id, deposit), deposit)
    if follow_up is not None and follow_up.charge is not known.charge:
        follow_up = await _hear_early(ctx, follow_up)
    return follow_up, deposit


async def _hear(ctx: restate.ObjectContext, event: PaymentEvent) -> Reply[Received]:
    with _handed_over(lambda: ctx.object_send(hear, ctx.key(), event)):
        follow_up = await _load(ctx)
        if follow_up.charge is None:  # `deposit` may have been stopped before it called `begin`
            follow_up = (await _find(ctx, WhoseDeposit(user_id=event.user_id)))[0] or FollowUp()
        if follow_up.charge is None:
            _store(ctx, with_early(follow_up, event))
            return Reply(value=Received())
        if not about_this_charge(follow_up, event):
            if await _took_back_from_another(ctx, event):
                return Reply(value=Received())
            message = "the event is about a different charge from the one that was requested"
            return Reply(refused=Refused(reason=Refusal.INVALID_REQUEST, message=message))
        _store(ctx, await _act_on(ctx, follow_up, event))
        return Reply(value=Received())


async def _took_back_from_another(ctx: restate.ObjectContext, event: PaymentEvent) -> bool:
    """Apply a refund or a chargeback to a deposit whose id another player has used since it was forgotten here."""
    if event.status not in CHARGE_EVENTS:
        return False
    deposit = (await ctx.object_call(player.find_deposit, event.user_id, ctx.key())).value
    if deposit is None or not is_about(watch_of(ctx.key(), event.user_id, deposit).charge, event):
        return False
    await _take_back(ctx, event, await clock(ctx))
    return True


async def _take_back(ctx: restate.ObjectContext, event: PaymentEvent, now: datetime) -> None:
    told = TakeBack(deposit_id=ctx.key(), status=event.status, event_id=event.event_id, now=now)
    await ctx.object_call(player.take_back_deposit, event.user_id, told)


async def _hear_early(ctx: restate.ObjectContext, follow_up: FollowUp) -> FollowUp:
    """Handle the events that arrived before this deposit was registered."""
    for event in early_events(follow_up):
        if about_this_charge(follow_up, event):
            follow_up = await _act_on(ctx, follow_up, event)
    return follow_up


async def _act_on(ctx: restate.ObjectContext, follow_up: FollowUp, event: PaymentEvent) -> FollowUp:
    """Apply an event about this charge."""
    assert follow_up.charge is not None
    now = await clock(ctx)
    if event.status in CHARGE_EVENTS:
        await _take_back(ctx, event, now)
        return follow_up
    step = heard(follow_up, event.status)
    if step is Step.DECLINE:
        follow_up = (await _end(ctx, follow_up, step, now)).model_copy(update={"phase": Phase.LOOKING_UP})
        return _schedule(ctx, follow_up.model_copy(update={"released": True}), now, AT_ONCE)
    if step is Step.LOOK_UP:
        return _schedule(ctx, follow_up, now, AT_ONCE)
    return await _end(ctx, follow_up, step, now)


async def _looked_up(ctx: restate.ObjectContext, follow_up: FollowUp, now: datetime) -> FollowUp:
    """Look up the charge once, and send it again if the provider never received it and there is still time."""
    charge, reserved_at = follow_up.charge, follow_up.reserved_at
    assert charge is not None
    assert reserved_at is not None
    if follow_up.void_wanted and follow_up.waits_for_customer:
        follow_up = await _voided(ctx, follow_up, now)
        if follow_up.phase is Phase.ENDED:
            return follow_up
    patience, may_charge = dependencies().patience, not (follow_up.void_wanted or follow_up.released)
    outcome = await provider_calls.find_charge(ctx, charge)
    if next_step(outcome.status, reserved_at, now, patience, may_charge) is Step.CHARGE_AGAIN:
        outcome = await provider_calls.charge(ctx, charge, reserved_at + patience.window, dependencies().charge_wait)
    return await _take(ctx, follow_up, outcome, now)


async def _voided(ctx: restate.ObjectContext, follow_up: FollowUp, now: datetime) -> FollowUp:
    """Ask the provider to void the charge. The deposit ends only if the provider confirms it."""
    assert follow_up.charge is not None
    outcome = await provider_calls.void_charge(ctx, follow_up.charge)
    if outcome.status in (PaymentStatus.DONE, PaymentStatus.DECLINED):
        return await _take(ctx, follow_up, outcome, now)
    return follow_up


async def _take(ctx: restate.ObjectContext, follow_up: FollowUp, outcome: PaymentOutcome, now: datetime) -> FollowUp:
    """Apply the provider's answer to the player's money, if the answer is definite."""
    assert follow_up.reserved_at is not None
    at = outcome.at or now
    step = next_step(outcome.status, follow_up.reserved_at, at, dependencies().patience)
    if outcome.redirect_url is not None:
        follow_up = follow_up.model_copy(update={"redirect_url": outcome.redirect_url})
    return await _end(ctx, follow_up, step, at)


async def _end(ctx: restate.ObjectContext, follow_up: FollowUp, step: Step, now: datetime) -> FollowUp:
    assert follow_up.charge is not None
    end = EndDeposit(deposit_id=follow_up.charge.reference, now=now, waited_for_customer=follow_up.may_have_waited)
    user_id = follow_up.charge.user_id
    match step:
        case Step.CREDIT:
            credited = (await ctx.object_call(player.credit_deposit, user_id, end)).accepted()
            if credited.refund_due and not follow_up.refunded:
                ctx.object_send(refund, ctx.key(), LookUp(number=0))
        case Step.DECLINE if follow_up.void_wanted:
            await ctx.object_call(player.cancel_deposit, user_id, end)
        case Step.DECLINE:
            await ctx.object_call(player.decline_deposit, user_id, end)
        case Step.FAIL:
            await ctx.object_call(player.fail_deposit, user_id, end)
        case _:
            return follow_up
    return follow_up.model_copy(update={"phase": Phase.ENDED})
