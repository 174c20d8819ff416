"""RepairService: sends on what was left behind. The bookkeeper asks it, and whoever operates the system can.

It is public, so a stranger may call it at any time: every handler only sends to an idempotent one, which itself makes
sure that there is something to mend, and is harmless while somebody still works on it.
"""

import json
from typing import Annotated, Any

import restate
from pydantic import Field

from app.domain.markets import MAX_BOOKS
from app.domain.model import Id, PublicRequest, Wire
from app.services.boundary import FORGET_AT_ONCE, requests_checked, takes
from app.services.observed import observed

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
    book: Annotated[int, Field(strict=True, ge=0, lt=MAX_BOOKS)]
    page: Annotated[int, Field(strict=True, ge=0, le=MAX_PAGE)]
    user_id: Id
    bet_id: Id


class SettlementRepair(PublicRequest):
    """A market whose newest result is not carried out."""

    market_id: Id


class SentOn(Wire):
    """The thing is being looked at again; what comes of it shows where the thing itself shows."""

    sent: bool = True


@repair.handler(name="deposit", **takes(DepositRepair))
async def deposit(ctx: restate.Context, request: DepositRepair) -> SentOn:
    """Look a deposit up again at the provider."""
    return _send(ctx, "DepositFollowUp", "resume", request.deposit_id, {"userId": request.user_id})


@repair.handler(name="withdrawal", **takes(WithdrawalRepair))
async def withdrawal(ctx: restate.Context, request: WithdrawalRepair) -> SentOn:
    """Finish a withdrawal whose run is gone, or give it back."""
    return _send(ctx, "WithdrawalFollowUp", "resume", request.withdrawal_id, {"userId": request.user_id})


@repair.handler(name="bet", **takes(BetRepair))
async def bet(ctx: restate.Context, request: BetRepair) -> SentOn:
    """Ask the markets about a bet again that waits, or decide its cash-out."""
    return _send(ctx, "PlayerService", "resumeBet", request.user_id, {"betId": request.bet_id})


@repair.handler(name="leg", **takes(LegRepair))
async def leg(ctx: restate.Context, request: LegRepair) -> SentOn:
    """Give a leg back, if its player has no such bet. The player decides that, so that none can be placed meanwhile."""
    return _send(ctx, "PlayerService", "releaseOrphan", request.user_id, request.model_dump(exclude={"user_id"}))


@repair.handler(name="settlement", **takes(SettlementRepair))
async def settlement(ctx: restate.Context, request: SettlementRepair) -> SentOn:
    """Start the run of a market's newest result again."""
    return _send(ctx, "MarketService", "resumeSettlement", request.market_id, None)


def _send(ctx: restate.Context, service: str, handler: str, key: str, body: dict[str, Any] | None) -> SentOn:
    ctx.generic_send(service, handler, b"" if body is None else json.dumps(body).encode(), key=key)
    return SentOn()
