"""RepairService: restarts work that was left unfinished. The bookkeeper calls it, and so may operators.

Every handler can be called at any time, for anything. It only sends to an idempotent handler, which checks that there
is something to repair and does nothing while the original work is still running.
"""

from typing import Annotated

import restate
from pydantic import Field

from app.domain.access import Role, may
from app.domain.follow_up import Forget, WhoseDeposit
from app.domain.model import GivenMoment, Id, KnownId, PublicRequest, Wire
from app.domain.shards import MAX_SHARDS
from app.services.markets import markets
from app.services.payments import follow_up as deposit_follow_up
from app.services.payments import withdrawal_follow_up
from app.services.payments.withdrawals import Whose
from app.services.player import bets
from app.services.player.bets import WhichBet, WhichLeg
from app.services.shell.observed import observed
from app.services.shell.requests import requests_checked, takes
from app.services.shell.wire import FORGET_AT_ONCE

repair = restate.Service(
    "RepairService", journal_retention=FORGET_AT_ONCE, invocation_context_managers=[observed, requests_checked]
)

MAX_PAGE = 1_000_000
MAX_FORGOTTEN = 100
"""The most deposits that one request names."""


class DepositRepair(PublicRequest):
    """A deposit that is still reserved."""

    user_id: Id
    deposit_id: Id


class WithdrawalRepair(PublicRequest):
    """A withdrawal that is still held."""

    user_id: Id
    withdrawal_id: Id


class BetRepair(PublicRequest):
    """A bet that is pending or delayed, or that has a cash-out waiting."""

    user_id: Id
    bet_id: Id


class LegRepair(PublicRequest):
    """A leg that a market's shard has reserved on one of its pages. The field `book` is the number of the shard."""

    market_id: Id
    book: Annotated[int, Field(strict=True, ge=0, lt=MAX_SHARDS)]
    page: Annotated[int, Field(strict=True, ge=0, le=MAX_PAGE)]
    user_id: Id
    bet_id: Id


class MarketRepair(PublicRequest):
    """A market whose newest result has not reached all its bets, or whose newest change has not reached its shards."""

    market_id: Id


class ForgetRequest(PublicRequest):
    """Deposits that may have ended, and the moment before which they have to have been reserved."""

    deposit_ids: Annotated[tuple[KnownId, ...], Field(min_length=1, max_length=MAX_FORGOTTEN)]
    reserved_before: GivenMoment


class SentOn(Wire):
    """The repair has been started. Its outcome shows in the status of the thing itself."""

    sent: bool = True


@repair.handler(name="deposit", **takes(DepositRepair, may(Role.PAYMENTS, Role.BOOKKEEPER), repeatable=True))
async def deposit(ctx: restate.Context, request: DepositRepair) -> SentOn:
    """Look up a deposit at the provider again."""
    ctx.object_send(deposit_follow_up.resume, request.deposit_id, WhoseDeposit(user_id=request.user_id))
    return SentOn()


@repair.handler(name="withdrawal", **takes(WithdrawalRepair, may(Role.PAYMENTS, Role.BOOKKEEPER), repeatable=True))
async def withdrawal(ctx: restate.Context, request: WithdrawalRepair) -> SentOn:
    """Finish a withdrawal whose workflow run has ended early, or return the money to the player."""
    ctx.object_send(withdrawal_follow_up.resume, request.withdrawal_id, Whose(user_id=request.user_id))
    return SentOn()


@repair.handler(name="bet", **takes(BetRepair, may(Role.TRADER, Role.BOOKKEEPER), repeatable=True))
async def bet(ctx: restate.Context, request: BetRepair) -> SentOn:
    """Ask the markets again about a waiting bet, or decide its cash-out."""
    ctx.object_send(bets.resume_bet, request.user_id, WhichBet(bet_id=request.bet_id))
    return SentOn()


@repair.handler(name="leg", **takes(LegRepair, may(Role.TRADER, Role.BOOKKEEPER), repeatable=True))
async def leg(ctx: restate.Context, request: LegRepair) -> SentOn:
    """Release a leg if its player has no such bet.

    The player's own object decides this, so that the bet cannot be placed in the meantime.
    """
    which = WhichLeg(bet_id=request.bet_id, market_id=request.market_id, page=request.page)
    ctx.object_send(bets.holds_leg, request.user_id, which)
    return SentOn()


@repair.handler(name="settlement", **takes(MarketRepair, may(Role.TRADER, Role.BOOKKEEPER), repeatable=True))
async def settlement(ctx: restate.Context, request: MarketRepair) -> SentOn:
    """Start the settlement of a market's newest result again."""
    ctx.object_send(markets.resume_settlement, request.market_id, None)
    return SentOn()


@repair.handler(name="terms", **takes(MarketRepair, may(Role.TRADER, Role.BOOKKEEPER), repeatable=True))
async def terms(ctx: restate.Context, request: MarketRepair) -> SentOn:
    """Send a market's current status and prices to its shards again."""
    ctx.object_send(markets.catch_up, request.market_id, None)
    return SentOn()


@repair.handler(name="forget", **takes(ForgetRequest, may(Role.PAYMENTS, Role.BOOKKEEPER), repeatable=True))
async def forget(ctx: restate.Context, request: ForgetRequest) -> SentOn:
    """Clear what is kept to answer about deposits that ended long ago. Their money stays in their players' documents.

    One that has not ended, or that has a refund to its name, is kept.
    """
    for deposit_id in request.deposit_ids:
        ctx.object_send(deposit_follow_up.forget, deposit_id, Forget(reserved_before=request.reserved_before))
    return SentOn()
