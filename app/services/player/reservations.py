"""Reserves the legs of a bet at their markets: either all of them, or none. No other module asks a market for this."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import restate
from restate import RestateDurableFuture
from restate.exceptions import TerminalError

from app.domain import bets
from app.domain.odds import Price
from app.domain.player import Bet, BetStatus, Player
from app.domain.refusals import Refused
from app.domain.shards import Accepted, CountLeg, Delayed, ExposeLeg, ReserveLeg
from app.services.markets import markets
from app.services.markets.markets import BetOfPlayer, ReleaseLeg, Reservation, shard_key
from app.services.shell import shield


@dataclass(frozen=True)
class Asked:
    """A bet's legs by market, and the pending answers of the markets."""

    user_id: str
    bet_id: str
    bet: Bet
    legs: Mapping[str, ReserveLeg]
    answers: Mapping[str, RestateDurableFuture[Reservation]]


@dataclass(frozen=True)
class CurrentTerms:
    """The current price of a selection in each open market, and the longest bet delay of all markets asked."""

    prices: Mapping[str, Price]
    delay: timedelta


def ask(ctx: restate.ObjectContext, player: Player, bet_id: str, bet: Bet) -> Asked:
    """Ask all markets, in parallel, to accept their legs."""
    legs = bets.legs_to_reserve(player, bet_id, bet)
    answers = {
        market_id: ctx.object_call(markets.reserve, shard_key(market_id, leg.user_id), leg)
        for market_id, leg in legs.items()
    }
    return Asked(player.user_id, bet_id, bet, legs, answers)


@asynccontextmanager
async def none_left_behind(ctx: restate.ObjectContext, asked: Asked) -> AsyncIterator[None]:
    """Release all legs if this invocation, or a call to a market, is stopped before the bet is stored.

    The release is a send, which cannot be interrupted. Releasing a leg that is not reserved changes nothing.
    """
    try:
        yield
    except TerminalError as error:
        if error.metadata:  # one of our own refusals: nothing is reserved after it
            raise
        await shield.all_ended(*asked.answers.values())
        for market_id, answer in asked.answers.items():
            what = ReleaseLeg(user_id=asked.user_id, bet_id=asked.bet_id, page=await _page_of(answer))
            ctx.object_send(markets.release, shard_key(market_id, asked.user_id), what)
        raise


async def reserved_or_refused(ctx: restate.ObjectContext, asked: Asked) -> dict[str, Accepted] | Delayed | Refused:
    """Return what each market accepted if all did. Otherwise release every leg and return a refusal or a delay.

    A refusal comes before a delay, and the longest delay is returned.
    """
    answers = {market_id: await answer for market_id, answer in asked.answers.items()}
    accepted = {name: answer.value for name, answer in answers.items() if isinstance(answer.value, Accepted)}
    delays = [answer.value for answer in answers.values() if isinstance(answer.value, Delayed)]
    refused = next((answer.refused for answer in answers.values() if answer.refused is not None), None)
    refused = refused or bets.refuse_related_by_event([*accepted.values(), *delays])
    if refused is None and not delays:
        refused = await _expose(ctx, bets.legs_to_expose(asked.user_id, asked.bet_id, asked.bet, accepted))
    if refused is None and not delays:
        return accepted
    await _give_back(ctx, asked, accepted)
    return refused or max(delays, key=lambda delay: delay.seconds)


async def current_terms(
    ctx: restate.ObjectContext, player: Player, bet_id: str, selections: Mapping[str, str]
) -> CurrentTerms:
    """Return the current price of the selection in each open market, and the longest delay of the markets in play."""
    asked = {
        market_id: ctx.object_call(markets.current_terms, shard_key(market_id, player.user_id), None)
        for market_id in selections
    }
    terms = {market_id: await answer for market_id, answer in asked.items()}
    known = bets.withdrawals_known(player, bet_id)
    offered = {name: of_one.current_price(selections[name], known[name]) for name, of_one in terms.items()}
    prices = {market_id: price for market_id, price in offered.items() if price is not None}
    return CurrentTerms(
        prices, timedelta(seconds=max((of_one.bet_delay_seconds for of_one in terms.values()), default=0))
    )


def give_back_orphan(ctx: restate.ObjectContext, market_id: str, bet_id: str, page: int) -> None:
    """Release a leg that belongs to none of this player's bets."""
    what = ReleaseLeg(user_id=ctx.key(), bet_id=bet_id, page=page)
    ctx.object_send(markets.release, shard_key(market_id, ctx.key()), what)


def ask_results(ctx: restate.ObjectContext, bet_id: str, bet: Bet) -> None:
    """Ask the markets of an open bet to send their results again, in case the bet missed one."""
    if bet.status is BetStatus.OPEN:
        for leg in bet.legs:
            ctx.object_send(markets.tell_result, leg.market_id, BetOfPlayer(user_id=ctx.key(), bet_id=bet_id))


def count(ctx: restate.ObjectContext, legs: Mapping[str, Iterable[CountLeg]]) -> None:
    """Tell markets how to count some bets from now on. Fire and forget: nothing waits for it."""
    for market_id, told in legs.items():
        for leg in told:
            ctx.object_send(markets.count, shard_key(market_id, leg.user_id), leg)


async def _page_of(answer: RestateDurableFuture[Reservation]) -> int | None:
    """The page on which a market reserved the leg; None if the call failed or the leg was not accepted."""
    try:
        reservation = (await answer).value
    except TerminalError:
        return None
    return reservation.page if isinstance(reservation, Accepted) else None


async def _expose(ctx: restate.ObjectContext, legs: Mapping[str, ExposeLeg]) -> Refused | None:
    """Have every market count its leg at the exact liability. Returns the first refusal, or None if there is none."""
    exposed = [ctx.object_call(markets.expose, shard_key(name, leg.user_id), leg) for name, leg in legs.items()]
    answers = [await answer for answer in exposed]
    return next((answer.refused for answer in answers if answer.refused is not None), None)


async def _give_back(ctx: restate.ObjectContext, asked: Asked, accepted: Mapping[str, Accepted]) -> None:
    given_back = []
    for market_id, reservation in accepted.items():
        what = ReleaseLeg(user_id=asked.user_id, bet_id=asked.bet_id, page=reservation.page)
        given_back.append(ctx.object_call(markets.release, shard_key(market_id, asked.user_id), what))
    for done in given_back:
        await done
