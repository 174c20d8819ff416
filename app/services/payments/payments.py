"""PaymentService: takes deposits and withdrawals from customers, and webhooks from the provider."""

from datetime import datetime
from typing import Annotated

import restate
from pydantic import StringConstraints
from restate.exceptions import TerminalError

from app.domain.access import Owner, Role, may
from app.domain.deposits import EndDeposit, ReserveDeposit
from app.domain.follow_up import Watch, WhoseDeposit, watch_of
from app.domain.model import Amount, Currency, Email, Id, PublicRequest, Wire
from app.domain.payments import ChargeRequest, PaymentEvent, PaymentOutcome, PaymentStatus
from app.domain.player import Deposit, DepositStatus, WithdrawalStatus
from app.domain.provider_events import is_of_payout, of_payout
from app.domain.refusals import Refusal, Refused, id_reused
from app.domain.wallet import Balance
from app.domain.withdrawals import HoldWithdrawal, PublicWithdrawalStatus, WithdrawalOrder, about_this_payout
from app.services.payments import follow_up as deposit_follow_up
from app.services.payments import provider_calls, withdrawal_follow_up, withdrawals
from app.services.payments.follow_up import IN_PUBLIC, PublicDepositStatus
from app.services.payments.provider_events import Received, verified
from app.services.payments.withdrawals import Whose
from app.services.player import payments as player
from app.services.shell.clock import clock
from app.services.shell.dependencies import dependencies
from app.services.shell.observed import observed
from app.services.shell.requests import requests_checked, takes, takes_bytes
from app.services.shell.shield import all_ended, was_stopped
from app.services.shell.wire import SparseBody, invalid, refuse

payments = restate.Service("PaymentService", invocation_context_managers=[observed, requests_checked])

Word = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:@/ -]{1,64}$")]


class DepositRequest(PublicRequest):
    """A deposit; `amount` is in minor units."""

    wallet_id: Id
    user_id: Id
    email: Email
    amount: Amount
    payment_method: Word
    deposit_id: Id | None = None
    currency: Currency | None = None


class DepositAnswer(Wire):
    """The status of a deposit: credited, pending, actionRequired, failed or cancelled. `amount` is in minor units."""

    deposit_id: str
    status: PublicDepositStatus
    amount: int | None = None
    balance: Balance | None = None
    redirect_url: str | None = None


class WithdrawRequest(PublicRequest):
    """A withdrawal; `amount` is in minor units."""

    wallet_id: Id
    user_id: Id
    amount: Amount
    destination: Word
    withdrawal_id: Id | None = None


class WithdrawAnswer(Wire):
    """The status of a new withdrawal: held, or inReview."""

    withdrawal_id: str
    status: PublicWithdrawalStatus


@payments.handler(
    name="deposit",
    output_serde=SparseBody(DepositAnswer),
    **takes(
        DepositRequest,
        may(owner=Owner.BODY),
        Refusal.PAYMENT_DECLINED,
        Refusal.SELF_EXCLUDED,
        Refusal.ON_A_BREAK,
        Refusal.METHOD_NOT_ALLOWED,
        Refusal.ID_REUSED,
        Refusal.WALLET_CURRENCY,
        Refusal.DEPOSIT_LIMIT,
        Refusal.TOO_MANY_WALLETS,
        Refusal.CURRENCY_NOT_ACCEPTED,
    ),
)
async def deposit(ctx: restate.Context, request: DepositRequest) -> DepositAnswer:
    """Reserve, charge and credit a deposit. Refuses one that is over a limit or that the provider declines.

    An unknown outcome is never treated as a decline: DepositFollowUp looks it up until it is known. So it does for a
    deposit whose invocation is stopped after the deposit may have been reserved.
    """
    reservation = ReserveDeposit(
        deposit_id=request.deposit_id or f"d-{ctx.uuid()}",
        now=await clock(ctx),
        **request.model_dump(exclude={"deposit_id", "user_id"}, by_alias=False),
    )
    try:
        reserving = ctx.object_call(player.reserve_deposit, request.user_id, reservation)
        await all_ended(reserving)
        reserved = (await reserving).accepted()
        if reserved.status is not DepositStatus.RESERVED:
            return _ended(reservation.deposit_id, reserved)
        return await _charged(ctx, watch_of(reservation.deposit_id, request.user_id, reserved), reservation.now)
    except TerminalError as error:
        if was_stopped(error):
            whose = WhoseDeposit(user_id=request.user_id)
            ctx.object_send(deposit_follow_up.resume, reservation.deposit_id, whose)
        raise


async def _charged(ctx: restate.Context, watch: Watch, now: datetime) -> DepositAnswer:
    charge = watch.charge
    # Register the deposit with its follow-up before charging it. If this invocation ends early, the follow-up still
    # looks up the charge.
    ctx.object_send(deposit_follow_up.begin, charge.reference, watch)
    window_end = watch.reserved_at + dependencies().patience.window
    outcome = await provider_calls.charge(ctx, charge, window_end, dependencies().charge_wait)
    if outcome.status in (PaymentStatus.UNKNOWN, PaymentStatus.ACTION_REQUIRED):
        watch = watch.model_copy(update={"redirect_url": outcome.redirect_url})
        answer = DepositAnswer(
            deposit_id=charge.reference,
            status=PublicDepositStatus.PENDING
            if outcome.status is PaymentStatus.UNKNOWN
            else PublicDepositStatus.ACTION_REQUIRED,
            redirect_url=outcome.redirect_url,
        )
        if await ctx.object_call(deposit_follow_up.go_on, charge.reference, watch):
            return answer
        outcome = await provider_calls.find_charge(ctx, charge)
        if not _is_last_word(outcome, window_end):
            ctx.service_send(conclude_alone, watch)
            return answer
    ended = await _conclude(ctx, charge, outcome, waited=watch.reserved_at < now)
    if outcome.status is PaymentStatus.CONFLICT:
        refuse(id_reused("depositId", charge.reference))
    return _ended(charge.reference, ended)


@payments.handler(name="concludeAlone", ingress_private=True)
async def conclude_alone(ctx: restate.Context, watch: Watch) -> None:
    """Look up a charge until its outcome is known, where DepositFollowUp cannot: two players used the same deposit id.

    DepositFollowUp keeps one deposit per id, and has the other player's.
    """
    try:
        tries, window_end = 0, watch.reserved_at + dependencies().patience.window
        while not _is_last_word(outcome := await provider_calls.find_charge(ctx, watch.charge), window_end):
            await ctx.sleep(dependencies().patience.pause(tries), name="before the next look-up")
            tries += 1
        await _conclude(ctx, watch.charge, outcome, waited=True)
    except TerminalError as error:
        if was_stopped(error):
            ctx.service_send(conclude_alone, watch)
        raise


def _is_last_word(outcome: PaymentOutcome, window_end: datetime) -> bool:
    assert outcome.at is not None
    never_made = outcome.status is PaymentStatus.NEVER_SEEN and outcome.at >= window_end
    return never_made or outcome.status in (PaymentStatus.DONE, PaymentStatus.DECLINED, PaymentStatus.CONFLICT)


async def _conclude(ctx: restate.Context, charge: ChargeRequest, outcome: PaymentOutcome, waited: bool) -> Deposit:
    assert outcome.at is not None
    end = EndDeposit(deposit_id=charge.reference, now=outcome.at, waited_for_customer=waited)
    if outcome.status is not PaymentStatus.DONE:
        return (await ctx.object_call(player.decline_deposit, charge.user_id, end)).accepted()
    credited = (await ctx.object_call(player.credit_deposit, charge.user_id, end)).accepted()
    if credited.refund_due:
        whose = WhoseDeposit(user_id=charge.user_id)
        ctx.object_send(deposit_follow_up.resume, charge.reference, whose)
    return credited


@payments.handler(name="webhook", **takes_bytes(PaymentEvent, may(Role.PROVIDER), Refusal.BAD_SIGNATURE))
async def webhook(ctx: restate.Context, body: bytes) -> Received:
    """Receive any signed event from the provider, and forward it to its deposit or payout.

    Refuses an event with a bad signature, and one that names a different charge or payout from the one requested.
    """
    event = await verified(ctx, body)
    if event is None:
        return Received()
    if await _is_payout(ctx, event):
        ctx.object_send(withdrawal_follow_up.hear, event.reference, of_payout(event))
        if await _is_anothers(ctx, event):  # `hear` ignores the event in this case
            invalid("the event is about a different payout from the one that was requested")
        return Received()
    try:
        return (await ctx.object_call(deposit_follow_up.hear, event.reference, event)).accepted()
    except TerminalError as error:
        if was_stopped(error):
            ctx.object_send(deposit_follow_up.hear, event.reference, event)
        raise


async def _is_payout(ctx: restate.Context, event: PaymentEvent) -> bool:
    """Whether an event is about a payout. If it does not say so, the records of the player that it names decide."""
    if (said := is_of_payout(event)) is not None:
        return said
    if (await ctx.object_call(player.find_deposit, event.user_id, event.reference)).value is not None:
        return False
    return await ctx.object_call(player.has_withdrawal, event.user_id, event.reference)


async def _is_anothers(ctx: restate.Context, event: PaymentEvent) -> bool:
    """Whether the event's reference belongs to a payout that differs from the one that the event describes.

    False for an unknown reference: such an event is logged and acknowledged.
    """
    if (known := (await ctx.object_call(player.withdrawal, event.user_id, event.reference)).value) is not None:
        return not about_this_payout(known, event)
    return (await ctx.workflow_call(withdrawals.owner, event.reference, None)).value is not None


@payments.handler(
    name="withdraw",
    **takes(
        WithdrawRequest,
        may(owner=Owner.BODY),
        Refusal.IN_DEBT,
        Refusal.UNKNOWN_WALLET,
        Refusal.ID_REUSED,
        Refusal.INSUFFICIENT_FUNDS,
    ),
)
async def withdraw(ctx: restate.Context, request: WithdrawRequest) -> WithdrawAnswer:
    """Hold the money and start the workflow, which reviews the withdrawal and then pays it out or returns the money."""
    hold = HoldWithdrawal(
        withdrawal_id=request.withdrawal_id or f"w-{ctx.uuid()}",
        now=await clock(ctx),
        **request.model_dump(exclude={"withdrawal_id", "user_id"}, by_alias=False),
    )
    # Hold before starting the workflow, so that the player cannot spend money that is being paid out.
    holding = ctx.object_call(player.hold_withdrawal, request.user_id, hold)
    try:
        held = (await holding).accepted()
        if held.status is WithdrawalStatus.HELD:
            order = WithdrawalOrder(withdrawal_id=hold.withdrawal_id, user_id=request.user_id, withdrawal=held)
            await _hand_over(ctx, order, is_repeated=held.held_at != hold.now)
    except TerminalError as error:
        if was_stopped(error):
            await all_ended(holding)  # so that `resume` finds the hold
            _resume(ctx, hold.withdrawal_id, request.user_id)
        raise
    return WithdrawAnswer(
        withdrawal_id=hold.withdrawal_id,
        status=PublicWithdrawalStatus.IN_REVIEW if held.in_review else PublicWithdrawalStatus.HELD,
    )


async def _hand_over(ctx: restate.Context, order: WithdrawalOrder, is_repeated: bool) -> None:
    """Start the workflow. If another player's withdrawal already has the id, return the money and refuse."""
    ctx.workflow_send(withdrawals.run, order.withdrawal_id, order)
    if is_repeated:  # perhaps because the workflow was killed
        _resume(ctx, order.withdrawal_id, order.user_id)
    owner = await ctx.workflow_call(withdrawals.claim, order.withdrawal_id, order)
    if owner.user_id == order.user_id:
        return
    await withdrawals.give_back(ctx, order, withdrawal_follow_up.OTHERS_ID)
    refuse(id_reused("withdrawalId", order.withdrawal_id))


def _resume(ctx: restate.Context, withdrawal_id: str, user_id: str) -> None:
    ctx.object_send(withdrawal_follow_up.resume, withdrawal_id, Whose(user_id=user_id))


def _ended(deposit_id: str, ended: Deposit) -> DepositAnswer:
    """The answer to a deposit that has ended, now or earlier. Refuses with `payment_declined` if it was declined."""
    status = IN_PUBLIC[ended.status]
    if ended.status is DepositStatus.DECLINED:
        message = "the payment was declined; nothing was credited"
        refuse(Refused(reason=Refusal.PAYMENT_DECLINED, message=message, metadata={"depositId": deposit_id}))
    if ended.status is DepositStatus.CREDITED:
        return DepositAnswer(deposit_id=deposit_id, status=status, amount=ended.amount, balance=ended.balance)
    return DepositAnswer(deposit_id=deposit_id, status=status)
