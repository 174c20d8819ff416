"""RepairService: sends on what was left behind. The bookkeeper asks it, and whoever operates the system can.

It is public, so a stranger may call it at any time: every handler only sends to an idempotent one, which itself makes
sure that there is something to mend, and is harmless while somebody still works on it.
"""

from typing import Annotated

import restate
from pydantic import Field

from app.domain.access import Role, may
from app.domain.follow_up import WhoseDeposit
from app.domain.markets import MAX_SHARDS
from app.domain.model import Id, PublicRequest, Wire
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


class DepositRepair(PublicRequest):
    """A deposit that is reserved."""

    user_id: Id
    deposit_id: Id


class WithdrawalRepair(PublicRequest):
    """A withdrawal that is held."""

    user_id: Id
    withdrawal_id: Id


class BetRepair(PublicRequest):
    """A bet that is pending or delayed, or whose cash-out waits."""

    user_id: Id
    bet_id: Id


class LegRepair(PublicRequest):
    """A leg that a book of a market has reserved on one of its pages."""

    market_id: Id
    book: Annotated[int, Field(strict=True, ge=0, lt=MAX_SHARDS)]
    page: Annotated[int, Field(strict=True, ge=0, le=MAX_PAGE)]
    user_id: Id
    bet_id: Id


class MarketRepair(PublicRequest):
    """A market whose newest result is not carried out, or whose books have not heard of its newest change."""

    market_id: Id


class SentOn(Wire):
    """The thing is being looked at again; what comes of it shows where the thing itself shows."""

    sent: bool = True


@repair.handler(name="deposit", **takes(DepositRepair, may(Role.PAYMENTS, Role.BOOKKEEPER)))
async def deposit(ctx: restate.Context, request: DepositRepair) -> SentOn:
    """Look a deposit up again at the provider."""
    ctx.object_send(deposit_follow_up.resume, request.deposit_id, WhoseDeposit(user_id=request.user_id))
    return SentOn()


@repair.handler(name="withdrawal", **takes(WithdrawalRepair, may(Role.PAYMENTS, Role.BOOKKEEPER)))
async def withdrawal(ctx: restate.Context, request: WithdrawalRepair) -> SentOn:
    """Finish a withdrawal whose run is gone, or give it back."""
    ctx.object_send(withdrawal_follow_up.resume, request.withdrawal_id, Whose(user_id=request.user_id))
    return SentOn()


@repair.handler(name="bet", **takes(BetRepair, may(Role.TRADER, Role.BOOKKEEPER)))
async def bet(ctx: restate.Context, request: BetRepair) -> SentOn:
    """Ask the markets about a bet again that waits, or decide its cash-out."""
    ctx.object_send(bets.resume_bet, request.user_id, WhichBet(bet_id=request.bet_id))
    return SentOn()


@repair.handler(name="leg", **takes(LegRepair, may(Role.TRADER, Role.BOOKKEEPER)))
async def leg(ctx: restate.Context, request: LegRepair) -> SentOn:
    """Give a leg back, if its player has no such bet. The player decides that, so that none can be placed meanwhile."""
    which = WhichLeg(bet_id=request.bet_id, market_id=request.market_id, page=request.page)
    ctx.object_send(bets.holds_leg, request.user_id, which)
    return SentOn()


@repair.handler(name="settlement", **takes(MarketRepair, may(Role.TRADER, Role.BOOKKEEPER)))
async def settlement(ctx: restate.Context, request: MarketRepair) -> SentOn:
    """Start the run of a market's newest result again."""
    ctx.object_send(markets.resume_settlement, request.market_id, None)
    return SentOn()


@repair.handler(name="terms", **takes(MarketRepair, may(Role.TRADER, Role.BOOKKEEPER)))
async def terms(ctx: restate.Context, request: MarketRepair) -> SentOn:
    """Tell a market's books how it stands."""
    ctx.object_send(markets.catch_up, request.market_id, None)
    return SentOn()
