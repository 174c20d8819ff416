"""Handlers for the limits and restrictions that players set themselves."""

from typing import Annotated

import restate
from pydantic import AfterValidator, Field, StrictBool

from app.domain import protection
from app.domain.follow_up import WhoseDeposit
from app.domain.model import Currency, PublicRequest
from app.domain.player import DepositStatus, Player
from app.domain.protection import AllLimits, Reinstated
from app.domain.refusals import Refusal
from app.domain.responsible_gambling import LimitAmount, LimitKind, LimitView, Period, RestrictionView
from app.services.player.document import HELPERS, READERS, commit, load, player
from app.services.shell.access import actor, serves_operator
from app.services.shell.clock import clock, wall_clock
from app.services.shell.dependencies import dependencies
from app.services.shell.requests import EmptyRequest, takes
from app.services.shell.wire import Reply

DEPOSIT_FOLLOW_UP = "DepositFollowUp"
"""A component in a higher layer, addressed by name because it cannot be imported here."""


class WhichLimitRequest(PublicRequest):
    """A limit, named by its kind, window and currency; without a currency, the default currency of the house."""

    kind: LimitKind
    period: Period
    currency: Currency | None = None


class SetLimitRequest(WhichLimitRequest):
    """A new amount for a limit, in minor units; null removes the limit."""

    amount: LimitAmount | None


class BreakRequest(PublicRequest):
    """The length of a break, in days."""

    days: Annotated[int, Field(strict=True, ge=1, le=42)]


def _meant(confirm: bool) -> bool:
    if not confirm:
        raise ValueError("must be true")
    return confirm


class SelfExclusionRequest(PublicRequest):
    """The length of a self-exclusion, in months, and an explicit confirmation."""

    months: Annotated[int, Field(strict=True, ge=6, le=1200)]
    confirm: Annotated[StrictBool, AfterValidator(_meant), Field(json_schema_extra={"const": True})]


@player.handler(name="getLimits", kind="shared", **takes(EmptyRequest, READERS, reads=True))
async def get_limits(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> AllLimits:
    """List every limit and how much of it is used."""
    usages = protection.limit_usages(await load(ctx), wall_clock(), dependencies().policy, serves_operator())
    return AllLimits(limits=usages)


@player.handler(name="setLimit", **takes(SetLimitRequest, HELPERS, Refusal.CURRENCY_NOT_ACCEPTED))
async def set_limit(ctx: restate.ObjectContext, request: SetLimitRequest) -> LimitView:
    """Lower a limit at once, or request a raise, which takes effect only once it is confirmed after the cooling-off."""
    before, now = await load(ctx), await clock(ctx)
    wanted = protection.SetLimit(**request.model_dump(by_alias=False))
    decision = protection.set_limit(before, wanted, now, dependencies().policy, actor())
    return (await commit(ctx, before, decision)).accepted()


@player.handler(
    name="confirmLimit",
    **takes(WhichLimitRequest, HELPERS, Refusal.COOLING_OFF, Refusal.NO_PENDING_CHANGE, Refusal.CHANGE_EXPIRED),
)
async def confirm_limit(ctx: restate.ObjectContext, request: WhichLimitRequest) -> LimitView:
    """Put a requested raise into force after its cooling-off period."""
    before, now = await load(ctx), await clock(ctx)
    which = protection.WhichLimit(**request.model_dump(by_alias=False))
    decision = protection.confirm_limit(before, which, now, dependencies().policy, actor())
    return (await commit(ctx, before, decision)).accepted()


@player.handler(name="cancelLimitChange", **takes(WhichLimitRequest, HELPERS, Refusal.NO_PENDING_CHANGE))
async def cancel_limit_change(ctx: restate.ObjectContext, request: WhichLimitRequest) -> LimitView:
    """Withdraw a requested raise."""
    before, now = await load(ctx), await clock(ctx)
    which = protection.WhichLimit(**request.model_dump(by_alias=False))
    decision = protection.cancel_limit_change(before, which, now, dependencies().policy, actor())
    return (await commit(ctx, before, decision)).accepted()


@player.handler(name="takeBreak", **takes(BreakRequest, HELPERS, Refusal.IRREVOCABLE))
async def take_break(ctx: restate.ObjectContext, request: BreakRequest) -> RestrictionView:
    """Restrict the player for a number of days."""
    before, now = await load(ctx), await clock(ctx)
    decision = protection.take_break(before, request.days, now, actor())
    return _stopped(ctx, before, await commit(ctx, before, decision))


@player.handler(name="selfExclude", **takes(SelfExclusionRequest, HELPERS, Refusal.IRREVOCABLE))
async def self_exclude(ctx: restate.ObjectContext, request: SelfExclusionRequest) -> RestrictionView:
    """Exclude the player for a number of months, and after that until they ask to be reinstated."""
    before, now = await load(ctx), await clock(ctx)
    decision = protection.self_exclude(before, request.months, now, actor())
    return _stopped(ctx, before, await commit(ctx, before, decision))


@player.handler(name="reinstate", **takes(EmptyRequest, HELPERS, Refusal.IRREVOCABLE))
async def reinstate(ctx: restate.ObjectContext, request: EmptyRequest) -> Reinstated:
    """Lift a self-exclusion whose period has ended."""
    before, now = await load(ctx), await clock(ctx)
    decision = protection.reinstate_player(before, now, dependencies().policy, actor())
    return (await commit(ctx, before, decision)).accepted()


def _stopped(ctx: restate.ObjectContext, player: Player, answer: Reply[RestrictionView]) -> RestrictionView:
    """Stop the deposits in flight of a player who is now restricted. Each is voided if it still can be."""
    restriction = answer.accepted()
    for deposit_id, deposit in player.deposits.items():
        # A declined deposit may still be charged: a decline is not always the provider's final answer.
        if deposit.status in (DepositStatus.RESERVED, DepositStatus.DECLINED):
            whose = WhoseDeposit(user_id=ctx.key()).model_dump_json().encode()
            ctx.generic_send(DEPOSIT_FOLLOW_UP, "stop", whose, key=deposit_id)
    return restriction
