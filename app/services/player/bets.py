"""The bets of a player: the handlers of PlayerService that place, decide, cash out, settle and show bets."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

import restate
from pydantic import Field

from app.domain import bets
from app.domain.archive import Operations
from app.domain.bets import AllBets, Applied, ApplyResult, AskedLeg, BetView, CashedOut, PlaceBet, Placement
from app.domain.model import Amount, Id, PublicRequest, Wire
from app.domain.player import Bet, Decision, Player
from app.domain.refusals import Refusal, Refused
from app.domain.settlement import MAX_LEGS
from app.domain.shards import Accepted, Delayed
from app.services.player import reservations
from app.services.player.document import AUDITORS, OWN, READERS, commit, load, load_with
from app.services.player.document import player as player
from app.services.shell.clock import clock, clock_started, moment
from app.services.shell.dependencies import dependencies
from app.services.shell.requests import EmptyRequest, takes
from app.services.shell.shield import handed_over
from app.services.shell.wire import Reply, SparseBody, refuse


class LegRequest(AskedLeg, PublicRequest):
    """A selection, and the price that the player saw."""


class PlaceBetRequest(PlaceBet, PublicRequest):
    """A single, a multiple or a system bet. `stake` is the stake per line, in minor units."""

    legs: Annotated[tuple[LegRequest, ...], Field(min_length=1, max_length=MAX_LEGS)]


class WhichBetRequest(PublicRequest):
    """One of the player's bets."""

    bet_id: Id


class CashOutRequest(WhichBetRequest):
    """A bet to cash out now, for at least `min_amount`, in minor units."""

    min_amount: Amount | None = None


class WhichBet(Wire):
    """One of the player's bets, named by another component."""

    bet_id: str


class WhichLeg(WhichBet):
    """A leg that a market's shard keeps for a bet, on a page of its index."""

    market_id: str
    page: int


PLACING_REFUSALS = (
    Refusal.SELF_EXCLUDED,
    Refusal.ON_A_BREAK,
    Refusal.IN_DEBT,
    Refusal.UNKNOWN_WALLET,
    Refusal.UNKNOWN_MARKET,
    Refusal.UNKNOWN_SELECTION,
    Refusal.ID_REUSED,
    Refusal.MARKET_NOT_OPEN,
    Refusal.MARKET_SUSPENDED,
    Refusal.PRICE_CHANGED,
    Refusal.MARKET_CURRENCY,
    Refusal.SELECTION_WITHDRAWN,
    Refusal.INSUFFICIENT_FUNDS,
    Refusal.STAKE_LIMIT,
    Refusal.LOSS_LIMIT,
    Refusal.LIABILITY_LIMIT,
    Refusal.STAKE_TOO_HIGH,
    Refusal.TOO_MANY_OPEN_BETS,
    Refusal.RELATED_LEGS,
    Refusal.CURRENCY_NOT_ACCEPTED,
)


@player.handler(name="placeBet", **takes(PlaceBetRequest, OWN, *PLACING_REFUSALS, repeatable=True))
async def place_bet(ctx: restate.ObjectContext, request: PlaceBetRequest) -> Placement:
    """Hold the stake and have every market accept its leg. After a refusal, nothing is held and nothing is reserved."""
    started, bet_id, policy = clock_started(ctx), request.bet_id, dependencies().policy
    before = await load_with(ctx, Operations.BETS, bet_id)
    bet, held = bets.sure_to_be_held(before, request, policy), None
    if bet is None:
        now = moment(await started)
        held = bets.hold_stake(before, request, now, policy)
        bet = Reply.of(held.outcome).accepted()
        if held.player is before:
            _go_on(ctx, bet_id, bet, now)
            return _told(bet_id, bet)
    # If the stake can be held at any time, the markets are asked while the clock is still being read, which saves a
    # round trip. If the hold were refused after that, the legs would count against the markets' limits for a bet that
    # does not exist. The assertion below therefore checks that the hold succeeded.
    asked = reservations.ask(ctx, before, bet_id, bet)
    async with reservations.none_left_behind(ctx, asked):
        now = moment(await started)
        held = held or bets.hold_stake(before, request, now, policy)
        assert isinstance(held.outcome, Bet), f"the markets were asked, but the stake was not held: {held.outcome}"
        assert held.player is not before, "the markets are asked early for new bets only"
        answer = await reservations.reserved_or_refused(ctx, asked)
        if isinstance(answer, Refused):
            refuse(answer)
        if isinstance(answer, Delayed):
            decision = bets.delay_bet(held.player, bet_id, now + answer.pause)
        else:
            decision = _accepted(held.player, bet_id, answer)
        placed = (await commit(ctx, before, decision)).accepted()
    if isinstance(answer, Delayed):
        ctx.object_send(decide_bet, ctx.key(), bet_id, send_delay=answer.pause)
    return _told(bet_id, placed)


@player.handler(name="decideBet", ingress_private=True)
async def decide_bet(ctx: restate.ObjectContext, bet_id: str) -> None:
    """Ask the markets again after the in-play delay. A refusal returns the stake."""
    async with handed_over(lambda: ctx.object_send(decide_bet, ctx.key(), bet_id)):
        await _decide_bet(ctx, bet_id)


@player.handler(
    name="cashOut",
    output_serde=SparseBody(CashedOut),
    **takes(
        CashOutRequest,
        OWN,
        Refusal.UNKNOWN_BET,
        Refusal.BET_NOT_OPEN,
        Refusal.CASH_OUT_CHANGED,
        Refusal.CASH_OUT_UNAVAILABLE,
        repeatable=True,
    ),
)
async def cash_out(ctx: restate.ObjectContext, request: CashOutRequest) -> CashedOut:
    """Cash out a bet at the current prices or, in play, at the prices after the markets' delay."""
    started, bet_id = clock_started(ctx), request.bet_id
    before = await load_with(ctx, Operations.BETS, bet_id)
    terms = await reservations.current_terms(ctx, before, bet_id, bets.cash_out_selections(before, bet_id))
    now = moment(await started)
    decision = bets.cash_out(before, bet_id, terms.prices, request.min_amount, now, dependencies().policy, terms.delay)
    bet = (await commit(ctx, before, decision)).accepted()
    # Store the document first. Counting is idempotent, so if this attempt ends here, its retry tells the markets.
    reservations.count(ctx, bets.legs_to_count(before, decision.player, [bet_id]))
    _go_on(ctx, bet_id, bet, now)
    return bets.cashed_out(bet_id, bet)


@player.handler(name="decideCashOut", ingress_private=True)
async def decide_cash_out(ctx: restate.ObjectContext, bet_id: str) -> None:
    """Pay a cash-out after the in-play delay, if its bet is still open and still worth the amount asked for."""
    async with handed_over(lambda: ctx.object_send(decide_cash_out, ctx.key(), bet_id)):
        before, now = await load(ctx), await clock(ctx)
        bet = before.bets.get(bet_id)
        if bet is None or bet.cash_out is None or not bet.waits_for_cash_out:
            return
        if now < bet.cash_out.decide_at:
            _go_on(ctx, bet_id, bet, now)
            return
        terms = await reservations.current_terms(ctx, before, bet_id, bets.wished_selections(before, bet_id))
        decision = bets.decide_cash_out(before, bet_id, terms.prices, now, dependencies().policy)
        await commit(ctx, before, decision)
        reservations.count(ctx, bets.legs_to_count(before, decision.player, [bet_id]))


@player.handler(name="applyResult", ingress_private=True)
async def apply_result(ctx: restate.ObjectContext, request: ApplyResult) -> Reply[Applied]:
    """Apply a market's result to the player's bets. Idempotent by the version of the result."""
    before = await load_with(ctx, Operations.BETS, *request.bet_ids)
    decision = bets.apply_result(before, request)
    applied = await commit(ctx, before, decision)
    reservations.count(ctx, bets.legs_to_count(before, decision.player, request.bet_ids))
    return applied


@player.handler(name="resumeBet", ingress_private=True)
async def resume_bet(ctx: restate.ObjectContext, request: WhichBet) -> None:
    """Restart whatever a bet waits for, in case it was lost. Harmless if it was not."""
    document, now = await load_with(ctx, Operations.BETS, request.bet_id), await clock(ctx)
    bet = document.bets.get(request.bet_id)
    if bet is not None:
        _go_on(ctx, request.bet_id, bet, now)
        reservations.count(ctx, bets.legs_to_count(document, document, [request.bet_id]))
        reservations.ask_results(ctx, request.bet_id, bet)


@player.handler(name="holdsLeg", ingress_private=True)
async def holds_leg(ctx: restate.ObjectContext, request: WhichLeg) -> bool:
    """Check that a reserved leg belongs to one of the player's bets, and release it if it does not.

    If it does, the market is told again how to count it. Exclusive, so that no bet that the leg could belong to is
    being placed in the meantime.
    """
    document = await load_with(ctx, Operations.BETS, request.bet_id)
    held = bets.holds_leg(document, request.bet_id, request.market_id, request.page)
    if not held:
        reservations.give_back_orphan(ctx, request.market_id, request.bet_id, request.page)
    reservations.count(ctx, bets.legs_to_count(document, document, [request.bet_id]))
    return held


@player.handler(name="getBet", kind="shared", **takes(WhichBetRequest, AUDITORS, Refusal.UNKNOWN_BET, reads=True))
async def get_bet(ctx: restate.ObjectSharedContext, request: WhichBetRequest) -> BetView:
    """Return one bet, however old. Refuses with `unknown_bet` if the player has no such bet."""
    bet = (await load_with(ctx, Operations.BETS, request.bet_id)).bets.get(request.bet_id)
    if bet is None:
        refuse(Refused(reason=Refusal.UNKNOWN_BET, message=f"betId: there is no bet {request.bet_id}"))
    return bets.bet_view(request.bet_id, bet)


@player.handler(name="listBets", kind="shared", **takes(EmptyRequest, READERS, reads=True))
async def list_bets(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> AllBets:
    """List the open bets and those that ended most recently; `getBet` returns older ones."""
    document = await load(ctx)
    return AllBets(bets=[bets.bet_view(bet_id, bet) for bet_id, bet in document.bets.items()])


async def _decide_bet(ctx: restate.ObjectContext, bet_id: str) -> None:
    before, now = await load(ctx), await clock(ctx)
    bet = before.bets.get(bet_id)
    if bet is None or not bet.status.can_be_released:
        return
    if bet.decide_at is not None and now < bet.decide_at:
        _go_on(ctx, bet_id, bet, now)
        return
    if (restricted := bets.decide_restricted(before, bet_id, now)) is not None:
        await commit(ctx, before, restricted)
        return
    asked = reservations.ask(ctx, before, bet_id, bet)
    async with reservations.none_left_behind(ctx, asked):
        answer = await reservations.reserved_or_refused(ctx, asked)
        assert not isinstance(answer, Delayed), "a market delays a bet only once"
        if isinstance(answer, Refused):
            decision = bets.release_stake(before, bet_id, answer, now)
        else:
            decision = _accepted(before, bet_id, answer)
        await commit(ctx, before, decision)


def _go_on(ctx: restate.ObjectContext, bet_id: str, bet: Bet, now: datetime) -> None:
    """Schedule the decision on a waiting bet or cash-out. Scheduling it twice still decides it once."""
    if bet.status.can_be_released:
        ctx.object_send(decide_bet, ctx.key(), bet_id, send_delay=_rest(bet.decide_at, now))
    if bet.cash_out is not None and bet.waits_for_cash_out:
        ctx.object_send(decide_cash_out, ctx.key(), bet_id, send_delay=_rest(bet.cash_out.decide_at, now))


def _rest(until: datetime | None, now: datetime) -> timedelta | None:
    return until - now if until is not None and until > now else None


def _accepted(held: Player, bet_id: str, answers: Mapping[str, Accepted]) -> Decision[Bet]:
    prices = {market_id: answer.price for market_id, answer in answers.items()}
    pages = {market_id: answer.page for market_id, answer in answers.items()}
    withdrawals = {market_id: answer.withdrawals for market_id, answer in answers.items()}
    return bets.accept_bet(held, bet_id, prices, pages, withdrawals)


def _told(bet_id: str, bet: Bet) -> Placement:
    return Reply.of(bets.placement(bet_id, bet)).accepted()
