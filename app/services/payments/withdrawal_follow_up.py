"""WithdrawalFollowUp: finishes withdrawals whose workflow was stopped, and handles the provider's payout events."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import restate
from restate.exceptions import TerminalError

from app.domain.payments import PaymentEvent
from app.domain.player import Withdrawal, WithdrawalStatus
from app.domain.withdrawals import (
    FollowedPayout,
    PayoutStep,
    Search,
    WithdrawalOrder,
    about_this_payout,
    next_payout_step,
    step_of_event,
    told_of,
)
from app.services.payments import provider_calls, withdrawals
from app.services.payments.withdrawals import Whose
from app.services.player import payments as player
from app.services.shell.clock import clock
from app.services.shell.dependencies import dependencies
from app.services.shell.observed import observed
from app.services.shell.requests import key_is
from app.services.shell.shield import was_stopped
from app.services.shell.wire import FORGET_AT_ONCE, Document

logger = logging.getLogger(__name__)

withdrawal_follow_up = restate.VirtualObject(
    "WithdrawalFollowUp",
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, key_is("withdrawalId")],
)

SOON = timedelta(seconds=1)
OTHERS_ID = "its id belongs to another withdrawal"


STATE = "payout"
_STATE = Document(FollowedPayout)


@withdrawal_follow_up.handler(name="takeOver")
async def take_over(ctx: restate.ObjectContext, order: WithdrawalOrder) -> None:
    """Finish a withdrawal whose run is being stopped, as soon as the run has ended."""
    with _done_in_the_end(ctx, take_over, order):
        if not await _resumed(ctx, order):
            ctx.object_send(take_over, ctx.key(), order, send_delay=SOON)


@withdrawal_follow_up.handler(name="resume")
async def resume(ctx: restate.ObjectContext, whose: Whose) -> None:
    """Finish a withdrawal that is held and has no live run. Does nothing at any other time."""
    with _done_in_the_end(ctx, resume, whose):
        known = await _known(ctx, whose.user_id)
        if _is_held(known):
            assert known is not None
            await _resumed(ctx, WithdrawalOrder(withdrawal_id=ctx.key(), user_id=whose.user_id, withdrawal=known))


@withdrawal_follow_up.handler(name="lookUp")
async def look_up(ctx: restate.ObjectContext, turn: int) -> None:
    """Look up the payout once. Act on a definite answer; otherwise schedule the next look-up."""
    with _done_in_the_end(ctx, look_up, turn):
        followed = await ctx.get(STATE, serde=_STATE)
        if followed is None or followed.turn != turn or not _is_held(await _known(ctx, followed.order.user_id)):
            return
        search, step = await withdrawals.look_once(ctx, followed.order, followed.search)
        if step.is_end:
            await withdrawals.conclude(ctx, followed.order, step, await clock(ctx), followed.review)
            return
    ctx.set(STATE, followed.model_copy(update={"search": search}), serde=_STATE)
    ctx.object_send(look_up, ctx.key(), turn, send_delay=dependencies().patience.pause(search.tries))


@withdrawal_follow_up.handler(name="hear")
async def hear(ctx: restate.ObjectContext, event: PaymentEvent) -> None:
    """Handle a signed event about a payout. Idempotent, in any order, at any time.

    An event that reports moved money is trusted if it matches the payout; a decline is looked up first. A run that is
    still waiting learns the outcome at its next look-up.
    """
    with _done_in_the_end(ctx, hear, event):
        known = await _known(ctx, event.user_id)
        if known is None or not about_this_payout(known, event):
            logger.warning("%s: the event matches no payout that was requested: %s", ctx.key(), event.status)
            return
        order = WithdrawalOrder(withdrawal_id=ctx.key(), user_id=event.user_id, withdrawal=known)
        step = step_of_event(event)
        if step is PayoutStep.WAIT and _is_held(known):
            outcome = await provider_calls.find_payout(ctx, order.payout)
            assert outcome.at is not None
            search = Search(window_end=known.held_at)
            _, step = next_payout_step(search, outcome.status, outcome.at, dependencies().patience)
        if step.is_end:
            await withdrawals.conclude(ctx, order, step, await clock(ctx))


async def _resumed(ctx: restate.ObjectContext, order: WithdrawalOrder) -> bool:
    """Finish the withdrawal that owns this id, and return the money of any other. False while a run is still alive."""
    if not await withdrawals.run_has_ended(ctx, order):
        return False
    owner = await ctx.workflow_call(withdrawals.claim, ctx.key(), order)
    if owner.user_id != order.user_id:
        await withdrawals.give_back(ctx, order, OTHERS_ID)
    if not _is_held(await _known(ctx, owner.user_id)):
        return True
    review = await ctx.workflow_call(withdrawals.abandon, ctx.key(), owner)
    if not review.verdict.pays:
        await withdrawals.give_back(ctx, owner, told_of(review), review)
        return True
    # The payout may have been sent before, at the earliest when the money was held, so the window starts there.
    search = Search(window_end=owner.withdrawal.held_at + dependencies().patience.window)
    before = await ctx.get(STATE, serde=_STATE)
    if before is not None:
        search = before.search
    followed = FollowedPayout(order=owner, review=review, search=search, turn=1 if before is None else before.turn + 1)
    ctx.set(STATE, followed, serde=_STATE)
    ctx.object_send(look_up, ctx.key(), followed.turn)
    return True


async def _known(ctx: restate.ObjectContext, user_id: str) -> Withdrawal | None:
    return (await ctx.object_call(player.withdrawal, user_id, ctx.key())).value


def _is_held(withdrawal: Withdrawal | None) -> bool:
    return withdrawal is not None and withdrawal.status is WithdrawalStatus.HELD


@contextmanager
def _done_in_the_end(ctx: restate.ObjectContext, handler: Any, content: Any) -> Iterator[None]:
    """Send the same call again if the handler is stopped. All handlers are idempotent; a send is not interrupted."""
    try:
        yield
    except TerminalError as error:
        if was_stopped(error):
            ctx.object_send(handler, ctx.key(), content, send_delay=SOON)
        raise
