"""MarketBookPage: stores full pages of a shard's bets, each under its own key, so that placing a bet stays cheap."""

import restate

from app.domain.shards import BetPage
from app.services.shell.observed import observed
from app.services.shell.requests import requests_checked
from app.services.shell.wire import FORGET_AT_ONCE, Document

bet_pages = restate.VirtualObject(
    "MarketBookPage",
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, requests_checked],
)

PAGE = "page"


def page_key(shard_key: str, page: int) -> str:
    """The key of a shard's page. Shard keys and page keys both end in a number, so two shards' pages never collide."""
    return f"{shard_key}:{page}"


@bet_pages.handler(name="keep")
async def keep(ctx: restate.ObjectContext, page: BetPage) -> None:
    """Store a page, replacing what was there."""
    ctx.set(PAGE, page, serde=Document(BetPage))


@bet_pages.handler(name="read")
async def read(ctx: restate.ObjectContext) -> BetPage:
    """Return the bets of a page. Exclusive, so that it waits for a write that is in flight."""
    return await ctx.get(PAGE, serde=Document(BetPage)) or BetPage()
