"""Handlers for a player's account, statement and e-mail address."""

import secrets
from typing import Annotated

import restate
from pydantic import Field

from app.domain import email_change
from app.domain.email_change import EmailChangeView, EmailView
from app.domain.model import Email, PublicRequest, TrimmedText
from app.domain.player import AccountView, account_view
from app.domain.refusals import Refusal
from app.domain.statement import Audit, StatementView, audit, entries_on, pages, statement_view
from app.services.player import statements
from app.services.player.document import AUDITORS, OWN, READERS, commit, load, player
from app.services.shell.access import passed_on, serves_operator
from app.services.shell.clock import clock, wall_clock
from app.services.shell.requests import EmptyRequest, takes
from app.services.shell.wire import invalid

CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Letters and digits that cannot be mistaken for one another: no 0, O, 1 or I."""
CODE_CHARACTERS = 10


class StatementRequest(PublicRequest):
    """A page of the statement by its number; without one, the newest page."""

    page: Annotated[int, Field(strict=True, ge=1)] | None = None


class EmailRequest(PublicRequest):
    """A new e-mail address."""

    email: Email


class CodeRequest(PublicRequest):
    """The code that was sent to the new e-mail address."""

    code: TrimmedText


@player.handler(name="getAccount", kind="shared", **takes(EmptyRequest, READERS, reads=True))
async def get_account(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> AccountView:
    """Return the player's wallets, restriction and standing."""
    return account_view(await load(ctx), wall_clock(), serves_operator())


@player.handler(name="getStatement", kind="shared", **takes(StatementRequest, READERS, reads=True))
async def get_statement(ctx: restate.ObjectSharedContext, request: StatementRequest) -> StatementView:
    """Return a page of the player's movements. Refuses a page that does not exist."""
    document = await load(ctx)
    page = pages(document) if request.page is None else request.page
    if page > pages(document):
        invalid(f"page: this statement has {pages(document)}")
    entries = entries_on(document, page)
    if entries is None:
        key = statements.page_key(ctx.key(), page)
        entries = (await ctx.object_call(statements.read, key, None, headers=passed_on())).entries
    return statement_view(document, page, entries, serves_operator())


@player.handler(name="audit", kind="shared", **takes(EmptyRequest, AUDITORS, reads=True))
async def audit_player(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> Audit:
    """Recompute the player's balances from the postings and compare them."""
    return audit(await load(ctx))


@player.handler(name="changeEmail", **takes(EmailRequest, OWN, Refusal.TOO_MANY_CODES))
async def change_email(ctx: restate.ObjectContext, request: EmailRequest) -> EmailChangeView:
    """Send a confirmation code to the new address, and a notice to the old one."""
    before, now = await load(ctx), await clock(ctx)
    # Not the context's random source: it is seeded by the invocation id, which is no secret.
    code = await ctx.run_typed("code", _new_code)
    return (await commit(ctx, before, email_change.change_email(before, request.email, code, now))).accepted()


def _new_code() -> str:
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_CHARACTERS))


@player.handler(
    name="confirmEmail",
    **takes(CodeRequest, OWN, Refusal.WRONG_CODE, Refusal.NO_PENDING_CHANGE, Refusal.CHANGE_EXPIRED),
)
async def confirm_email(ctx: restate.ObjectContext, request: CodeRequest) -> EmailView:
    """Set the new address if the code is the one that was sent to it."""
    before, now = await load(ctx), await clock(ctx)
    return (await commit(ctx, before, email_change.confirm_email(before, request.code, now))).accepted()
