"""DepositFollowUp: one deposit until its outcome is known, and what the provider tells of it ever after.

Every handler can be repeated, and one that is stopped in between sends itself on: what it has done by then is done
once. A look-up that is killed is revived by `resume`, and by the customer who repeats the deposit.
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
    LookUp,
    Phase,
    Step,
    Watch,
    WhoseDeposit,
    about_this_charge,
    early_events,
    heard,
    is_open,
    next_step,
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
from app.services.shell.access import check_owner
from app.services.shell.clock import clock
from app.services.shell.dependencies import dependencies
from app.services.shell.observed import observed
from app.services.shell.requests import EmptyRequest, key_is, takes, takes_bytes
from app.services.shell.shield import was_stopped
from app.services.shell.wire import FORGET_AT_ONCE, Json, Reply, SparseBody, invalid, refuse

logger = logging.getLogger(__name__)

deposit_follow_up = restate.VirtualObject(
    "DepositFollowUp",
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, key_is("depositId")],
)

STATE = "followUp"
_FOLLOW_UP = Json(FollowUp)

PAYMENTS = "PaymentService"
"""What lies above is sent to by name."""


class PublicDepositStatus(StrEnum):
    """Where a deposit stands, for the customer; `unknown` is one that we have never heard of."""

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
    """Where a deposit stands. A credited one whose money is with the customer again is refunded or chargedBack."""

    deposit_id: str
    status: PublicDepositStatus
    redirect_url: str | None = None


@deposit_follow_up.handler(name="begin", ingress_private=True)
async def begin(ctx: restate.ObjectContext, watch: Watch) -> None:
    """Know of a deposit before it is charged, so that an event can be acted on whenever it comes."""
    with _handed_over(lambda: ctx.object_send(begin, ctx.key(), watch)):
        known = await _load(ctx)
        follow_up = watching(known, watch)
        if follow_up is not None and follow_up is not known:
            _store(ctx, await _hear_early(ctx, follow_up))


@deposit_follow_up.handler(name="goOn", ingress_private=True)
async def go_on(ctx: restate.ObjectContext, watch: Watch) -> bool:
    """Take a deposit over whose charge has no definite answer yet; false where the id is another deposit's."""
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
    """Go on with a deposit on which nobody may be working any more. It does no harm where somebody is."""
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
    """The deposit is not wanted any more: it is void if it can still be stopped, and never charged anew."""
    with _handed_over(lambda: ctx.object_send(stop, ctx.key(), whose)):
        follow_up, deposit = await _find(ctx, whose)
        if follow_up is None or deposit is None or not is_open(follow_up, deposit):
            return
        follow_up = follow_up.model_copy(update={"void_wanted": True})
        if follow_up.phase is Phase.LOOKING_UP:  # else the deposit itself is at the provider, and will go on here
            follow_up = _schedule(ctx, follow_up, await clock(ctx), AT_ONCE)
        _store(ctx, follow_up)


@deposit_follow_up.handler(name="lookUp", ingress_private=True, input_serde=Json(LookUp))
async def look_up(ctx: restate.ObjectContext, which: LookUp | None) -> None:
    """Ask the provider once, act on the answer, or ask again later."""
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
    """Have the provider give back what was refunded in the book, again and again until it says that it did."""
    with _handed_over(lambda: ctx.object_send(refund, ctx.key(), tries, send_delay=_first_pause())):
        follow_up = await _load(ctx)
        if follow_up.refunded or follow_up.charge is None:
            return
        outcome = await provider_calls.refund_charge(ctx, follow_up.charge)
        if outcome.status in (PaymentStatus.DONE, PaymentStatus.DECLINED):
            if outcome.status is PaymentStatus.DECLINED:  # the comparison with the provider finds it
                logger.error("the provider refuses to refund %s: %s", ctx.key(), outcome.detail)
            _store(ctx, follow_up.model_copy(update={"refunded": True}))
        else:
            pause = dependencies().patience.pause(tries.number)
            ctx.object_send(refund, ctx.key(), LookUp(number=tries.number + 1), send_delay=pause)


@deposit_follow_up.handler(name="webhook", **takes_bytes(may(Role.PROVIDER)))
async def webhook(ctx: restate.ObjectContext, body: bytes) -> Received:
    """Take the provider's signed event: once, twice, early or weeks later, with one credit in all."""
    event = await verified(ctx, body)
    if event is None:
        return Received()
    if event.reference != ctx.key():
        invalid("reference: is not the deposit that this webhook is for")
    return (await _hear(ctx, event)).accepted()


@deposit_follow_up.handler(name="hear", ingress_private=True)
async def hear(ctx: restate.ObjectContext, event: PaymentEvent) -> Reply[Received]:
    """Take an event of this deposit whose signature has been verified."""
    return await _hear(ctx, event)


@deposit_follow_up.handler(
    name="cancel", output_serde=SparseBody(DepositView), **takes(EmptyRequest, may(Role.PAYMENTS, owner=Owner.DOCUMENT))
)
async def cancel(ctx: restate.ObjectContext, request: EmptyRequest) -> DepositView:
    """The customer does not want to go on with a charge that waits for them: it ends once the provider says so."""
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
    **takes(EmptyRequest, may(Role.PAYMENTS, Role.SUPPORT, Role.AUDITOR, owner=Owner.DOCUMENT)),
)
async def status(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> DepositView:
    """Where the deposit stands, as the player's own book knows it."""
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
    found = await ctx.object_call(player.find_deposit, follow_up.charge.user_id, ctx.key())
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
    """Send on what is stopped in between: a cancel interrupts no send."""
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
    """Schedule a look-up. Nothing may be waited for between this and storing what it returns."""
    follow_up, delay = scheduled(follow_up, now, pause)
    ctx.object_send(look_up, ctx.key(), LookUp(number=follow_up.look_up_number), send_delay=delay)
    return follow_up


async def _find(ctx: restate.ObjectContext, whose: WhoseDeposit) -> tuple[FollowUp | None, Deposit | None]:
    """The follow-up of a player's deposit, by the player's book where it has not begun; none where it is another's."""
    known = await _load(ctx)
    deposit = (await ctx.object_call(player.find_deposit, whose.user_id, ctx.key())).value
    if deposit is None:
        return known, None
    follow_up = watching(known, watch_of(ctx.key(), whose.user_id, deposit))
    if follow_up is not None and follow_up.charge is not known.charge:
        follow_up = await _hear_early(ctx, follow_up)
    return follow_up, deposit


async def _hear(ctx: restate.ObjectContext, event: PaymentEvent) -> Reply[Received]:
    with _handed_over(lambda: ctx.object_send(hear, ctx.key(), event)):
        follow_up = await _load(ctx)
        if follow_up.charge is None:  # the deposit may have been stopped before it told us
            follow_up = (await _find(ctx, WhoseDeposit(user_id=event.user_id)))[0] or FollowUp()
        if follow_up.charge is None:
            _store(ctx, with_early(follow_up, event))
            return Reply(value=Received())
        if not about_this_charge(follow_up, event):
            message = "the event tells of another charge than the one that we asked for"
            return Reply(refused=Refused(reason=Refusal.INVALID_REQUEST, message=message))
        _store(ctx, await _act_on(ctx, follow_up, event))
        return Reply(value=Received())


async def _hear_early(ctx: restate.ObjectContext, follow_up: FollowUp) -> FollowUp:
    """Act on what the provider told of this deposit before we knew it."""
    for event in early_events(follow_up):
        if about_this_charge(follow_up, event):
            follow_up = await _act_on(ctx, follow_up, event)
    return follow_up


async def _act_on(ctx: restate.ObjectContext, follow_up: FollowUp, event: PaymentEvent) -> FollowUp:
    """Do what an event of this charge means."""
    assert follow_up.charge is not None
    now = await clock(ctx)
    if event.status in CHARGE_EVENTS:
        told = TakeBack(deposit_id=ctx.key(), status=event.status, event_id=event.event_id, now=now)
        await ctx.object_call(player.take_back_deposit, follow_up.charge.user_id, told)
        return follow_up
    step = heard(follow_up, event.status)
    if step is Step.DECLINE:
        follow_up = (await _end(ctx, follow_up, step, now)).model_copy(update={"phase": Phase.LOOKING_UP})
        return _schedule(ctx, follow_up.model_copy(update={"released": True}), now, AT_ONCE)
    if step is Step.LOOK_UP:
        return _schedule(ctx, follow_up, now, AT_ONCE)
    return await _end(ctx, follow_up, step, now)


async def _looked_up(ctx: restate.ObjectContext, follow_up: FollowUp, now: datetime) -> FollowUp:
    """Ask once what became of the charge, and make it again where it was never made and may be."""
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
    """Ask the provider to void the charge; only its word for it ends the deposit."""
    assert follow_up.charge is not None
    outcome = await provider_calls.void_charge(ctx, follow_up.charge)
    if outcome.status in (PaymentStatus.DONE, PaymentStatus.DECLINED):
        return await _take(ctx, follow_up, outcome, now)
    return follow_up


async def _take(ctx: restate.ObjectContext, follow_up: FollowUp, outcome: PaymentOutcome, now: datetime) -> FollowUp:
    """Do at the player what the provider's answer to us means, if it means anything yet."""
    assert follow_up.reserved_at is not None
    at = outcome.at or now
    step = next_step(outcome.status, follow_up.reserved_at, at, dependencies().patience)
    if outcome.redirect_url is not None:
        follow_up = follow_up.model_copy(update={"redirect_url": outcome.redirect_url})
    return await _end(ctx, follow_up, step, at)


async def _end(ctx: restate.ObjectContext, follow_up: FollowUp, step: Step, now: datetime) -> FollowUp:
    assert follow_up.charge is not None
    end = EndDeposit(deposit_id=follow_up.charge.reference, now=now, waited_for_customer=follow_up.waits_for_customer)
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
