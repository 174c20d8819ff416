"""MarketService, MarketBook and MarketTeller: a market, the shards that accept its bets, and who tells them new prices.

A market has up to 16 shards, and a player always bets at the same one. `MarketBook` is the component's name on the
wire; the code calls it a shard.

Avoiding deadlock: a shard's exclusive handler waits for its market, to join it or to lease more of a limit. An
exclusive handler of the market must therefore never wait for a shard. A change starts in a shared handler, which calls
an exclusive one to change the market, and then sends the new terms to the shards. No two exclusive handlers ever wait
for each other: the teller waits for the market and its shards, and only shared handlers wait for the teller.

Telling in rounds: prices change often, so the changes that wait while the teller tells all shards are told together by
its next round. A change learns from its market the number of the next round, and calls it by that number as an
idempotency key: all who wait for a round are answered by one invocation. A round first tells the market that it begins,
by an exclusive handler, and is given the market's terms. So it tells every change that was made before, and changes
that are made later wait for the round after it. All other changes tell the shards themselves, so that a suspension
never waits for a round.

All are in one module because each calls the others through a typed reference to their handlers: shards join their
market and lease from it, and the market and its teller send the market's terms to the shards. Several modules would
have to import each other.
"""

import itertools
import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated

import restate
from pydantic import Field
from restate import RestateDurableFuture
from restate.exceptions import TerminalError

from app.domain import market_views as views
from app.domain import markets as rules
from app.domain import shards as shard_rules
from app.domain.access import OPERATORS, Actor, Role, may
from app.domain.market_views import MarketLiability, MarketPrices, MarketView
from app.domain.markets import (
    ChangeKind,
    Holder,
    Lease,
    Market,
    MarketStatus,
    OpenMarket,
    SelectionOffer,
    SettleMarket,
    Terms,
    Withdrawn,
    WithdrawSelection,
)
from app.domain.model import Id, KnownId, PublicRequest, Text, Wire, is_none, iso
from app.domain.odds import Price
from app.domain.refusals import Refusal, Refused
from app.domain.settlement import DeadHeat, SelectionOutcome
from app.domain.shards import Accepted, BetPage, CountLeg, Delayed, ExposeLeg, Extent, ReserveLeg, Shard
from app.services.markets import pages as bet_pages
from app.services.shell import shield
from app.services.shell.access import actor, passed_on, serves_operator
from app.services.shell.clock import clock
from app.services.shell.dependencies import dependencies
from app.services.shell.observed import observed
from app.services.shell.requests import EmptyRequest, key_is, requests_checked, takes
from app.services.shell.shield import insist, was_stopped
from app.services.shell.wire import FORGET_AT_ONCE, Document, Reply, refuse

market = restate.VirtualObject(
    "MarketService",
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, key_is("marketId")],
)
market_book = restate.VirtualObject(
    "MarketBook",
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, requests_checked],
)

market_teller = restate.VirtualObject(
    "MarketTeller",
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, requests_checked],
)

SETTLEMENT, SETTLEMENT_RUN = "SettlementWorkflow", "SettlementRun"
PLAYER = "PlayerService"
"""Components in higher layers, addressed by name because they cannot be imported here."""
SHARDS_WORTH_A_ROUND = 3
"""With fewer shards in use, to tell them costs no more than the two invocations that a round adds."""
STATE = "market"
SHARD = "book"
_MARKET = Document(Market)
_SHARD = Document(Shard)


class SelectionRequest(SelectionOffer, PublicRequest):
    """A selection on offer."""

    selection_id: Id
    name: Text


class OpenRequest(OpenMarket, PublicRequest):
    """A market to open."""

    name: Text
    selections: Annotated[tuple[SelectionRequest, ...], Field(min_length=1, max_length=rules.MAX_SELECTIONS)]


class PricesRequest(PublicRequest):
    """New prices of some selections."""

    prices: Annotated[dict[Id, Price], Field(min_length=1, max_length=rules.MAX_SELECTIONS)]


class DeadHeatRequest(DeadHeat, PublicRequest):
    """More selections tied than there were places."""


class OutcomeRequest(SelectionOutcome, PublicRequest):
    """The outcome of a selection."""

    dead_heat: DeadHeatRequest | None = None


class SettleRequest(SettleMarket, PublicRequest):
    """A result, with an outcome for every selection."""

    outcomes: dict[KnownId, OutcomeRequest]  # type: ignore[assignment]  # narrower: public, so unknown fields are refused


class WithdrawSelectionRequest(WithdrawSelection, PublicRequest):
    """A selection that no longer takes part."""


class MarketSummary(Wire):
    """The answer to a change of a market."""

    market_id: str
    name: str
    status: MarketStatus
    prices: dict[str, Price]
    result_version: int


class Settling(Wire):
    """The id of the settlement that applies a result to the market's bets."""

    settlement_id: str


class SettlementOrder(Wire):
    """A result, and the numbers of the shards to settle (`books`), as input of the settlement workflow."""

    market_id: str
    version: int
    outcomes: dict[str, SelectionOutcome]
    books: list[int]
    withdrawn: list[Withdrawn] = Field(default_factory=list)
    by: Actor | None = Field(None, exclude_if=is_none)
    """Who entered the result; null if they are unknown."""


class Change(Wire):
    """A change of a market that its shards must learn of. An empty change only reads the market."""

    status: MarketStatus | None = None
    by: Holder = Holder.TRADER
    """Who suspends or resumes the market."""
    prices: dict[str, Price] | None = None
    withdrawal: WithdrawSelection | None = None
    result: SettleMarket | None = None
    begins_round: int | None = Field(None, exclude_if=is_none)
    """The number of the round of telling that begins with this reading of the market."""
    actor: Actor | None = Field(None, exclude_if=is_none)
    """Who makes the change; null if they are unknown."""

    @property
    def kind(self) -> ChangeKind:
        """What the change is about."""
        if self.prices is not None:
            return ChangeKind.PRICES
        if self.withdrawal is not None:
            return ChangeKind.WITHDRAWAL
        return ChangeKind.STATUS if self.result is None else ChangeKind.RESULT


class LeaseFor(Wire):
    """A shard's request for more of a selection's limit. `book` is the number of the shard."""

    book: int
    lease: Lease


class ReleaseLeg(Wire):
    """A leg to release, and the page of its reservation. Without a page, it is on one of the newest two."""

    user_id: str
    bet_id: str
    page: int | None


class Orphan(Wire):
    """A leg on a page of a shard whose bet may not exist."""

    user_id: str
    bet_id: str
    page: int


class BetOfPlayer(Wire):
    """An open bet that may have missed a market's result."""

    user_id: str
    bet_id: str


Reservation = Reply[Accepted | Delayed]


def shard_key(market_id: str, user_id: str) -> str:
    """The key of the shard that takes a player's bets on a market. It never changes."""
    return numbered_shard(market_id, shard_rules.shard_of(user_id, dependencies().market_books))


def numbered_shard(market_id: str, shard: int) -> str:
    """The key of a market's shard by its number, from 0."""
    return f"{market_id}:{shard}"


TRADING = may(Role.TRADER, Role.FEED)
WATCHING = may(*(role for role in Role if role in OPERATORS))
"""Who may see what the house stands to lose: the same who see it in `get`."""

# Public handlers of the market.


@market.handler(name="open", **takes(OpenRequest, TRADING, Refusal.ID_REUSED, repeatable=True))
async def open_market(ctx: restate.ObjectContext, request: OpenRequest) -> MarketSummary:
    """Open a market. Repeating the same request changes nothing."""
    before = await ctx.get(STATE, serde=_MARKET)
    currency = dependencies().policy.default_currency
    opened = Reply.of(rules.open_market(before, ctx.key(), request, currency)).accepted()
    if opened is not before:
        ctx.set(STATE, opened.made(ChangeKind.OPENING, actor()), serde=_MARKET)
    return _summary(ctx.key(), opened)


@market.handler(
    name="setPrices",
    kind="shared",
    **takes(
        PricesRequest,
        TRADING,
        Refusal.UNKNOWN_MARKET,
        Refusal.UNKNOWN_SELECTION,
        Refusal.MARKET_NOT_OPEN,
        Refusal.SELECTION_WITHDRAWN,
    ),
)
async def set_prices(ctx: restate.ObjectSharedContext, request: PricesRequest) -> MarketSummary:
    """Change the prices of some selections. When this returns, every shard uses them."""
    return _summary(ctx.key(), await _change(ctx, Change(prices=request.prices)))


@market.handler(
    name="suspend", kind="shared", **takes(EmptyRequest, TRADING, Refusal.UNKNOWN_MARKET, Refusal.MARKET_NOT_OPEN)
)
async def suspend(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> MarketSummary:
    """Suspend the market. When this returns, no shard takes bets."""
    return _summary(ctx.key(), await _change(ctx, Change(status=MarketStatus.SUSPENDED)))


@market.handler(
    name="resume", kind="shared", **takes(EmptyRequest, TRADING, Refusal.UNKNOWN_MARKET, Refusal.MARKET_NOT_OPEN)
)
async def resume(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> MarketSummary:
    """Take bets again, whoever suspended the market."""
    return _summary(ctx.key(), await _change(ctx, Change(status=MarketStatus.OPEN)))


@market.handler(
    name="close", kind="shared", **takes(EmptyRequest, TRADING, Refusal.UNKNOWN_MARKET, Refusal.MARKET_NOT_OPEN)
)
async def close(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> MarketSummary:
    """Close the market for good. When this returns, no shard takes bets."""
    return _summary(ctx.key(), await _change(ctx, Change(status=MarketStatus.CLOSED)))


@market.handler(name="suspendByFeed", kind="shared", ingress_private=True)
async def suspend_by_feed(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> MarketSummary:
    """Suspend the market on behalf of the feed, until the feed or a trader resumes it."""
    return _summary(ctx.key(), await _change(ctx, Change(status=MarketStatus.SUSPENDED, by=Holder.FEED)))


@market.handler(name="resumeByFeed", kind="shared", ingress_private=True)
async def resume_by_feed(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> MarketSummary:
    """Lift the feed's suspension; a trader's suspension stays."""
    return _summary(ctx.key(), await _change(ctx, Change(status=MarketStatus.OPEN, by=Holder.FEED)))


@market.handler(
    name="withdraw",
    kind="shared",
    **takes(
        WithdrawSelectionRequest,
        TRADING,
        Refusal.UNKNOWN_MARKET,
        Refusal.UNKNOWN_SELECTION,
        Refusal.ID_REUSED,
        Refusal.MARKET_NOT_OPEN,
        repeatable=True,
    ),
)
async def withdraw(ctx: restate.ObjectSharedContext, request: WithdrawSelectionRequest) -> MarketSummary:
    """Withdraw a selection. When this returns, no shard takes bets on it."""
    withdrawal = WithdrawSelection.model_validate(request.model_dump(by_alias=False))
    return _summary(ctx.key(), await _change(ctx, Change(withdrawal=withdrawal)))


@market.handler(
    name="settle",
    kind="shared",
    **takes(
        SettleRequest,
        TRADING,
        Refusal.UNKNOWN_MARKET,
        Refusal.UNKNOWN_SELECTION,
        Refusal.ID_REUSED,
        Refusal.SELECTION_WITHDRAWN,
        repeatable=True,
    ),
)
async def settle(ctx: restate.ObjectSharedContext, request: SettleRequest) -> Settling:
    """Enter a result and start settling the bets. No bet is accepted after this."""
    result = SettleMarket.model_validate(request.model_dump(by_alias=False))
    return _carried_out(ctx, await _change(ctx, Change(result=result)))


@market.handler(name="get", kind="shared", **takes(EmptyRequest, may(Role.ANYONE), Refusal.UNKNOWN_MARKET, reads=True))
async def get(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> MarketView:
    """Return the market; to operators, with the number of bets and the liability of all its shards."""
    known = await _opened(ctx)
    if not serves_operator():
        return views.market_view(ctx.key(), known)
    return views.operators_view(ctx.key(), known, await _extents(ctx, known))


@market.handler(
    name="prices", kind="shared", **takes(EmptyRequest, may(Role.ANYONE), Refusal.UNKNOWN_MARKET, reads=True)
)
async def prices(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> MarketPrices:
    """Return the market's status and prices. No shard is asked, so this costs the same however many are in use."""
    return views.market_prices(ctx.key(), await _opened(ctx))


@market.handler(name="liability", kind="shared", **takes(EmptyRequest, WATCHING, Refusal.UNKNOWN_MARKET, reads=True))
async def liability(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> MarketLiability:
    """Return the number of bets and the liability of the market. Every shard in use is asked."""
    known = await _opened(ctx)
    return views.market_liability(ctx.key(), known, await _extents(ctx, known))


async def _opened(ctx: restate.ObjectSharedContext) -> Market:
    """The market, or the refusal that there is none."""
    known = await ctx.get(STATE, serde=_MARKET)
    if known is None:
        refuse(_unknown_market(ctx.key()))
    return known


async def _extents(ctx: restate.ObjectSharedContext, known: Market) -> list[Extent]:
    """The contents of every shard in use. All are asked at once."""
    shards = [numbered_shard(ctx.key(), shard) for shard in sorted(known.leases)]
    asked = [ctx.object_call(extent, shard, None, headers=passed_on()) for shard in shards]
    return [await answer for answer in asked]


async def _change(ctx: restate.ObjectSharedContext, change: Change) -> Market:
    """Change the market and see to it that its shards have the new terms.

    A repeated change does so as well, because the first attempt may have been cut short. If this attempt is cut
    short, `catchUp` finishes it.
    """
    change = change.model_copy(update={"actor": actor()})
    try:
        changed = (await ctx.object_call(change_market, ctx.key(), change)).accepted()
        if change.kind is ChangeKind.PRICES and len(changed.leases) >= SHARDS_WORTH_A_ROUND:
            await _told_by_the_next_round(ctx, changed)
        else:
            await _tell(ctx, changed)
    except TerminalError as error:
        if was_stopped(error):
            ctx.object_send(catch_up, ctx.key(), None)
        raise
    return changed


async def _tell(ctx: restate.ObjectSharedContext, known: Market) -> None:
    """Send the terms to every shard in use, and wait until all have them."""
    for _, told in _shards_told(ctx, known):
        await told


async def _told_by_the_next_round(ctx: restate.ObjectSharedContext, changed: Market) -> None:
    """Wait until a round has told a change.

    A kill of somebody else who waits may end the round with it: those who are left call it again. They do so by another
    key: with the same one it would have the same id, and the answers to the calls that were killed with it may still
    be on their way to that id. What a round has told decides, not its number, because a version without rounds does not
    count them.
    """
    number = changed.rounds
    for again in itertools.count():
        called = ctx.object_call(tell_shards, ctx.key(), number, idempotency_key=f"{number}.{again}")
        await restate.gather(called)  # raises no error of the round, so an error here is a cancel of ours
        try:
            told = await called
        except TerminalError as error:
            if not was_stopped(error):
                raise
            continue
        if told < changed.revision:
            await _tell(ctx, changed)
        return


Told = tuple[Callable[[], RestateDurableFuture[None]], RestateDurableFuture[None]]


def _shards_told(ctx: restate.ObjectContext | restate.ObjectSharedContext, known: Market) -> list[Told]:
    """Start sending the terms to every shard in use. Returns each started call, and the function that repeats it."""

    def tell(shard: int) -> RestateDurableFuture[None]:
        return ctx.object_call(apply_terms, numbered_shard(ctx.key(), shard), known.terms)

    return [(partial(tell, shard), tell(shard)) for shard in sorted(known.leases)]


async def _insist_on_telling(ctx: restate.ObjectContext | restate.ObjectSharedContext, known: Market) -> None:
    """Send the terms to every shard in use, until all have them, even if this invocation is cancelled."""
    for call, told in _shards_told(ctx, known):
        await insist(call, told)


def _carried_out(ctx: restate.ObjectSharedContext, settled: Market) -> Settling:
    """Start the settlement of the newest result: the workflow, and also its run directly, in case that was killed."""
    settlement_id = rules.settlement_id(ctx.key(), settled.result_version)
    order = SettlementOrder(
        market_id=ctx.key(),
        version=settled.result_version,
        outcomes=settled.outcomes,
        books=sorted(settled.leases),
        withdrawn=settled.withdrawn,
        by=settled.made_by.get(ChangeKind.RESULT),
    )
    for component, handler in ((SETTLEMENT, "run"), (SETTLEMENT_RUN, "carryOut")):
        ctx.generic_send(component, handler, order.model_dump_json().encode(), key=settlement_id)
    return Settling(settlement_id=settlement_id)


# Private handlers that finish what was interrupted.


@market.handler(name="catchUp", kind="shared", ingress_private=True)
async def catch_up(ctx: restate.ObjectSharedContext) -> None:
    """Finish a change that was cut short: send the current terms to the shards, and start the settlement of a result.

    The market is read by an exclusive handler, and therefore after all changes that are in flight.
    """
    known = (await insist(lambda: ctx.object_call(change_market, ctx.key(), Change()))).value
    if known is None:
        return
    await _insist_on_telling(ctx, known)
    if known.result_version > 0:
        _carried_out(ctx, known)


@market.handler(name="resumeSettlement", kind="shared", ingress_private=True)
async def resume_settlement(ctx: restate.ObjectSharedContext) -> None:
    """Start the settlement of the newest result again. Does nothing if it is done."""
    known = await ctx.get(STATE, serde=_MARKET)
    if known is not None and known.result_version > 0:
        _carried_out(ctx, known)


@market.handler(name="tellResult", kind="shared", ingress_private=True)
async def tell_result(ctx: restate.ObjectSharedContext, bet: BetOfPlayer) -> None:
    """Send the newest result to an open bet, in case the page that it was on is lost. Idempotent.

    Only the page knows which selections were withdrawn after the bet. Without it, no deduction is made, in favour of
    the customer.
    """
    known = await ctx.get(STATE, serde=_MARKET)
    if known is None or known.result_version == 0:
        return
    told = {
        "marketId": ctx.key(),
        "version": known.result_version,
        "outcomes": {name: outcome.model_dump(mode="json") for name, outcome in known.outcomes.items()},
        "betIds": [bet.bet_id],
        "now": iso(await clock(ctx)),
    }
    if (by := known.made_by.get(ChangeKind.RESULT)) is not None:
        told["by"] = by.model_dump(mode="json")
    ctx.generic_send(PLAYER, "applyResult", json.dumps(told).encode(), key=bet.user_id)


@market.handler(name="resultVersion", kind="shared", ingress_private=True)
async def result_version(ctx: restate.ObjectSharedContext) -> int:
    """The version of the newest result; 0 if there is none."""
    known = await ctx.get(STATE, serde=_MARKET)
    return 0 if known is None else known.result_version


# Exclusive handlers of the market. They change it, and wait for no other handler.


@market.handler(name="change", ingress_private=True)
async def change_market(ctx: restate.ObjectContext, change: Change) -> Reply[Market]:
    """Change status, prices or result."""
    before = await ctx.get(STATE, serde=_MARKET)
    after = _unknown_market(ctx.key()) if before is None else _changed(before, change)
    if before is not None and isinstance(after, Market) and after is not before:
        if after.revision > before.revision:
            after = after.made(change.kind, change.actor)
        ctx.set(STATE, after, serde=_MARKET)
    return Reply.of(after)


@market.handler(name="join", ingress_private=True)
async def join(ctx: restate.ObjectContext, shard: int) -> Reply[Terms]:
    """Register a shard that is about to take its first bet, so that it receives every later change."""
    before = await ctx.get(STATE, serde=_MARKET)
    if before is None:
        return Reply.of(_unknown_market(ctx.key()))
    after = rules.join(before, shard)
    if after is not before:
        ctx.set(STATE, after, serde=_MARKET)
    return Reply.of(after.terms)


@market.handler(name="lease", ingress_private=True)
async def lease(ctx: restate.ObjectContext, request: LeaseFor) -> int:
    """Lease more of a selection's limit to a shard. Returns all that it now holds, in minor units."""
    before = await ctx.get(STATE, serde=_MARKET)
    assert before is not None, "a shard leases after it has joined"
    after, held = rules.lease(before, request.book, request.lease)
    if after is not before:
        ctx.set(STATE, after, serde=_MARKET)
    return held


# The market's teller. It is exclusive, so that changes gather behind a round while it waits for the shards.


@market_teller.handler(name="tell", idempotency_retention=FORGET_AT_ONCE)
async def tell_shards(ctx: restate.ObjectContext, number: int) -> int:
    """Carry out a round: send the market's terms to every shard in use. Returns the revision that all of them have.

    The shards in use are read with the terms. One that joins later is given these terms, or newer ones, by `join`; one
    that has joined applies what it was given before it applies what it is sent, because it joins in an exclusive
    handler. A shard never goes back to older terms. So once all have answered, none accepts a bet at an older price.

    The market and the shards are called by handlers that versions without a teller have too, so that a round that is in
    flight can end after a rollback. A cancel does not interrupt a round, because others than the cancelled wait for it.
    """
    begins = Change(begins_round=number)
    known = (await insist(lambda: ctx.object_call(change_market, ctx.key(), begins))).accepted()
    await _insist_on_telling(ctx, known)
    return known.revision


# Handlers of the shards. Those that change a shard are exclusive, and wait only for the market and for pages.


@market_book.handler(name="reserve")
async def reserve(ctx: restate.ObjectContext, request: ReserveLeg) -> Reservation:
    """Reserve a leg of a bet, or refuse or delay it."""
    market_id, number = _market_and_number(ctx.key())
    shard = await ctx.get(SHARD, serde=_SHARD)
    if shard is None:
        terms = await ctx.object_call(join, market_id, number)
        if terms.refused is not None:
            return Reply.of(terms.refused)
        shard = shard_rules.apply_terms(None, terms.accepted())
        ctx.set(SHARD, shard, serde=_SHARD)
    turned = await _turned(ctx, shard, request)
    before, left = shard_rules.without_remains(shard, turned, request)
    if (wanted := shard_rules.lease_wanted(before, request)) is not None:
        held = await ctx.object_call(lease, market_id, LeaseFor(book=number, lease=wanted))
        before = shard_rules.with_lease(before, wanted.selection_id, held)
    # Read the time last, because the lease above may have to wait. Only a market with a closing time needs it.
    after, outcome = shard_rules.reserve(before, request, await _time_at(ctx, shard.terms))
    after, full_page = shard_rules.turn_page(after)
    # Nothing may wait from here on, so that a cancel cannot separate the steps below.
    if left is not turned:
        ctx.object_send(bet_pages.keep, bet_pages.page_key(ctx.key(), shard.full_pages - 1), left)
    if full_page is not None:
        ctx.object_send(bet_pages.keep, bet_pages.page_key(ctx.key(), shard.full_pages), full_page)
    if after is not shard:
        ctx.set(SHARD, after, serde=_SHARD)
    return Reply.of(outcome)


@market_book.handler(name="release")
async def release(ctx: restate.ObjectContext, request: ReleaseLeg) -> None:
    """Release a leg whose bet was not placed. Idempotent; does nothing if the leg is not reserved.

    A cancel neither ends nor delays it, because the next request in the queue may be for the same bet.
    """
    shard = await insist(lambda: ctx.get(SHARD, serde=_SHARD))
    if shard is None:
        return
    for number in [request.page] if request.page is not None else shard_rules.newest_pages(shard):
        page = shard.newest if number == shard.full_pages else await insist(partial(_full_page, ctx, number))
        after, left = shard_rules.release(shard, page, request.user_id, request.bet_id)
        if after is not shard:
            _store(ctx, shard, after, number, left)
            return


@market_book.handler(name="expose")
async def expose(ctx: restate.ObjectContext, request: ExposeLeg) -> Reservation:
    """Count a reserved bet at its exact liability, or refuse it if that exceeds the limit."""
    market_id, number = _market_and_number(ctx.key())
    shard = await _known(ctx)
    page = await _page(ctx, shard, request.page)
    before = shard
    if (wanted := shard_rules.lease_to_expose(shard, page, request)) is not None:
        held = await ctx.object_call(lease, market_id, LeaseFor(book=number, lease=wanted))
        before = shard_rules.with_lease(shard, wanted.selection_id, held)
    after, left, outcome = shard_rules.expose(before, page, request)
    _store(ctx, shard, after, request.page, left)
    return Reply.of(outcome)


@market_book.handler(name="count")
async def count(ctx: restate.ObjectContext, request: CountLeg) -> None:
    """Change the liability at which a bet counts: its return became certain, or a correction made it open again."""
    async with shield.handed_over(lambda: ctx.object_send(count, ctx.key(), request)):
        shard = await _known(ctx)
        for number in [request.page] if request.page is not None else range(shard.full_pages, -1, -1):
            page = await _page(ctx, shard, number)
            after, left = shard_rules.count(shard, page, request)
            if after is not shard:
                _store(ctx, shard, after, number, left)
                return


@market_book.handler(name="releaseOrphan")
async def release_orphan(ctx: restate.ObjectContext, request: Orphan) -> None:
    """Ask a leg's player to release it if they have no such bet.

    The player's own object decides, between two bets, because a repeated request may be about to use the leg.
    """
    market_id, _ = _market_and_number(ctx.key())
    which = {"betId": request.bet_id, "marketId": market_id, "page": request.page}
    ctx.generic_send(PLAYER, "holdsLeg", json.dumps(which).encode(), key=request.user_id)


@market_book.handler(name="hear")
async def apply_terms(ctx: restate.ObjectContext, terms: Terms) -> None:
    """Apply the market's terms, unless newer ones are known."""
    shard = await ctx.get(SHARD, serde=_SHARD)
    after = shard_rules.apply_terms(shard, terms)
    if after is not shard:
        ctx.set(SHARD, after, serde=_SHARD)


@market_book.handler(name="terms", kind="shared")
async def current_terms(ctx: restate.ObjectSharedContext) -> Terms:
    """The status and prices that this shard knows, for the cash-out of one of its bets."""
    terms = (await _known(ctx)).terms
    return terms.at(await _time_at(ctx, terms))


@market_book.handler(name="extent", kind="shared")
async def extent(ctx: restate.ObjectSharedContext) -> Extent:
    """The extent of the shard: its bets, pages and liability. All zero before its first bet."""
    shard = await ctx.get(SHARD, serde=_SHARD)
    return Extent() if shard is None else shard_rules.extent(shard)


@market_book.handler(name="page", kind="shared")
async def page(ctx: restate.ObjectSharedContext, number: int) -> BetPage:
    """The bets on one page of the shard's index, counted from 0."""
    return await _page(ctx, await _known(ctx), number)


async def _time_at(ctx: restate.ObjectContext | restate.ObjectSharedContext, terms: Terms) -> datetime | None:
    return None if terms.closes_at is None else await clock(ctx)


async def _known(ctx: restate.ObjectContext | restate.ObjectSharedContext) -> Shard:
    shard = await ctx.get(SHARD, serde=_SHARD)
    assert shard is not None, "only shards in use are asked"
    return shard


async def _page(ctx: restate.ObjectContext | restate.ObjectSharedContext, shard: Shard, number: int) -> BetPage:
    if number == shard.full_pages:
        return shard.newest
    return await _full_page(ctx, number)


def _full_page(ctx: restate.ObjectContext | restate.ObjectSharedContext, number: int) -> RestateDurableFuture[BetPage]:
    return ctx.object_call(bet_pages.read, bet_pages.page_key(ctx.key(), number), None)


async def _turned(ctx: restate.ObjectContext, shard: Shard, request: ReserveLeg) -> BetPage:
    """The newest full page if a broken attempt may have left a leg of this bet on it; otherwise an empty page."""
    if not shard_rules.may_be_on_turned_page(shard, request):
        return BetPage()
    return await _page(ctx, shard, shard.full_pages - 1)


def _store(ctx: restate.ObjectContext, before: Shard, after: Shard, number: int, page: BetPage) -> None:
    """Store a shard, after the page if the page is a full one. A kill in between then releases nothing twice."""
    if after is before:
        return
    if number != before.full_pages:
        ctx.object_send(bet_pages.keep, bet_pages.page_key(ctx.key(), number), page)
    ctx.set(SHARD, after, serde=_SHARD)


def _changed(before: Market, change: Change) -> Market | Refused:
    if change.begins_round is not None:
        return rules.begin_round(before, change.begins_round)
    if change.prices is not None:
        return rules.set_prices(before, change.prices)
    if change.withdrawal is not None:
        return rules.withdraw(before, change.withdrawal)
    if change.result is not None:
        return rules.settle(before, change.result)
    match change.status:
        case MarketStatus.SUSPENDED:
            return rules.suspend(before, change.by)
        case MarketStatus.OPEN:
            return rules.resume(before, change.by)
        case MarketStatus.CLOSED:
            return rules.close(before)
        case _:
            return before


def _market_and_number(key: str) -> tuple[str, int]:
    market_id, number = key.rsplit(":", 1)
    return market_id, int(number)


def _summary(market_id: str, known: Market) -> MarketSummary:
    return MarketSummary(
        market_id=market_id,
        name=known.opened.name,
        status=known.status,
        prices=known.prices,
        result_version=known.result_version,
    )


def _unknown_market(market_id: str) -> Refused:
    return Refused(reason=Refusal.UNKNOWN_MARKET, message=f"marketId: there is no market {market_id}")
