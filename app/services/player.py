"""PlayerService: all money and rules of one player. Each handler loads the document, lets a rule decide, and stores."""

import secrets
from collections.abc import Callable
from typing import Annotated, TypeVar

import restate
from pydantic import AfterValidator, Field, StrictBool, StringConstraints

from app.domain import deposits, email_change, protection, withdrawals
from app.domain.activity import activity
from app.domain.archive import Operations
from app.domain.email_change import EmailChangeView, EmailView
from app.domain.follow_up import WhoseDeposit
from app.domain.model import Currency, Email, PublicRequest
from app.domain.player import AccountView, Decision, Deposit, Player, Withdrawal, account_view
from app.domain.protection import AllLimits, Standing
from app.domain.responsible_gambling import LimitAmount, LimitKind, LimitView, Period, RestrictionView
from app.domain.statement import (
    Audit,
    StatementView,
    archive_ended,
    audit,
    entries_on,
    full_pages,
    pages,
    statement_view,
    without_full_pages,
)
from app.services import archive, comms, statements
from app.services.boundary import FORGET_AT_ONCE, Answer, Json, Nothing, clock, invalid, key_is, takes, wall_clock
from app.services.observed import count_activity, observed
from app.services.outside import outside

T = TypeVar("T")

player = restate.VirtualObject(
    "PlayerService",
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, key_is("userId")],
)

DEPOSIT_FOLLOW_UP = "DepositFollowUp"
"""What lies above is sent to by name."""

CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without what is read as something else."""
CODE_CHARACTERS = 10

STATE = "player"
_PLAYER = Json(Player)


class StatementRequest(PublicRequest):
    """Which page of the statement; the newest without."""

    page: Annotated[int, Field(strict=True, ge=1)] | None = None


class WhichLimitRequest(PublicRequest):
    """A limit by what it counts, its window and its currency, the house's default one where none is named."""

    kind: LimitKind
    period: Period
    currency: Currency | None = None


class SetLimitRequest(WhichLimitRequest):
    """A limit in minor units, or its removal (null)."""

    amount: LimitAmount | None


class EmailRequest(PublicRequest):
    """A new e-mail address."""

    email: Email


class CodeRequest(PublicRequest):
    """The code that was sent to a new address."""

    code: Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=64)]


class BreakRequest(PublicRequest):
    """A break in days."""

    days: Annotated[int, Field(strict=True, ge=1, le=42)]


def _meant(confirm: bool) -> bool:
    if not confirm:
        raise ValueError("must be true")
    return confirm


class SelfExclusionRequest(PublicRequest):
    """A self-exclusion in months, meant seriously."""

    months: Annotated[int, Field(strict=True, ge=6, le=1200)]
    confirm: Annotated[StrictBool, AfterValidator(_meant)]


async def load(ctx: restate.ObjectContext | restate.ObjectSharedContext) -> Player:
    """The player's document; a player we have not met has an empty one."""
    return await ctx.get(STATE, serde=_PLAYER) or Player(user_id=ctx.key())


async def load_with(ctx: restate.ObjectContext | restate.ObjectSharedContext, kind: Operations, *ids: str) -> Player:
    """Load the document, with deposits, withdrawals or bets that may have left it for the archive."""
    document = await load(ctx)
    missing = [operation_id for operation_id in ids if operation_id not in getattr(document, kind)]
    if not document.has_archive or not missing:
        return document
    found = await archive.recall(ctx, kind, missing)
    return document.changed(**{kind.value: {**found, **getattr(document, kind)}})


async def carry_out(ctx: restate.ObjectContext, before: Player, decision: Decision[T]) -> Answer[T]:
    """Store what a rule decided and tell of it. The one `ctx.set` holds every number of the money book."""
    after = decision.player
    if after is not before:
        for page, content in full_pages(before, after).items():
            ctx.object_send(statements.keep, statements.page_key(ctx.key(), page), content)
        after, archived = archive_ended(without_full_pages(after))
        if archived is not None:
            await archive.put_away(ctx, archived)
        ctx.set(STATE, after, serde=_PLAYER)
        count_activity(activity(before, decision.player))
    for message in decision.messages:
        ctx.service_send(comms.send, message)
    return Answer.of(decision.outcome)


# What moves money is private: only our own components call it.


@player.handler(name="reserveDeposit", ingress_private=True)
async def reserve_deposit(ctx: restate.ObjectContext, request: deposits.ReserveDeposit) -> Answer[Deposit]:
    """Count a deposit against the limits."""
    before = await load_with(ctx, Operations.DEPOSITS, request.deposit_id)
    return await carry_out(ctx, before, deposits.reserve_deposit(before, request, outside().policy))


@player.handler(name="creditDeposit", ingress_private=True)
async def credit_deposit(ctx: restate.ObjectContext, request: deposits.EndDeposit) -> Answer[Deposit]:
    """Credit a deposit whose charge was made."""
    return await _end_deposit(ctx, request, deposits.credit_deposit)


@player.handler(name="declineDeposit", ingress_private=True)
async def decline_deposit(ctx: restate.ObjectContext, request: deposits.EndDeposit) -> Answer[Deposit]:
    """Release a deposit that the provider refused."""
    return await _end_deposit(ctx, request, deposits.decline_deposit)


@player.handler(name="cancelDeposit", ingress_private=True)
async def cancel_deposit(ctx: restate.ObjectContext, request: deposits.EndDeposit) -> Answer[Deposit]:
    """Release a deposit whose charge is void."""
    return await _end_deposit(ctx, request, deposits.cancel_deposit)


@player.handler(name="takeBackDeposit", ingress_private=True)
async def take_back_deposit(ctx: restate.ObjectContext, request: deposits.TakeBack) -> Answer[Deposit]:
    """Carry out a refund, a chargeback or its reversal."""
    before = await load_with(ctx, Operations.DEPOSITS, request.deposit_id)
    return await carry_out(ctx, before, deposits.take_back_deposit(before, request))


@player.handler(name="failDeposit", ingress_private=True)
async def fail_deposit(ctx: restate.ObjectContext, request: deposits.EndDeposit) -> Answer[Deposit]:
    """Release a deposit that nobody can tell anything about."""
    return await _end_deposit(ctx, request, deposits.fail_deposit)


@player.handler(name="holdWithdrawal", ingress_private=True)
async def hold_withdrawal(ctx: restate.ObjectContext, request: withdrawals.HoldWithdrawal) -> Answer[Withdrawal]:
    """Set the money of a withdrawal aside."""
    before = await load_with(ctx, Operations.WITHDRAWALS, request.withdrawal_id)
    return await carry_out(ctx, before, withdrawals.hold_withdrawal(before, request, outside().policy))


@player.handler(name="payWithdrawal", ingress_private=True)
async def pay_withdrawal(ctx: restate.ObjectContext, request: withdrawals.EndWithdrawal) -> Answer[Withdrawal]:
    """Take a paid withdrawal out of the book."""
    before = await load_with(ctx, Operations.WITHDRAWALS, request.withdrawal_id)
    return await carry_out(ctx, before, withdrawals.pay_withdrawal(before, request))


@player.handler(name="returnWithdrawal", ingress_private=True)
async def return_withdrawal(ctx: restate.ObjectContext, request: withdrawals.EndWithdrawal) -> Answer[Withdrawal]:
    """Give the money of a withdrawal back."""
    before = await load_with(ctx, Operations.WITHDRAWALS, request.withdrawal_id)
    return await carry_out(ctx, before, withdrawals.return_withdrawal(before, request))


@player.handler(name="sendBackWithdrawal", ingress_private=True)
async def send_back_withdrawal(ctx: restate.ObjectContext, request: withdrawals.EndWithdrawal) -> Answer[Withdrawal]:
    """Take the money of a payout in again that came back."""
    before = await load_with(ctx, Operations.WITHDRAWALS, request.withdrawal_id)
    return await carry_out(ctx, before, withdrawals.send_back_withdrawal(before, request))


@player.handler(name="withdrawal", kind="shared", ingress_private=True)
async def withdrawal(ctx: restate.ObjectSharedContext, withdrawal_id: str) -> Answer[Withdrawal]:
    """How a withdrawal stands, if this player has it."""
    known = await load_with(ctx, Operations.WITHDRAWALS, withdrawal_id)
    return Answer(value=known.withdrawals.get(withdrawal_id))


@player.handler(name="depositStatus", kind="shared", ingress_private=True)
async def deposit_status(ctx: restate.ObjectSharedContext, deposit_id: str) -> str:
    """How a deposit stands."""
    return (await load_with(ctx, Operations.DEPOSITS, deposit_id)).deposits[deposit_id].status


@player.handler(name="findDeposit", kind="shared", ingress_private=True)
async def find_deposit(ctx: restate.ObjectSharedContext, deposit_id: str) -> Answer[Deposit]:
    """A deposit as the player's book knows it, or nothing."""
    return Answer(value=(await load_with(ctx, Operations.DEPOSITS, deposit_id)).deposits.get(deposit_id))


@player.handler(name="hasWithdrawal", kind="shared", ingress_private=True)
async def has_withdrawal(ctx: restate.ObjectSharedContext, withdrawal_id: str) -> bool:
    """Whether the player's book knows a withdrawal."""
    return withdrawal_id in (await load_with(ctx, Operations.WITHDRAWALS, withdrawal_id)).withdrawals


# What players see and set.


@player.handler(name="getAccount", kind="shared", **takes(Nothing))
async def get_account(ctx: restate.ObjectSharedContext, request: Nothing) -> AccountView:
    """Wallets, restriction and standing of the player."""
    return account_view(await load(ctx), wall_clock())


@player.handler(name="getStatement", kind="shared", **takes(StatementRequest))
async def get_statement(ctx: restate.ObjectSharedContext, request: StatementRequest) -> StatementView:
    """A page of the player's movements."""
    document = await load(ctx)
    page = pages(document) if request.page is None else request.page
    if page > pages(document):
        invalid(f"page: this statement has {pages(document)}")
    entries = entries_on(document, page)
    if entries is None:
        entries = (await ctx.object_call(statements.read, statements.page_key(ctx.key(), page), None)).entries
    return statement_view(document, page, entries)


@player.handler(name="audit", kind="shared", **takes(Nothing))
async def audit_player(ctx: restate.ObjectSharedContext, request: Nothing) -> Audit:
    """Add the player's books up again from the postings."""
    return audit(await load(ctx))


@player.handler(name="getLimits", kind="shared", **takes(Nothing))
async def get_limits(ctx: restate.ObjectSharedContext, request: Nothing) -> AllLimits:
    """Every limit with what is used of it."""
    return AllLimits(limits=protection.limit_usages(await load(ctx), wall_clock(), outside().policy))


@player.handler(name="setLimit", **takes(SetLimitRequest))
async def set_limit(ctx: restate.ObjectContext, request: SetLimitRequest) -> LimitView:
    """Cut a limit at once, or ask for a raise."""
    before, now = await load(ctx), await clock(ctx)
    wanted = protection.SetLimit(**request.model_dump(by_alias=False))
    return (await carry_out(ctx, before, protection.set_limit(before, wanted, now, outside().policy))).accepted()


@player.handler(name="confirmLimit", **takes(WhichLimitRequest))
async def confirm_limit(ctx: restate.ObjectContext, request: WhichLimitRequest) -> LimitView:
    """Put a raise into force that has cooled off."""
    before, now = await load(ctx), await clock(ctx)
    which = protection.WhichLimit(**request.model_dump(by_alias=False))
    return (await carry_out(ctx, before, protection.confirm_limit(before, which, now, outside().policy))).accepted()


@player.handler(name="cancelLimitChange", **takes(WhichLimitRequest))
async def cancel_limit_change(ctx: restate.ObjectContext, request: WhichLimitRequest) -> LimitView:
    """Take back a raise that waits."""
    before, now = await load(ctx), await clock(ctx)
    which = protection.WhichLimit(**request.model_dump(by_alias=False))
    decision = protection.cancel_limit_change(before, which, now, outside().policy)
    return (await carry_out(ctx, before, decision)).accepted()


@player.handler(name="changeEmail", **takes(EmailRequest))
async def change_email(ctx: restate.ObjectContext, request: EmailRequest) -> EmailChangeView:
    """Send a code to a new address, and a notice to the old one."""
    before, now = await load(ctx), await clock(ctx)
    # Not the context's own random: whoever knows the invocation's id, which is no secret, could work it out.
    code = await ctx.run_typed("code", _new_code)
    return (await carry_out(ctx, before, email_change.change_email(before, request.email, code, now))).accepted()


def _new_code() -> str:
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_CHARACTERS))


@player.handler(name="confirmEmail", **takes(CodeRequest))
async def confirm_email(ctx: restate.ObjectContext, request: CodeRequest) -> EmailView:
    """Set the new address, by the code that was sent there."""
    before, now = await load(ctx), await clock(ctx)
    return (await carry_out(ctx, before, email_change.confirm_email(before, request.code, now))).accepted()


@player.handler(name="takeBreak", **takes(BreakRequest))
async def take_break(ctx: restate.ObjectContext, request: BreakRequest) -> RestrictionView:
    """Stop the player for some days."""
    before, now = await load(ctx), await clock(ctx)
    return _stopped(ctx, before, await carry_out(ctx, before, protection.take_break(before, request.days, now)))


@player.handler(name="selfExclude", **takes(SelfExclusionRequest))
async def self_exclude(ctx: restate.ObjectContext, request: SelfExclusionRequest) -> RestrictionView:
    """Stop the player for some months, and then until reinstated."""
    before, now = await load(ctx), await clock(ctx)
    return _stopped(ctx, before, await carry_out(ctx, before, protection.self_exclude(before, request.months, now)))


@player.handler(name="reinstate", **takes(Nothing))
async def reinstate(ctx: restate.ObjectContext, request: Nothing) -> Standing:
    """Let the player back in after a self-exclusion has ended."""
    before, now = await load(ctx), await clock(ctx)
    decision = protection.reinstate_player(before, now, outside().policy)
    return (await carry_out(ctx, before, decision)).accepted()


def _stopped(ctx: restate.ObjectContext, player: Player, answer: Answer[RestrictionView]) -> RestrictionView:
    """A player who is stopped does not want the deposits either that are under way: those that can be, become void."""
    restriction = answer.accepted()
    for deposit_id, deposit in player.deposits.items():
        if deposit.status == "reserved":
            whose = WhoseDeposit(user_id=ctx.key()).model_dump_json().encode()
            ctx.generic_send(DEPOSIT_FOLLOW_UP, "stop", whose, key=deposit_id)
    return restriction


async def _end_deposit(
    ctx: restate.ObjectContext,
    request: deposits.EndDeposit,
    rule: Callable[[Player, deposits.EndDeposit], Decision[Deposit]],
) -> Answer[Deposit]:
    before = await load_with(ctx, Operations.DEPOSITS, request.deposit_id)
    return await carry_out(ctx, before, rule(before, request))
