"""WithdrawalWorkflow: one withdrawal from its hold to its payout, or back into the wallet."""

from datetime import timedelta
from typing import Annotated

import restate
from pydantic import StringConstraints

from app.domain.model import PublicRequest, Wire
from app.domain.payments import PaymentOutcome, PaymentStatus, PayoutRequest
from app.domain.player import Withdrawal
from app.domain.refusals import Refusal, Refused
from app.domain.withdrawals import EndWithdrawal
from app.services import player, provider_calls
from app.services.boundary import Json, Nothing, clock, key_is, refuse, takes
from app.services.observed import observed
from app.services.outside import outside

RETENTION = timedelta(days=90)
"""How long `status` can tell of a withdrawal after its end; the player's book knows it for ever."""

withdrawal_workflow = restate.Workflow(
    "WithdrawalWorkflow", invocation_context_managers=[observed, key_is("withdrawalId")]
)

STATUS = "status"
Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200, strip_whitespace=True)]


class WithdrawalOrder(Wire):
    """A withdrawal whose money is held."""

    withdrawal_id: str
    user_id: str
    withdrawal: Withdrawal


class ApproveRequest(PublicRequest):
    """An operator's yes."""

    operator: Name


class RejectRequest(PublicRequest):
    """An operator's no, with the reason that the customer is told."""

    operator: Name
    reason: Name


class Review(Wire):
    """How a review ended: approved, rejected, timedOut, or notNeeded. The first to decide it decides it."""

    verdict: str
    operator: str | None = None
    reason: str = ""


class WithdrawalStatus(Wire):
    """Where a withdrawal stands."""

    withdrawal_id: str
    status: str


_REVIEW = Json(Review)
_ORDER = Json(WithdrawalOrder)


@withdrawal_workflow.main(name="run", ingress_private=True, workflow_retention=RETENTION)
async def run(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> WithdrawalStatus:
    """Wait for the review where one is needed, then pay out; whatever ends in a no gives the money back."""
    ctx.set(STATUS, "inReview" if order.withdrawal.in_review else "held")
    await ctx.promise("taken", serde=_ORDER).resolve(order)
    review = await _reviewed(ctx, order)
    if review.verdict in ("rejected", "timedOut"):
        return await _give_back(ctx, order, review.verdict, review.reason)
    ctx.set(STATUS, "payingOut")
    outcome = await _paid_out(ctx, order)
    if outcome.status is not PaymentStatus.DONE:
        return await _give_back(ctx, order, "failed", "the payment provider refused it")
    end = EndWithdrawal(withdrawal_id=ctx.key(), now=await clock(ctx))
    await ctx.object_call(player.pay_withdrawal, order.user_id, end)
    return _ended(ctx, "paid")


@withdrawal_workflow.handler(name="taken", ingress_private=True)
async def taken(ctx: restate.WorkflowSharedContext) -> WithdrawalOrder:
    """The withdrawal that this id stands for, as soon as the workflow has begun."""
    return await ctx.promise("taken", serde=_ORDER).value()


@withdrawal_workflow.handler(name="approve", **takes(ApproveRequest))
async def approve(ctx: restate.WorkflowSharedContext, request: ApproveRequest) -> WithdrawalStatus:
    """An operator lets the withdrawal go out."""
    return await _decide(ctx, Review(verdict="approved", operator=request.operator))


@withdrawal_workflow.handler(name="reject", **takes(RejectRequest))
async def reject(ctx: restate.WorkflowSharedContext, request: RejectRequest) -> WithdrawalStatus:
    """An operator refuses the withdrawal; the money goes back."""
    return await _decide(ctx, Review(verdict="rejected", operator=request.operator, reason=request.reason))


@withdrawal_workflow.handler(name="status", **takes(Nothing))
async def status(ctx: restate.WorkflowSharedContext, request: Nothing) -> WithdrawalStatus:
    """Where the withdrawal stands."""
    return WithdrawalStatus(withdrawal_id=ctx.key(), status=await _known_status(ctx))


async def _known_status(ctx: restate.WorkflowSharedContext) -> str:
    known = await ctx.get(STATUS, type_hint=str)
    if known is None:
        message = f"there is no withdrawal {ctx.key()}"
        refuse(Refused(reason=Refusal.UNKNOWN_WITHDRAWAL, message=message))
    return known


async def _decide(ctx: restate.WorkflowSharedContext, review: Review) -> WithdrawalStatus:
    await _known_status(ctx)
    if not await _first_to_decide(ctx, review):
        refuse(Refused(reason=Refusal.ALREADY_DECIDED, message=f"withdrawal {ctx.key()} has been decided"))
    return WithdrawalStatus(withdrawal_id=ctx.key(), status=review.verdict)


async def _first_to_decide(ctx: restate.WorkflowContext | restate.WorkflowSharedContext, review: Review) -> bool:
    """Decide the review, unless it was decided: the durable promise takes one answer, and says so to all others."""
    try:
        await ctx.promise("review", serde=_REVIEW).resolve(review)
    except restate.TerminalError:
        return False
    return True


async def _reviewed(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> Review:
    promise = ctx.promise("review", serde=_REVIEW)
    if not order.withdrawal.in_review:
        await _first_to_decide(ctx, Review(verdict="notNeeded"))
    else:
        timeout = ctx.sleep(outside().review_timeout, name="review timeout")
        match await restate.select(review=promise.value(), timeout=timeout):
            case ["timeout", _]:
                await _first_to_decide(ctx, Review(verdict="timedOut", reason="it was not reviewed in time"))
    return await promise.value()


async def _paid_out(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> PaymentOutcome:
    """Pay out, and look an unknown outcome up for as long as it takes: only a definite no lets the money go back."""
    payout = PayoutRequest(
        reference=order.withdrawal_id,
        user_id=order.user_id,
        wallet_id=order.withdrawal.wallet_id,
        amount=order.withdrawal.amount,
        currency=order.withdrawal.currency,
        destination=order.withdrawal.destination,
    )
    patience, wait = outside().patience, outside().charge_wait
    until = await clock(ctx) + patience.window
    outcome = await provider_calls.pay_out(ctx, payout, until, wait)
    tries = 0
    while outcome.status not in (PaymentStatus.DONE, PaymentStatus.DECLINED, PaymentStatus.CONFLICT):
        await ctx.sleep(patience.pause(tries), name="before the next look-up")
        tries += 1
        outcome = await provider_calls.find_payout(ctx, payout)
        if outcome.status is PaymentStatus.NEVER_SEEN:
            outcome = await provider_calls.pay_out(ctx, payout, until, wait)
    return outcome


async def _give_back(ctx: restate.WorkflowContext, order: WithdrawalOrder, how: str, reason: str) -> WithdrawalStatus:
    end = EndWithdrawal(withdrawal_id=ctx.key(), now=await clock(ctx), reason=reason)
    await ctx.object_call(player.return_withdrawal, order.user_id, end)
    return _ended(ctx, how)


def _ended(ctx: restate.WorkflowContext, how: str) -> WithdrawalStatus:
    ctx.set(STATUS, how)
    return WithdrawalStatus(withdrawal_id=ctx.key(), status=how)
