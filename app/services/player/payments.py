"""Private handlers that move a player's money in and out. Only our own components call them."""

from collections.abc import Callable

import restate

from app.domain import deposits, withdrawals
from app.domain.archive import Operations
from app.domain.player import Decision, Deposit, Player, Withdrawal
from app.services.player.document import commit, load_with, player
from app.services.shell.dependencies import dependencies
from app.services.shell.wire import Reply


@player.handler(name="reserveDeposit", ingress_private=True)
async def reserve_deposit(ctx: restate.ObjectContext, request: deposits.ReserveDeposit) -> Reply[Deposit]:
    """Reserve a deposit, so that it counts against the limits before it is charged."""
    before = await load_with(ctx, Operations.DEPOSITS, request.deposit_id)
    return await commit(ctx, before, deposits.reserve_deposit(before, request, dependencies().policy))


@player.handler(name="creditDeposit", ingress_private=True)
async def credit_deposit(ctx: restate.ObjectContext, request: deposits.EndDeposit) -> Reply[Deposit]:
    """Credit a deposit that the provider has charged."""
    return await _end_deposit(ctx, request, deposits.credit_deposit)


@player.handler(name="declineDeposit", ingress_private=True)
async def decline_deposit(ctx: restate.ObjectContext, request: deposits.EndDeposit) -> Reply[Deposit]:
    """Release the reservation of a deposit that the provider declined."""
    return await _end_deposit(ctx, request, deposits.decline_deposit)


@player.handler(name="cancelDeposit", ingress_private=True)
async def cancel_deposit(ctx: restate.ObjectContext, request: deposits.EndDeposit) -> Reply[Deposit]:
    """Release the reservation of a deposit whose charge was voided."""
    return await _end_deposit(ctx, request, deposits.cancel_deposit)


@player.handler(name="takeBackDeposit", ingress_private=True)
async def take_back_deposit(ctx: restate.ObjectContext, request: deposits.TakeBack) -> Reply[Deposit]:
    """Post a refund, a chargeback, or the reversal of a chargeback."""
    before = await load_with(ctx, Operations.DEPOSITS, request.deposit_id)
    return await commit(ctx, before, deposits.take_back_deposit(before, request))


@player.handler(name="failDeposit", ingress_private=True)
async def fail_deposit(ctx: restate.ObjectContext, request: deposits.EndDeposit) -> Reply[Deposit]:
    """Release the reservation of a deposit whose charge was never made, or is still unknown at the deadline."""
    return await _end_deposit(ctx, request, deposits.fail_deposit)


@player.handler(name="holdWithdrawal", ingress_private=True)
async def hold_withdrawal(ctx: restate.ObjectContext, request: withdrawals.HoldWithdrawal) -> Reply[Withdrawal]:
    """Hold the money of a withdrawal."""
    before = await load_with(ctx, Operations.WITHDRAWALS, request.withdrawal_id)
    return await commit(ctx, before, withdrawals.hold_withdrawal(before, request, dependencies().policy))


@player.handler(name="payWithdrawal", ingress_private=True)
async def pay_withdrawal(ctx: restate.ObjectContext, request: withdrawals.EndWithdrawal) -> Reply[Withdrawal]:
    """Post a withdrawal that the provider has paid."""
    before = await load_with(ctx, Operations.WITHDRAWALS, request.withdrawal_id)
    return await commit(ctx, before, withdrawals.pay_withdrawal(before, request))


@player.handler(name="returnWithdrawal", ingress_private=True)
async def return_withdrawal(ctx: restate.ObjectContext, request: withdrawals.EndWithdrawal) -> Reply[Withdrawal]:
    """Return the held money of a withdrawal to the player."""
    before = await load_with(ctx, Operations.WITHDRAWALS, request.withdrawal_id)
    return await commit(ctx, before, withdrawals.return_withdrawal(before, request))


@player.handler(name="sendBackWithdrawal", ingress_private=True)
async def send_back_withdrawal(ctx: restate.ObjectContext, request: withdrawals.EndWithdrawal) -> Reply[Withdrawal]:
    """Return the money of a payout that the provider sent back."""
    before = await load_with(ctx, Operations.WITHDRAWALS, request.withdrawal_id)
    return await commit(ctx, before, withdrawals.send_back_withdrawal(before, request))


@player.handler(name="withdrawal", kind="shared", ingress_private=True)
async def withdrawal(ctx: restate.ObjectSharedContext, withdrawal_id: str) -> Reply[Withdrawal]:
    """Find a withdrawal; no value if this player has none with this id."""
    known = await load_with(ctx, Operations.WITHDRAWALS, withdrawal_id)
    return Reply(value=known.withdrawals.get(withdrawal_id))


@player.handler(name="depositStatus", kind="shared", ingress_private=True)
async def deposit_status(ctx: restate.ObjectSharedContext, deposit_id: str) -> str:
    """Return the status of a deposit that this player is known to have."""
    return (await load_with(ctx, Operations.DEPOSITS, deposit_id)).deposits[deposit_id].status


@player.handler(name="findDeposit", kind="shared", ingress_private=True)
async def find_deposit(ctx: restate.ObjectSharedContext, deposit_id: str) -> Reply[Deposit]:
    """Find a deposit; no value if this player has none with this id."""
    return Reply(value=(await load_with(ctx, Operations.DEPOSITS, deposit_id)).deposits.get(deposit_id))


@player.handler(name="hasWithdrawal", kind="shared", ingress_private=True)
async def has_withdrawal(ctx: restate.ObjectSharedContext, withdrawal_id: str) -> bool:
    """Whether this player has a withdrawal with this id."""
    return withdrawal_id in (await load_with(ctx, Operations.WITHDRAWALS, withdrawal_id)).withdrawals


async def _end_deposit(
    ctx: restate.ObjectContext,
    request: deposits.EndDeposit,
    rule: Callable[[Player, deposits.EndDeposit], Decision[Deposit]],
) -> Reply[Deposit]:
    before = await load_with(ctx, Operations.DEPOSITS, request.deposit_id)
    return await commit(ctx, before, rule(before, request))
