"""SettlementWorkflow and SettlementService: one run of a result over all bets of a market, page by page.

Every bet remembers the version of each leg's result, so a page that is repeated, late, or overtaken by a correction
changes nothing.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import islice

import restate

from app.domain.bets import ApplyResult
from app.domain.markets import BetPage, Extent, Reserved
from app.domain.model import Wire
from app.domain.settlement import SelectionOutcome
from app.services import markets
from app.services.bets import apply_result
from app.services.boundary import FORGET_AT_ONCE, Json, Nothing, clock, requests_checked, takes
from app.services.markets import SETTLEMENT, SettlementOrder, numbered_book
from app.services.observed import observed

PAGES_AT_ONCE = 10
"""Pages of bets under way at the same time, so that a large market leaves room for other work."""
RETENTION = timedelta(days=90)
"""How long `progress` can tell of a run after its end."""

settlement_workflow = restate.Workflow(
    SETTLEMENT, journal_retention=FORGET_AT_ONCE, invocation_context_managers=[observed, requests_checked]
)
settlement = restate.Service(
    "SettlementService",
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, requests_checked],
)

PROGRESS = "progress"


class SettlePage(Wire):
    """One page of a book's bets to carry a result out on."""

    market_id: str
    version: int
    outcomes: dict[str, SelectionOutcome]
    book: int
    page: int


class PageSettled(Wire):
    """How many bets of a page now know the result, and what it moved to their players, less what it took back."""

    settled: int
    paid: int


class Progress(Wire):
    """How far a run is: bets in all, those that know the result, and what it moved, in minor units."""

    bets: int = 0
    settled: int = 0
    paid: int = 0
    done: bool = False

    def with_page(self, page: PageSettled) -> "Progress":
        """The progress after one more page."""
        return self.model_copy(update={"settled": self.settled + page.settled, "paid": self.paid + page.paid})


_PROGRESS = Json(Progress)


@settlement_workflow.main(name="run", ingress_private=True, workflow_retention=RETENTION)
async def run(ctx: restate.WorkflowContext, order: SettlementOrder) -> Progress:
    """Carry a result out on every bet of the market, some pages at a time."""
    extents = await _extents(ctx, order)
    progress = Progress(bets=_bets(extents))
    ctx.set(PROGRESS, progress, serde=_PROGRESS)
    pages = _pages(order, extents)
    under_way = deque(ctx.service_call(settle_page, page) for page in islice(pages, PAGES_AT_ONCE))
    while under_way:
        progress = progress.with_page(await under_way.popleft())
        ctx.set(PROGRESS, progress, serde=_PROGRESS)
        under_way.extend(ctx.service_call(settle_page, page) for page in islice(pages, 1))
    # A leg that was reserved for a bet which another market refused has been given back by now: its player was told.
    progress = progress.model_copy(update={"bets": _bets(await _extents(ctx, order)), "done": True})
    ctx.set(PROGRESS, progress, serde=_PROGRESS)
    return progress


@settlement_workflow.handler(name="progress", **takes(Nothing))
async def progress(ctx: restate.WorkflowSharedContext, request: Nothing) -> Progress:
    """How far the run is; nothing yet for one that has not begun."""
    return await ctx.get(PROGRESS, serde=_PROGRESS) or Progress()


@settlement.handler(name="settlePage")
async def settle_page(ctx: restate.Context, request: SettlePage) -> PageSettled:
    """Tell every player on a page how their bets on the market have gone."""
    now = await clock(ctx)
    book = numbered_book(request.market_id, request.book)
    page = await ctx.object_call(markets.page, book, request.page)
    told = [
        ctx.object_call(
            apply_result,
            user_id,
            ApplyResult(
                market_id=request.market_id,
                version=request.version,
                outcomes={bet.selection_id: request.outcomes[bet.selection_id] for bet in bets},
                bet_ids=[bet.bet_id for bet in bets],
                now=now,
            ),
        )
        for user_id, bets in _by_player(page).items()
    ]
    applied = [(await answer).accepted() for answer in told]
    return PageSettled(settled=sum(one.known for one in applied), paid=sum(one.paid for one in applied))


async def _extents(ctx: restate.WorkflowContext, order: SettlementOrder) -> list[Extent]:
    asked = [ctx.object_call(markets.extent, numbered_book(order.market_id, book), None) for book in order.books]
    return [await answer for answer in asked]


def _bets(extents: Iterable[Extent]) -> int:
    return sum(extent.bets for extent in extents)


def _pages(order: SettlementOrder, extents: Iterable[Extent]) -> Iterator[SettlePage]:
    for book, extent in zip(order.books, extents, strict=True):
        for page in range(extent.pages):
            yield SettlePage(
                market_id=order.market_id, version=order.version, outcomes=order.outcomes, book=book, page=page
            )


def _by_player(page: BetPage) -> Mapping[str, list[Reserved]]:
    bets = defaultdict(list)
    for bet in page.bets.values():
        bets[bet.user_id].append(bet)
    return bets
