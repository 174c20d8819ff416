"""StatementService: stores full pages of older movements, and archive pages, each under its own key, for ever."""

import restate

from app.domain.archive_pages import ArchivePage
from app.domain.statement import StatementPage
from app.services.shell.observed import observed
from app.services.shell.requests import requests_checked
from app.services.shell.wire import FORGET_AT_ONCE, Document

statements = restate.VirtualObject(
    "StatementService",
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, requests_checked],
)

PAGE = "page"


def page_key(user_id: str, page: int) -> str:
    """The key of a statement page. It ends in a number, so two players' keys never collide."""
    return f"{user_id}:{page}"


def archive_key(user_id: str, page: int) -> str:
    """The key of an archive page. It does not end in a plain number, so it never collides with a statement page."""
    return f"{user_id}:archive-{page}"


@statements.handler(name="keep")
async def keep(ctx: restate.ObjectContext, page: StatementPage) -> None:
    """Store a full page of movements."""
    ctx.set(PAGE, page, serde=Document(StatementPage))


@statements.handler(name="keepArchive")
async def keep_archive(ctx: restate.ObjectContext, page: ArchivePage) -> None:
    """Store a page of archived operations."""
    ctx.set(PAGE, page, serde=Document(ArchivePage))


@statements.handler(name="read")
async def read(ctx: restate.ObjectContext) -> StatementPage:
    """Return a page of movements. Exclusive, so that it waits for a write that is in flight."""
    return await ctx.get(PAGE, serde=Document(StatementPage)) or StatementPage(entries=[])


@statements.handler(name="readArchive")
async def read_archive(ctx: restate.ObjectContext) -> ArchivePage:
    """Return a page of the archive. Exclusive, so that it waits for a write that is in flight."""
    return await ctx.get(PAGE, serde=Document(ArchivePage)) or ArchivePage()
