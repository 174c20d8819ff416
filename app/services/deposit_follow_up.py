"""DepositFollowUp: one deposit until its outcome is known: webhooks, look-ups with back-off, the deadline."""

import json
from datetime import datetime

import restate
from pydantic import ValidationError
from restate.serde import BytesSerde

from app.domain.deposits import EndDeposit
from app.domain.follow_up import FollowUp, Phase, Step, Watch, about_this_charge, next_step, watching
from app.domain.model import Wire
from app.domain.payments import EITHER, PaymentEvent, PaymentStatus
from app.domain.refusals import Refusal, Refused
from app.providers import webhooks
from app.services import player, provider_calls
from app.services.boundary import ANY, FORGET_AT_ONCE, Json, Nothing, SparseBody, clock, invalid, key_is, refuse, takes
from app.services.observed import observed
from app.services.outside import outside

deposit_follow_up = restate.VirtualObject(
    "DepositFollowUp",
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, key_is("depositId")],
)

STATE = "followUp"
_FOLLOW_UP = Json(FollowUp)

IN_PUBLIC = {"reserved": "pending", "credited": "credited", "declined": "declined", "failed": "failed"}


class DepositStatus(Wire):
    """Where a deposit stands: pending, actionRequired, credited, declined, failed, or unknown to us."""

    deposit_id: str
    status: str
    redirect_url: str | None = None


class Received(Wire):
    """What the provider hears of its event: it need not send it again."""

    received: bool = True


@deposit_follow_up.handler(name="begin", ingress_private=True)
async def begin(ctx: restate.ObjectContext, watch: Watch) -> None:
    """Know of a deposit before it is charged, so that an event can be acted on whenever it comes."""
    known = await _load(ctx)
    follow_up = watching(known, watch)
    if follow_up is None or follow_up is known:
        return
    event = follow_up.early_event
    if event is not None and event.status in EITHER and about_this_charge(follow_up, event):
        follow_up = await _take(ctx, follow_up, PaymentStatus(event.status), await clock(ctx))
    _store(ctx, follow_up)


@deposit_follow_up.handler(name="goOn", ingress_private=True)
async def go_on(ctx: restate.ObjectContext, watch: Watch) -> bool:
    """Take a deposit over whose charge has no definite answer yet; false where the id is another deposit's."""
    follow_up = watching(await _load(ctx), watch)
    if follow_up is None:
        return False
    if follow_up.phase is Phase.CHARGING:
        ctx.object_send(look_up, ctx.key(), None, send_delay=outside().patience.pause(0))
        changes = {"phase": Phase.LOOKING_UP, "redirect_url": watch.redirect_url}
        _store(ctx, follow_up.model_copy(update=changes))
    return True


@deposit_follow_up.handler(name="lookUp", ingress_private=True)
async def look_up(ctx: restate.ObjectContext) -> None:
    """Ask the provider once, act on the answer, or ask again later."""
    follow_up = await _load(ctx)
    if follow_up.phase is not Phase.LOOKING_UP:
        return
    assert follow_up.charge is not None
    assert follow_up.reserved_at is not None
    patience, now = outside().patience, await clock(ctx)
    outcome = await provider_calls.find_charge(ctx, follow_up.charge)
    if next_step(outcome.status, follow_up.reserved_at, now, patience) is Step.CHARGE_AGAIN:
        until = follow_up.reserved_at + patience.window
        outcome = await provider_calls.charge(ctx, follow_up.charge, until, outside().charge_wait)
    follow_up = await _take(ctx, follow_up, outcome.status, outcome.at or now)
    if follow_up.phase is Phase.LOOKING_UP:
        tries = follow_up.tries + 1
        ctx.object_send(look_up, ctx.key(), None, send_delay=patience.pause(tries))
        follow_up = follow_up.model_copy(update={"tries": tries})
    _store(ctx, follow_up)


@deposit_follow_up.handler(name="webhook", accept=ANY, input_serde=BytesSerde())
async def webhook(ctx: restate.ObjectContext, body: bytes) -> Received:
    """Take the provider's signed event: once, twice, early or weeks later, with one credit in all."""
    now = await clock(ctx)
    signature = ctx.request().headers.get(webhooks.HEADER.lower(), "")
    tolerance = outside().webhook_tolerance
    if not any(webhooks.verify(secret, body, signature, now, tolerance) for secret in outside().webhook_secrets):
        refuse(Refused(reason=Refusal.BAD_SIGNATURE, message=f"{webhooks.HEADER}: missing, forged or too old"))
    event = _read(body, ctx.key())
    follow_up = await _load(ctx)
    if follow_up.charge is None:
        _store(ctx, follow_up.model_copy(update={"early_event": event}))
        return Received()
    if not about_this_charge(follow_up, event):
        invalid("the event tells of another charge than the one that we asked for")
    if event.status not in EITHER:
        return Received()
    _store(ctx, await _take(ctx, follow_up, PaymentStatus(event.status), now))
    return Received()


@deposit_follow_up.handler(name="status", kind="shared", output_serde=SparseBody(DepositStatus), **takes(Nothing))
async def status(ctx: restate.ObjectSharedContext, request: Nothing) -> DepositStatus:
    """Where the deposit stands, as the player's own book knows it."""
    follow_up = await ctx.get(STATE, serde=_FOLLOW_UP)
    if follow_up is None or follow_up.charge is None:
        return DepositStatus(deposit_id=ctx.key(), status="unknown")
    known = await ctx.object_call(player.deposit_status, follow_up.charge.user_id, ctx.key())
    if known == "reserved" and follow_up.redirect_url is not None:
        return DepositStatus(deposit_id=ctx.key(), status="actionRequired", redirect_url=follow_up.redirect_url)
    return DepositStatus(deposit_id=ctx.key(), status=IN_PUBLIC[known])


async def _load(ctx: restate.ObjectContext) -> FollowUp:
    return await ctx.get(STATE, serde=_FOLLOW_UP) or FollowUp()


def _store(ctx: restate.ObjectContext, follow_up: FollowUp) -> None:
    ctx.set(STATE, follow_up, serde=_FOLLOW_UP)


async def _take(ctx: restate.ObjectContext, follow_up: FollowUp, told: PaymentStatus, now: datetime) -> FollowUp:
    """Do at the player what the provider's word means, if it means anything yet."""
    assert follow_up.charge is not None
    assert follow_up.reserved_at is not None
    end = EndDeposit(deposit_id=follow_up.charge.reference, now=now)
    user_id = follow_up.charge.user_id
    match next_step(told, follow_up.reserved_at, now, outside().patience):
        case Step.CREDIT:
            await ctx.object_call(player.credit_deposit, user_id, end)
        case Step.DECLINE:
            await ctx.object_call(player.decline_deposit, user_id, end)
        case Step.FAIL:
            await ctx.object_call(player.fail_deposit, user_id, end)
        case Step.WAIT | Step.CHARGE_AGAIN:
            return follow_up
    return follow_up.model_copy(update={"phase": Phase.ENDED})


def _read(body: bytes, deposit_id: str) -> PaymentEvent:
    try:
        event = PaymentEvent.model_validate(json.loads(body))
    except (ValidationError, ValueError):
        invalid("the event cannot be read")
    if event.reference != deposit_id:
        invalid("reference: is not the deposit that this webhook is for")
    return event
