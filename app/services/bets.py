"""The bets of a player: the handlers of PlayerService that ask markets, and the one that results come to."""

from typing import Annotated

import restate
from pydantic import Field

from app.domain import bets
from app.domain.archive import Operations
from app.domain.bets import AllBets, Applied, ApplyResult, AskedLeg, BetView, CashedOut, PlaceBet, Placement
from app.domain.markets import Delayed
from app.domain.model import Amount, Id, PublicRequest
from app.domain.player import Bet
from app.domain.refusals import Refusal, Refused
from app.domain.settlement import MAX_LEGS
from app.services import reservations
from app.services.boundary import Answer, Nothing, clock, clock_started, moment, refuse, takes
from app.services.outside import outside
from app.services.player import carry_out, load, load_with
from app.services.player import player as player


class LegRequest(AskedLeg, PublicRequest):
    """A selection at the price that the player saw."""


class PlaceBetRequest(PlaceBet, PublicRequest):
    """A single, a multiple or a system; `stake` is a line's, in minor units."""

    legs: Annotated[tuple[LegRequest, ...], Field(min_length=1, max_length=MAX_LEGS)]


class WhichBetRequest(PublicRequest):
    """A bet of the player's."""

    bet_id: Id


class CashOutRequest(WhichBetRequest):
    """A bet to end now, for no less than `min_amount` minor units."""

    min_amount: Amount | None = None


@player.handler(name="placeBet", **takes(PlaceBetRequest))
async def place_bet(ctx: restate.ObjectContext, request: PlaceBetRequest) -> Placement:
    """Hold the stake and have every market accept its leg; a refusal leaves nothing held and nothing reserved."""
    started, bet_id, policy = clock_started(ctx), request.bet_id, outside().policy
    before = await load_with(ctx, Operations.BETS, bet_id)
    sure = bets.sure_to_be_held(before, request, policy)
    asked = None if sure is None else _ask(ctx, bet_id, sure)
    held = bets.hold_stake(before, request, moment(await started), policy)
    bet = Answer.of(held.outcome).accepted()
    if held.player is before:
        return _told(bet_id, bet)
    answer = await reservations.taken(ctx, asked or _ask(ctx, bet_id, bet))
    if isinstance(answer, Refused):
        refuse(answer)
    if isinstance(answer, Delayed):
        decision = bets.delay_bet(held.player, bet_id)
        ctx.object_send(decide_bet, ctx.key(), bet_id, send_delay=answer.pause)
    else:
        decision = bets.accept_bet(held.player, bet_id, answer)
    return _told(bet_id, (await carry_out(ctx, before, decision)).accepted())


@player.handler(name="decideBet", ingress_private=True)
async def decide_bet(ctx: restate.ObjectContext, bet_id: str) -> None:
    """Ask the markets again after the delay in play; a refusal now gives the stake back."""
    before, now = await load(ctx), await clock(ctx)
    bet = before.bets[bet_id]
    if not bet.status.can_be_released:
        return
    answer = await reservations.taken(ctx, _ask(ctx, bet_id, bet))
    assert not isinstance(answer, Delayed), "a market lets a bet wait once"
    if isinstance(answer, Refused):
        decision = bets.release_stake(before, bet_id, answer, now)
    else:
        decision = bets.accept_bet(before, bet_id, answer)
    await carry_out(ctx, before, decision)


@player.handler(name="cashOut", **takes(CashOutRequest))
async def cash_out(ctx: restate.ObjectContext, request: CashOutRequest) -> CashedOut:
    """End a bet for what it is worth at the current prices."""
    started, bet_id = clock_started(ctx), request.bet_id
    before = await load_with(ctx, Operations.BETS, bet_id)
    prices = await reservations.current_prices(ctx, ctx.key(), bets.cash_out_selections(before, bet_id))
    now = moment(await started)
    decision = bets.cash_out(before, bet_id, prices, request.min_amount, now, outside().policy)
    ended = (await carry_out(ctx, before, decision)).accepted()
    return CashedOut(bet_id=bet_id, amount=ended.returned)


@player.handler(name="applyResult", ingress_private=True)
async def apply_result(ctx: restate.ObjectContext, request: ApplyResult) -> Answer[Applied]:
    """Enter a market's result into bets of the player."""
    before = await load_with(ctx, Operations.BETS, *request.bet_ids)
    return await carry_out(ctx, before, bets.apply_result(before, request))


@player.handler(name="getBet", kind="shared", **takes(WhichBetRequest))
async def get_bet(ctx: restate.ObjectSharedContext, request: WhichBetRequest) -> BetView:
    """A bet, whenever it was placed."""
    bet = (await load_with(ctx, Operations.BETS, request.bet_id)).bets.get(request.bet_id)
    if bet is None:
        refuse(Refused(reason=Refusal.UNKNOWN_BET, message=f"betId: there is no bet {request.bet_id}"))
    return bets.bet_view(request.bet_id, bet)


@player.handler(name="listBets", kind="shared", **takes(Nothing))
async def list_bets(ctx: restate.ObjectSharedContext, request: Nothing) -> AllBets:
    """Bets that are open, and those that ended last; older ones are asked for by `getBet`."""
    document = await load(ctx)
    return AllBets(bets=[bets.bet_view(bet_id, bet) for bet_id, bet in document.bets.items()])


def _ask(ctx: restate.ObjectContext, bet_id: str, bet: Bet) -> reservations.Asked:
    return reservations.ask(ctx, bets.legs_to_reserve(ctx.key(), bet_id, bet))


def _told(bet_id: str, bet: Bet) -> Placement:
    return Answer.of(bets.placement(bet_id, bet)).accepted()
