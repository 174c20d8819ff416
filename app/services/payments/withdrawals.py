"""WithdrawalWorkflow: one withdrawal from its hold to its payout, or back into the wallet."""

from datetime import timedelta
from typing import Annotated, NoReturn

import restate
from pydantic import StringConstraints
from restate.exceptions import TerminalError

from app.domain.access import Owner, Role, may
from app.domain.model import NoControls, PublicRequest, Wire
from app.domain.player import Review, Verdict, Withdrawal
from app.domain.refusals import Refusal, Refused
from app.domain.withdrawals import (
    EndWithdrawal,
    PayoutStep,
    PublicWithdrawalStatus,
    Search,
    WithdrawalOrder,
    next_payout_step,
    public_status,
    told_of,
)
from app.services.payments import provider_calls
from app.services.player import payments as player
from app.services.shell.access import actor, check_owner
from app.services.shell.clock import clock
from app.services.shell.dependencies import dependencies
from app.services.shell.observed import observed
from app.services.shell.requests import EmptyRequest, key_is, takes
from app.services.shell.shield import has_ended, was_stopped
from app.services.shell.wire import Json, Reply, invalid, refuse

RETENTION = timedelta(days=90)
"""How long `status` can tell of a withdrawal after its end; the player's book knows it for ever."""
ANSWER_WAIT = timedelta(seconds=1)
"""How long a run that has ended may take to say so."""
FOLLOW_UP = "WithdrawalFollowUp"
"""It lies above, so it is only sent to."""
AFTER_DECISION = timedelta(seconds=10)

withdrawal_workflow = restate.Workflow(
    "WithdrawalWorkflow", invocation_context_managers=[observed, key_is("withdrawalId")]
)

STATUS = "status"
Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200, strip_whitespace=True), NoControls]


class ApproveRequest(PublicRequest):
    """An operator's yes. The token says who the operator is; where there is none, the body does."""

    operator: Name | None = None


class RejectRequest(PublicRequest):
    """An operator's no: the reason is for the file and never leaves the house, the message is for the customer."""

    operator: Name | None = None
    reason: Name
    message: Name | None = None


class Whose(Wire):
    """Whose withdrawal may have been left alone."""

    user_id: str


class WithdrawalView(Wire):
    """Where a withdrawal stands."""

    withdrawal_id: str
    status: PublicWithdrawalStatus | Verdict


_REVIEW = Json(Review)
_ORDER = Json(WithdrawalOrder)


@withdrawal_workflow.main(name="run", ingress_private=True, workflow_retention=RETENTION)
async def run(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> WithdrawalView:
    """Wait for the review where one is needed, then pay out; whatever ends in a no gives the money back.

    A run that is stopped hands its withdrawal over: by a send, which nothing can stop.
    """
    try:
        return await _carry_out(ctx, order)
    except TerminalError:
        _send_up(ctx, "takeOver", order)
        raise


@withdrawal_workflow.handler(name="taken", ingress_private=True)
async def claimed_order(ctx: restate.WorkflowSharedContext) -> WithdrawalOrder:
    """What the version before calls to learn whose the id is; `claim` cannot wait in vain."""
    return await ctx.promise("taken", serde=_ORDER).value()


@withdrawal_workflow.handler(name="claim", ingress_private=True)
async def claim(ctx: restate.WorkflowSharedContext, order: WithdrawalOrder) -> WithdrawalOrder:
    """The withdrawal that this id stands for: the first that claims it, even where no run lives any more."""
    return await _claimed(ctx, order)


@withdrawal_workflow.handler(name="owner", ingress_private=True)
async def owner(ctx: restate.WorkflowSharedContext, nothing: None) -> Reply[WithdrawalOrder]:
    """The withdrawal that this id stands for, if it stands for one."""
    return Reply(value=await ctx.promise("taken", serde=_ORDER).peek())


@withdrawal_workflow.handler(name="abandon", ingress_private=True)
async def abandon(ctx: restate.WorkflowSharedContext, order: WithdrawalOrder) -> Review:
    """How the review ended; it ends now where it was still open, since the run that waited for it has ended."""
    await _first_to_decide(ctx, _without_review(order) or Review(verdict=Verdict.ABANDONED))
    return await ctx.promise("review", serde=_REVIEW).value()


@withdrawal_workflow.handler(name="approve", **takes(ApproveRequest, may(Role.PAYMENTS)))
async def approve(ctx: restate.WorkflowSharedContext, request: ApproveRequest) -> WithdrawalView:
    """An operator lets the withdrawal go out."""
    return await _decide(ctx, Review(verdict=Verdict.APPROVED, operator=_operator(request)))


@withdrawal_workflow.handler(name="reject", **takes(RejectRequest, may(Role.PAYMENTS)))
async def reject(ctx: restate.WorkflowSharedContext, request: RejectRequest) -> WithdrawalView:
    """An operator refuses the withdrawal; the money goes back."""
    words = request.model_dump(by_alias=False, exclude={"operator"})
    return await _decide(ctx, Review(verdict=Verdict.REJECTED, operator=_operator(request), **words))


@withdrawal_workflow.handler(
    name="status", **takes(EmptyRequest, may(Role.PAYMENTS, Role.SUPPORT, Role.AUDITOR, owner=Owner.DOCUMENT))
)
async def status(ctx: restate.WorkflowSharedContext, request: EmptyRequest) -> WithdrawalView:
    """Where the withdrawal stands, as the player's own book knows it."""
    order = await ctx.promise("taken", serde=_ORDER).peek()
    check_owner(order.user_id if order else None)
    order = order or _refuse_unknown(ctx.key())
    review = await ctx.promise("review", serde=_REVIEW).peek()
    known = (await ctx.object_call(player.withdrawal, order.user_id, ctx.key())).value
    return WithdrawalView(withdrawal_id=ctx.key(), status=public_status(known or order.withdrawal, review))


async def run_has_ended(ctx: restate.Context, order: WithdrawalOrder) -> bool:
    """Whether the run of a withdrawal has ended; one that never was begins now."""
    return await has_ended(ctx, ctx.workflow_send(run, order.withdrawal_id, order), ANSWER_WAIT)


async def give_back(
    ctx: restate.Context, order: WithdrawalOrder, message: str, review: Review | None = None
) -> Withdrawal:
    """The money goes back to the player, with a word why."""
    end = EndWithdrawal(withdrawal_id=order.withdrawal_id, now=await clock(ctx), message=message, review=review)
    return (await ctx.object_call(player.return_withdrawal, order.user_id, end)).accepted()


async def conclude(
    ctx: restate.Context, order: WithdrawalOrder, step: PayoutStep, review: Review | None = None
) -> Withdrawal:
    """Do at the player what the provider's definite word means."""
    end = EndWithdrawal(withdrawal_id=order.withdrawal_id, now=await clock(ctx), review=review)
    match step:
        case PayoutStep.PAY:
            ended = await ctx.object_call(player.pay_withdrawal, order.user_id, end)
        case PayoutStep.SEND_BACK:
            ended = await ctx.object_call(player.send_back_withdrawal, order.user_id, end)
        case _:
            assert step is PayoutStep.GIVE_BACK, step
            ended = await ctx.object_call(player.return_withdrawal, order.user_id, end)
    return ended.accepted()


async def _carry_out(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> WithdrawalView:
    order = await _claimed(ctx, order)  # which may be another player's, who was the first to claim the id
    ctx.set(STATUS, PublicWithdrawalStatus.IN_REVIEW if order.withdrawal.in_review else PublicWithdrawalStatus.HELD)
    review = await _reviewed(ctx, order)
    if review.verdict.pays:
        ctx.set(STATUS, PublicWithdrawalStatus.PAYING_OUT)
        ended = await conclude(ctx, order, await _paid_out(ctx, order), review)
    else:
        ended = await give_back(ctx, order, told_of(review), review)
    known = public_status(ended, review)
    ctx.set(STATUS, known)  # the version before reads it
    return WithdrawalView(withdrawal_id=ctx.key(), status=known)


async def _reviewed(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> Review:
    promise = ctx.promise("review", serde=_REVIEW)
    if (not_needed := _without_review(order)) is not None:
        await _first_to_decide(ctx, not_needed)
    else:
        timeout = ctx.sleep(dependencies().review_timeout, name="review timeout")
        match await restate.select(review=promise.value(), timeout=timeout):
            case ["timeout", _]:
                await _first_to_decide(ctx, Review(verdict=Verdict.TIMED_OUT, reason="it was not reviewed in time"))
            case _:
                pass
    return await promise.value()


async def _paid_out(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> PayoutStep:
    """Pay out, and look an unknown outcome up for as long as it takes."""
    patience, wait, now = dependencies().patience, dependencies().charge_wait, await clock(ctx)
    search = Search(window_end=now + patience.window)
    outcome = await provider_calls.pay_out(ctx, order.payout, search.window_end, wait)
    search, step = next_payout_step(search, outcome.status, outcome.at or now, patience)
    while not step.is_end:
        await ctx.sleep(patience.pause(search.tries), name="before the next look-up")
        search, step = await look_once(ctx, order, search)
    return step


async def look_once(ctx: restate.Context, order: WithdrawalOrder, search: Search) -> tuple[Search, PayoutStep]:
    """Ask the provider what became of a payout, and repeat the payout where it is missing and may be repeated."""
    patience = dependencies().patience
    outcome = await provider_calls.find_payout(ctx, order.payout)
    assert outcome.at is not None
    search, step = next_payout_step(search.tried(), outcome.status, outcome.at, patience)
    if step is PayoutStep.PAY_AGAIN:
        found_at = outcome.at
        outcome = await provider_calls.pay_out(ctx, order.payout, search.window_end, dependencies().charge_wait)
        search, step = next_payout_step(search, outcome.status, outcome.at or found_at, patience)
    return search, step


async def _known_order(ctx: restate.WorkflowSharedContext) -> WithdrawalOrder:
    order = await ctx.promise("taken", serde=_ORDER).peek()
    return order or _refuse_unknown(ctx.key())


async def _decide(ctx: restate.WorkflowSharedContext, review: Review) -> WithdrawalView:
    """Decide a review, unless the run that waits for it has ended: then nothing would come of it."""
    order = await _known_order(ctx)
    promise = ctx.promise("review", serde=_REVIEW)
    decided = await promise.peek()
    if decided is None and await run_has_ended(ctx, order):
        _send_up(ctx, "takeOver", order)
        _refuse_interrupted(ctx.key())
    if decided is None and not await _first_to_decide(ctx, review):
        decided = await promise.value()
    if decided is not None and decided.verdict is Verdict.ABANDONED:
        _refuse_interrupted(ctx.key())
    if decided is not None:
        refuse(Refused(reason=Refusal.ALREADY_DECIDED, message=f"withdrawal {ctx.key()} has been decided"))
    # The run may end in this very moment: somebody has to see to it that the verdict is carried out.
    _send_up(ctx, "resume", Whose(user_id=order.user_id), AFTER_DECISION)
    return WithdrawalView(withdrawal_id=ctx.key(), status=review.verdict)


def _operator(request: ApproveRequest | RejectRequest) -> str:
    """Who decides: the caller that the door has verified, whatever the body says; without a door, who it says."""
    if (by := actor()) is not None:
        return by.user
    return request.operator or invalid("operator: Field required")


async def _first_to_decide(ctx: restate.WorkflowContext | restate.WorkflowSharedContext, review: Review) -> bool:
    """Decide the review, unless it was decided: the durable promise takes one answer, and says so to all others."""
    try:
        await ctx.promise("review", serde=_REVIEW).resolve(review)
    except TerminalError as error:
        if was_stopped(error):
            raise
        return False
    return True


async def _claimed(
    ctx: restate.WorkflowContext | restate.WorkflowSharedContext, order: WithdrawalOrder
) -> WithdrawalOrder:
    promise = ctx.promise("taken", serde=_ORDER)
    try:
        await promise.resolve(order)
    except TerminalError as error:
        if was_stopped(error):
            raise
    return await promise.value()


def _without_review(order: WithdrawalOrder) -> Review | None:
    return None if order.withdrawal.in_review else Review(verdict=Verdict.NOT_NEEDED)


def _send_up(
    ctx: restate.WorkflowContext | restate.WorkflowSharedContext,
    handler: str,
    content: Wire,
    delay: timedelta | None = None,
) -> None:
    ctx.generic_send(FOLLOW_UP, handler, content.model_dump_json().encode(), key=ctx.key(), send_delay=delay)


def _refuse_unknown(withdrawal_id: str) -> NoReturn:
    refuse(Refused(reason=Refusal.UNKNOWN_WITHDRAWAL, message=f"there is no withdrawal {withdrawal_id}"))


def _refuse_interrupted(withdrawal_id: str) -> None:
    message = f"withdrawal {withdrawal_id} was interrupted: it is not reviewed any more; its money goes back"
    refuse(Refused(reason=Refusal.WITHDRAWAL_INTERRUPTED, message=message))
