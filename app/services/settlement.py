"""SettlementRun, SettlementWorkflow and SettlementService: apply a result to all bets of a market, page by page.

Settlement is idempotent. Every bet stores the version of each leg's result, so a page that is repeated, late, or
overtaken by a correction changes nothing. A cancel does not end a run. A run that was killed is started again by
repeating the same `settle`, or by the bookkeeper.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from itertools import islice

import restate
from pydantic import Field
from restate import RestateDurableFuture

from app.domain.access import Actor, Role, may
from app.domain.bets import ApplyResult
from app.domain.markets import Withdrawn, outcome_for
from app.domain.model import Wire, is_id, is_none
from app.domain.refusals import Refusal, Refused
from app.domain.settlement import SelectionOutcome
from app.domain.shards import BetPage, Extent, Reserved
from app.services.markets import markets
from app.services.markets.markets import SETTLEMENT, SETTLEMENT_RUN, SettlementOrder, numbered_shard
from app.services.player.bets import apply_result
from app.services.shell.access import passed_on
from app.services.shell.clock import clock
from app.services.shell.observed import observed
from app.services.shell.requests import EmptyRequest, requests_checked, takes
from app.services.shell.shield import insist
from app.services.shell.wire import FORGET_AT_ONCE, Document, Reply, refuse

PAGES_AT_ONCE = 10
"""Pages of bets in flight at a time. The bound leaves room for other work while a large market is settled."""
RETENTION = timedelta(days=90)
"""How long Restate remembers that the workflow of a result has run."""

settlement_workflow = restate.Workflow(
    SETTLEMENT, journal_retention=FORGET_AT_ONCE, invocation_context_managers=[observed, requests_checked]
)
settlement_run = restate.VirtualObject(
    SETTLEMENT_RUN,
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, requests_checked],
)
settlement = restate.Service(
    "SettlementService",
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, requests_checked],
)

PROGRESS = "progress"


class SettlePage(Wire):
    """One page of a shard's bets, and the result to apply to it."""

    market_id: str
    version: int
    outcomes: dict[str, SelectionOutcome]
    book: int
    page: int
    withdrawn: list[Withdrawn] = Field(default_factory=list)
    by: Actor | None = Field(None, exclude_if=is_none)
    """Who entered the result; null if they are unknown."""


class PageSettled(Wire):
    """How many bets of a page have the result, and the net amount paid to their players, in minor units."""

    settled: int
    paid: int


class Progress(Wire):
    """Progress of a run: all bets, those that have the result, and the net amount paid, in minor units."""

    bets: int = 0
    settled: int = 0
    paid: int = 0
    done: bool = False

    def with_page(self, page: PageSettled) -> "Progress":
        """Return the progress after one more page."""
        return self.model_copy(update={"settled": self.settled + page.settled, "paid": self.paid + page.paid})


_PROGRESS = Document(Progress)


@settlement_workflow.main(name="run", ingress_private=True, workflow_retention=RETENTION)
async def run(ctx: restate.WorkflowContext, order: SettlementOrder) -> Progress:
    """Run the settlement of a result to its end, even if this is cancelled. After a kill, `settle` starts it again."""
    return await insist(lambda: ctx.object_call(carry_out, ctx.key(), order))


@settlement_workflow.handler(
    name="progress",
    **takes(EmptyRequest, may(Role.TRADER, Role.SUPPORT, Role.AUDITOR), Refusal.UNKNOWN_SETTLEMENT, reads=True),
)
async def progress(ctx: restate.WorkflowSharedContext, request: EmptyRequest) -> Progress:
    """Report the progress of a settlement: all zero before it starts.

    Refuses with `unknown_settlement` if the market has no such result.
    """
    known = (await ctx.object_call(progress_of_run, ctx.key(), None, headers=passed_on())).value
    if known is None:  # an older version kept the progress in the workflow itself
        known = await ctx.get(PROGRESS, serde=_PROGRESS)
    if known is None and not await _is_to_begin(ctx, ctx.key()):
        refuse(_unknown_settlement(ctx.key()))
    return Progress() if known is None else known


@settlement_run.handler(name="carryOut")
async def carry_out(ctx: restate.ObjectContext, order: SettlementOrder) -> Progress:
    """Apply a result to every bet of the market, a bounded number of pages at a time. Idempotent.

    A cancel does not end it: every step is retried until it succeeds. A run that was killed starts from the beginning.
    """
    known = await insist(lambda: ctx.get(PROGRESS, serde=_PROGRESS))
    if known is not None and known.done:
        return known

    def settled(page: SettlePage) -> RestateDurableFuture[PageSettled]:
        return ctx.service_call(settle_page, page)

    extents = await _extents(ctx, order)
    progress = Progress(bets=_bets(extents))
    ctx.set(PROGRESS, progress, serde=_PROGRESS)
    calls = (partial(settled, page) for page in _pages(order, extents))
    under_way = deque((call, call()) for call in islice(calls, PAGES_AT_ONCE))
    while under_way:
        call, started = under_way.popleft()
        progress = progress.with_page(await insist(call, started))
        ctx.set(PROGRESS, progress, serde=_PROGRESS)
        under_way.extend((call, call()) for call in islice(calls, 1))
    # Count again. Legs whose bet another market refused were counted at first, and have been released since.
    progress = progress.model_copy(update={"bets": _bets(await _extents(ctx, order)), "done": True})
    ctx.set(PROGRESS, progress, serde=_PROGRESS)
    return progress


@settlement_run.handler(name="progress", kind="shared")
async def progress_of_run(ctx: restate.ObjectSharedContext) -> Reply[Progress]:
    """Report the progress of the run, or `unknown_settlement` before it starts."""
    known = await ctx.get(PROGRESS, serde=_PROGRESS)
    return Reply.of(_unknown_settlement(ctx.key()) if known is None else known)


@settlement.handler(name="settlePage")
async def settle_page(ctx: restate.Context, request: SettlePage) -> PageSettled:
    """Send the result to every player who has bets on the page."""
    now = await clock(ctx)
    shard = numbered_shard(request.market_id, request.book)
    page = await ctx.object_call(markets.page, shard, request.page)
    told = [
        ctx.object_call(
            apply_result,
            user_id,
            ApplyResult(
                market_id=request.market_id,
                version=request.version,
                outcomes={
                    bet.selection_id: outcome_for(request.outcomes[bet.selection_id], request.withdrawn, known)
                    for bet in bets
                },
                bet_ids=[bet.bet_id for bet in bets],
                now=now,
                by=request.by,
            ),
        )
        for (user_id, known), bets in _by_player(page).items()
    ]
    applied = [(await answer).accepted() for answer in told]
    return PageSettled(settled=sum(one.known for one in applied), paid=sum(one.paid for one in applied))


async def _extents(ctx: restate.ObjectContext, order: SettlementOrder) -> list[Extent]:
    def ask(shard: int) -> RestateDurableFuture[Extent]:
        return ctx.object_call(markets.extent, numbered_shard(order.market_id, shard), None)

    asked = [(partial(ask, shard), ask(shard)) for shard in order.books]
    return [await insist(again, started) for again, started in asked]


async def _is_to_begin(ctx: restate.WorkflowSharedContext, settlement_id: str) -> bool:
    """Whether a settlement id belongs to its market's newest result, so that its run is about to start."""
    market_id, _, version = settlement_id.rpartition(":")
    if not is_id(market_id) or version == "0":
        return False
    return version == str(await ctx.object_call(markets.result_version, market_id, None, headers=passed_on()))


def _unknown_settlement(settlement_id: str) -> Refused:
    message = f"settlementId: there is no settlement {settlement_id}"
    return Refused(reason=Refusal.UNKNOWN_SETTLEMENT, message=message)


def _bets(extents: Iterable[Extent]) -> int:
    return sum(extent.bets for extent in extents)


def _pages(order: SettlementOrder, extents: Iterable[Extent]) -> Iterator[SettlePage]:
    for shard, extent in zip(order.books, extents, strict=True):
        for page in range(extent.pages):
            yield SettlePage(
                market_id=order.market_id,
                version=order.version,
                outcomes=order.outcomes,
                book=shard,
                page=page,
                withdrawn=order.withdrawn,
                by=order.by,
            )


def _by_player(page: BetPage) -> Mapping[tuple[str, int], list[Reserved]]:
    """Group the bets by player, and by the number of withdrawals known at placement, which decides the deductions."""
    bets = defaultdict(list)
    for bet in page.bets.values():
        bets[bet.user_id, bet.withdrawals].append(bet)
    return bets
