"""WithdrawalWorkflow: takes one withdrawal from its hold to its payout, or returns the money to the wallet."""

from datetime import datetime, timedelta
from typing import Any, Literal, NoReturn

import restate
from restate.exceptions import TerminalError

from app.domain.access import Owner, Role, may
from app.domain.model import PublicRequest, TrimmedText, Wire
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
from app.services.shell.access import actor, check_owner, passed_on
from app.services.shell.clock import clock
from app.services.shell.dependencies import dependencies
from app.services.shell.observed import observed
from app.services.shell.requests import EmptyRequest, key_is, takes
from app.services.shell.shield import has_ended, was_stopped
from app.services.shell.wire import FORGET_AT_ONCE, Json, Reply, invalid, refuse

RETENTION = timedelta(days=90)
"""How long `status` knows a withdrawal after its end. The player's document and archive keep it for ever."""
ANSWER_WAIT = timedelta(seconds=1)
"""How long to wait for Restate to report that a run has ended."""
FOLLOW_UP = "WithdrawalFollowUp"
"""A component in a higher layer, addressed by name because it cannot be imported here."""
AFTER_DECISION = timedelta(seconds=10)

withdrawal_workflow = restate.Workflow(
    "WithdrawalWorkflow", invocation_context_managers=[observed, key_is("withdrawalId")]
)

STATUS = "status"


class ApproveRequest(PublicRequest):
    """An operator's approval. The operator is the subject of the token or, without a token, the one in the body."""

    operator: TrimmedText | None = None


class RejectRequest(PublicRequest):
    """An operator's rejection. `reason` is internal and is never shown to the customer; `message` is sent to them."""

    operator: TrimmedText | None = None
    reason: TrimmedText
    message: TrimmedText | None = None


class Whose(Wire):
    """The player whose withdrawal may have been left unfinished."""

    user_id: str


class WithdrawalView(Wire):
    """The status of a withdrawal."""

    withdrawal_id: str
    status: PublicWithdrawalStatus


class ReviewView(Wire):
    """An operator's decision on a withdrawal."""

    withdrawal_id: str
    status: Literal[Verdict.APPROVED, Verdict.REJECTED]


_REVIEW = Json(Review)
_ORDER = Json(WithdrawalOrder)


@withdrawal_workflow.main(name="run", ingress_private=True, workflow_retention=RETENTION)
async def run(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> WithdrawalView:
    """Wait for a review if one is needed, then pay out. Any other outcome returns the money to the player.

    A run that is stopped hands the withdrawal over to WithdrawalFollowUp by a send, which cannot be interrupted.
    """
    try:
        return await _carry_out(ctx, order)
    except TerminalError:
        _send_up(ctx, "takeOver", order)
        raise


@withdrawal_workflow.handler(name="taken", ingress_private=True, journal_retention=FORGET_AT_ONCE)
async def claimed_order(ctx: restate.WorkflowSharedContext) -> WithdrawalOrder:
    """Return the owner of this id once it has one. Replaced by `claim`; kept because the previous version calls it."""
    return await ctx.promise("taken", serde=_ORDER).value()


@withdrawal_workflow.handler(name="claim", ingress_private=True, journal_retention=FORGET_AT_ONCE)
async def claim(ctx: restate.WorkflowSharedContext, order: WithdrawalOrder) -> WithdrawalOrder:
    """Claim this id, and return its owner: the first withdrawal that claimed it, even after its run has ended."""
    return await _claimed(ctx, order)


@withdrawal_workflow.handler(name="owner", ingress_private=True, journal_retention=FORGET_AT_ONCE)
async def owner(ctx: restate.WorkflowSharedContext, nothing: None) -> Reply[WithdrawalOrder]:
    """Return the withdrawal that owns this id, if there is one."""
    return Reply(value=await ctx.promise("taken", serde=_ORDER).peek())


@withdrawal_workflow.handler(name="abandon", ingress_private=True, journal_retention=FORGET_AT_ONCE)
async def abandon(ctx: restate.WorkflowSharedContext, order: WithdrawalOrder) -> Review:
    """Return the outcome of the review. A review that is still open ends as abandoned, because its run has ended."""
    if (not_needed := _without_review(order)) is not None:
        return not_needed
    await _first_to_decide(ctx, Review(verdict=Verdict.ABANDONED))
    return await ctx.promise("review", serde=_REVIEW).value()


@withdrawal_workflow.handler(
    name="approve",
    **takes(
        ApproveRequest,
        may(Role.PAYMENTS),
        Refusal.UNKNOWN_WITHDRAWAL,
        Refusal.ALREADY_DECIDED,
        Refusal.WITHDRAWAL_INTERRUPTED,
        repeatable=True,
    ),
)
async def approve(ctx: restate.WorkflowSharedContext, request: ApproveRequest) -> ReviewView:
    """Approve the withdrawal, which is then paid out."""
    await _decide(ctx, Review(verdict=Verdict.APPROVED, **_operator(request)))
    return ReviewView(withdrawal_id=ctx.key(), status=Verdict.APPROVED)


@withdrawal_workflow.handler(
    name="reject",
    **takes(
        RejectRequest,
        may(Role.PAYMENTS),
        Refusal.UNKNOWN_WITHDRAWAL,
        Refusal.ALREADY_DECIDED,
        Refusal.WITHDRAWAL_INTERRUPTED,
        repeatable=True,
    ),
)
async def reject(ctx: restate.WorkflowSharedContext, request: RejectRequest) -> ReviewView:
    """Reject the withdrawal; the money goes back to the player."""
    words = request.model_dump(by_alias=False, exclude={"operator"})
    await _decide(ctx, Review(verdict=Verdict.REJECTED, **_operator(request), **words))
    return ReviewView(withdrawal_id=ctx.key(), status=Verdict.REJECTED)


@withdrawal_workflow.handler(
    name="status",
    **takes(
        EmptyRequest,
        may(Role.PAYMENTS, Role.SUPPORT, Role.AUDITOR, owner=Owner.DOCUMENT),
        Refusal.UNKNOWN_WITHDRAWAL,
        reads=True,
    ),
)
async def status(ctx: restate.WorkflowSharedContext, request: EmptyRequest) -> WithdrawalView:
    """Return the status of the withdrawal, as the player's document records it."""
    order = await ctx.promise("taken", serde=_ORDER).peek()
    check_owner(order.user_id if order else None)
    order = order or _refuse_unknown(ctx.key())
    review = _without_review(order) or await ctx.promise("review", serde=_REVIEW).peek()
    known = (await ctx.object_call(player.withdrawal, order.user_id, ctx.key(), headers=passed_on())).value
    return WithdrawalView(withdrawal_id=ctx.key(), status=public_status(known or order.withdrawal, review))


async def run_has_ended(ctx: restate.Context, order: WithdrawalOrder) -> bool:
    """Whether the run of a withdrawal has ended. If it never started, this starts it."""
    return await has_ended(ctx, ctx.workflow_send(run, order.withdrawal_id, order), ANSWER_WAIT)


async def give_back(
    ctx: restate.Context, order: WithdrawalOrder, message: str, review: Review | None = None
) -> Withdrawal:
    """Return the money to the player, with a message that says why."""
    end = EndWithdrawal(withdrawal_id=order.withdrawal_id, now=await clock(ctx), message=message, review=review)
    return (await ctx.object_call(player.return_withdrawal, order.user_id, end)).accepted()


async def conclude(
    ctx: restate.Context, order: WithdrawalOrder, step: PayoutStep, now: datetime, review: Review | None = None
) -> Withdrawal:
    """Apply the provider's definite answer, which came at `now`, to the player's money."""
    end = EndWithdrawal(withdrawal_id=order.withdrawal_id, now=now, review=review)
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
    order = await _claimed(ctx, order)  # the id may belong to another player's withdrawal
    ctx.set(STATUS, PublicWithdrawalStatus.IN_REVIEW if order.withdrawal.in_review else PublicWithdrawalStatus.HELD)
    review = await _reviewed(ctx, order)
    if review.verdict.pays:
        ctx.set(STATUS, PublicWithdrawalStatus.PAYING_OUT)
        step, answered_at = await _paid_out(ctx, order)
        ended = await conclude(ctx, order, step, answered_at, review)
    else:
        ended = await give_back(ctx, order, told_of(review), review)
    known = public_status(ended, review)
    ctx.set(STATUS, known)  # for the previous version, which reads it
    return WithdrawalView(withdrawal_id=ctx.key(), status=known)


async def _reviewed(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> Review:
    if (not_needed := _without_review(order)) is not None:
        return not_needed
    promise = ctx.promise("review", serde=_REVIEW)
    timeout = ctx.sleep(dependencies().review_timeout, name="review timeout")
    match await restate.select(review=promise.value(), timeout=timeout):
        case ["timeout", _]:
            await _first_to_decide(ctx, Review(verdict=Verdict.TIMED_OUT, reason="it was not reviewed in time"))
        case _:
            pass
    return await promise.value()


async def _paid_out(ctx: restate.WorkflowContext, order: WithdrawalOrder) -> tuple[PayoutStep, datetime]:
    """Pay out, and look up an unknown outcome until it is known. Returns how it ended, and when that was known."""
    patience, wait, now = dependencies().patience, dependencies().charge_wait, await clock(ctx)
    search = Search(window_end=now + patience.window)
    outcome = await provider_calls.pay_out(ctx, order.payout, search.window_end, wait)
    answered_at = outcome.at or now
    search, step = next_payout_step(search, outcome.status, answered_at, patience)
    if step.is_end:
        return step, answered_at
    while not step.is_end:
        await ctx.sleep(patience.pause(search.tries), name="before the next look-up")
        search, step = await look_once(ctx, order, search)
    return step, await clock(ctx)


async def look_once(ctx: restate.Context, order: WithdrawalOrder, search: Search) -> tuple[Search, PayoutStep]:
    """Look up a payout at the provider, and send it again if the provider never received it and there is still time."""
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


async def _decide(ctx: restate.WorkflowSharedContext, review: Review) -> None:
    """Decide a review. Refuses if it is decided already, or if the run that would act on the decision has ended."""
    order = await _known_order(ctx)
    promise = ctx.promise("review", serde=_REVIEW)
    decided = _without_review(order) or await promise.peek()
    if decided is None and await run_has_ended(ctx, order):
        # The review may have timed out while we asked: then the run has ended with it, and was not interrupted.
        decided = await promise.peek()
        if decided is None:
            _send_up(ctx, "takeOver", order)
            _refuse_interrupted(ctx.key())
    if decided is None and not await _first_to_decide(ctx, review):
        decided = await promise.value()
    if decided is not None and decided.verdict is Verdict.ABANDONED:
        _refuse_interrupted(ctx.key())
    if decided is not None:
        refuse(Refused(reason=Refusal.ALREADY_DECIDED, message=f"withdrawal {ctx.key()} has been decided"))
    # The run may be ending at this moment, so the follow-up checks that the verdict is carried out.
    _send_up(ctx, "resume", Whose(user_id=order.user_id), AFTER_DECISION)


def _operator(request: ApproveRequest | RejectRequest) -> dict[str, Any]:
    """The operator who decides: the verified caller if there is one, whatever the body says; otherwise the body's."""
    if (by := actor()) is not None:
        return {"operator": by.user, "role": by.role}
    return {"operator": request.operator or invalid("operator: Field required")}


async def _first_to_decide(ctx: restate.WorkflowContext | restate.WorkflowSharedContext, review: Review) -> bool:
    """Decide the review, and return whether this was the first decision: a durable promise resolves only once."""
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
    return order


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
    message = f"withdrawal {withdrawal_id} was interrupted: it can no longer be reviewed, and its money goes back"
    refuse(Refused(reason=Refusal.WITHDRAWAL_INTERRUPTED, message=message))
