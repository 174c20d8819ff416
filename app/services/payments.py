"""PaymentService: what customers ask of their money. Deposits come in, withdrawals go out."""

from datetime import datetime
from typing import Annotated

import restate
from pydantic import Field, StringConstraints
from restate.exceptions import TerminalError

from app.domain.deposits import EndDeposit, ReserveDeposit
from app.domain.follow_up import Watch
from app.domain.model import Amount, Currency, Id, PublicRequest, Wire
from app.domain.payments import ChargeRequest, PaymentOutcome, PaymentStatus
from app.domain.player import Deposit
from app.domain.refusals import Refusal, Refused, id_reused
from app.domain.wallet import Balance
from app.domain.withdrawals import HoldWithdrawal, WithdrawalOrder
from app.services import deposit_follow_up, player, provider_calls, withdrawal_follow_up, withdrawals
from app.services.boundary import SparseBody, clock, refuse, requests_checked, takes
from app.services.observed import observed
from app.services.outside import outside
from app.services.shield import all_ended, was_stopped
from app.services.withdrawals import Whose

payments = restate.Service("PaymentService", invocation_context_managers=[observed, requests_checked])

Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254, pattern=r"^[^@\s\x00-\x1f<>,;:\"()]+@[^@\s\x00-\x1f<>,;:\"()]+$"),
]
Word = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:@/ -]{1,64}$")]


class DepositRequest(PublicRequest):
    """A deposit in minor units."""

    wallet_id: Id
    user_id: Id
    email: Email
    amount: Amount
    payment_method: Word
    deposit_id: Id | None = None
    currency: Currency | None = None


class DepositAnswer(Wire):
    """How a deposit stands: credited, pending, actionRequired or failed."""

    deposit_id: str
    status: str
    amount: int | None = None
    balance: Balance | None = None
    redirect_url: str | None = None


class WithdrawRequest(PublicRequest):
    """A withdrawal in minor units."""

    wallet_id: Id
    user_id: Id
    amount: Amount
    destination: Word
    withdrawal_id: Id | None = None


class WithdrawAnswer(Wire):
    """Whether a withdrawal waits for a review."""

    withdrawal_id: str
    status: str = Field(description="held or inReview")


@payments.handler(name="deposit", output_serde=SparseBody(DepositAnswer), **takes(DepositRequest))
async def deposit(ctx: restate.Context, request: DepositRequest) -> DepositAnswer:
    """Reserve, charge, credit. An outcome that stays unknown is followed up, never taken for a no."""
    reservation = ReserveDeposit(
        deposit_id=request.deposit_id or f"d-{ctx.uuid()}",
        now=await clock(ctx),
        **request.model_dump(exclude={"deposit_id", "user_id"}, by_alias=False),
    )
    reserved = (await ctx.object_call(player.reserve_deposit, request.user_id, reservation)).accepted()
    if reserved.status != "reserved":
        return _ended(reservation.deposit_id, reserved)
    charge = _charge_for(reservation.deposit_id, request.user_id, reserved)
    watch = Watch(charge=charge, reserved_at=reserved.reserved_at)
    ctx.object_send(deposit_follow_up.begin, charge.reference, watch)
    window_end = reserved.reserved_at + outside().patience.window
    outcome = await provider_calls.charge(ctx, charge, window_end, outside().charge_wait)
    if outcome.status in (PaymentStatus.UNKNOWN, PaymentStatus.ACTION_REQUIRED):
        watch = watch.model_copy(update={"redirect_url": outcome.redirect_url})
        if await ctx.object_call(deposit_follow_up.go_on, charge.reference, watch):
            status = "pending" if outcome.status is PaymentStatus.UNKNOWN else "actionRequired"
            return DepositAnswer(deposit_id=charge.reference, status=status, redirect_url=outcome.redirect_url)
        outcome = await _definite(ctx, charge, window_end)
    return await _conclude(ctx, charge, outcome)


async def _definite(ctx: restate.Context, charge: ChargeRequest, window_end: datetime) -> PaymentOutcome:
    """Look a charge up for as long as it takes: its id is another player's deposit, which alone is followed up."""
    tries = 0
    while True:
        await ctx.sleep(outside().patience.pause(tries), name="before the next look-up")
        tries += 1
        outcome = await provider_calls.find_charge(ctx, charge)
        assert outcome.at is not None
        never_made = outcome.status is PaymentStatus.NEVER_SEEN and outcome.at >= window_end
        if never_made or outcome.status in (PaymentStatus.DONE, PaymentStatus.DECLINED, PaymentStatus.CONFLICT):
            return outcome


async def _conclude(ctx: restate.Context, charge: ChargeRequest, outcome: PaymentOutcome) -> DepositAnswer:
    assert outcome.at is not None
    end = EndDeposit(deposit_id=charge.reference, now=outcome.at)
    match outcome.status:
        case PaymentStatus.DONE:
            ended = await ctx.object_call(player.credit_deposit, charge.user_id, end)
        case PaymentStatus.DECLINED | PaymentStatus.NEVER_SEEN:
            ended = await ctx.object_call(player.decline_deposit, charge.user_id, end)
        case _:
            await ctx.object_call(player.decline_deposit, charge.user_id, end)
            refuse(id_reused("depositId", charge.reference))
    return _ended(charge.reference, ended.accepted())


@payments.handler(name="withdraw", **takes(WithdrawRequest))
async def withdraw(ctx: restate.Context, request: WithdrawRequest) -> WithdrawAnswer:
    """Hold the money at once; the workflow reviews, pays out or gives back."""
    hold = HoldWithdrawal(
        withdrawal_id=request.withdrawal_id or f"w-{ctx.uuid()}",
        now=await clock(ctx),
        **request.model_dump(exclude={"withdrawal_id", "user_id"}, by_alias=False),
    )
    holding = ctx.object_call(player.hold_withdrawal, request.user_id, hold)
    try:
        held = (await holding).accepted()
        if held.status == "held":
            order = WithdrawalOrder(withdrawal_id=hold.withdrawal_id, user_id=request.user_id, withdrawal=held)
            await _hand_over(ctx, order, is_repeated=held.held_at != hold.now)
    except TerminalError as error:
        if was_stopped(error):
            await all_ended(holding)  # so that whoever looks for the money sees it
            _resume(ctx, hold.withdrawal_id, request.user_id)
        raise
    return WithdrawAnswer(withdrawal_id=hold.withdrawal_id, status="inReview" if held.in_review else "held")


async def _hand_over(ctx: restate.Context, order: WithdrawalOrder, is_repeated: bool) -> None:
    """Start the workflow. Its id is everybody's: if another player's withdrawal has it, the money goes back."""
    ctx.workflow_send(withdrawals.run, order.withdrawal_id, order)
    if is_repeated:  # perhaps because what had to carry it out was killed
        _resume(ctx, order.withdrawal_id, order.user_id)
    owner = await ctx.workflow_call(withdrawals.claim, order.withdrawal_id, order)
    if owner.user_id == order.user_id:
        return
    await withdrawals.give_back(ctx, order, withdrawal_follow_up.OTHERS_ID)
    refuse(id_reused("withdrawalId", order.withdrawal_id))


def _resume(ctx: restate.Context, withdrawal_id: str, user_id: str) -> None:
    ctx.object_send(withdrawal_follow_up.resume, withdrawal_id, Whose(user_id=user_id))


def _charge_for(deposit_id: str, user_id: str, reserved: Deposit) -> ChargeRequest:
    return ChargeRequest(
        reference=deposit_id,
        user_id=user_id,
        wallet_id=reserved.wallet_id,
        amount=reserved.amount,
        currency=reserved.currency,
        payment_method=reserved.payment_method,
    )


def _ended(deposit_id: str, ended: Deposit) -> DepositAnswer:
    """The answer to a deposit that has ended, now or long ago."""
    if ended.status == "declined":
        message = "the payment was declined; nothing was credited"
        refuse(Refused(reason=Refusal.PAYMENT_DECLINED, message=message, metadata={"depositId": deposit_id}))
    if ended.status == "credited":
        return DepositAnswer(deposit_id=deposit_id, status="credited", amount=ended.amount, balance=ended.balance)
    return DepositAnswer(deposit_id=deposit_id, status=ended.status)
