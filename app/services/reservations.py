"""A bet's legs at their markets: all of them are reserved, or none stays reserved. Nothing else asks a market."""

from collections.abc import Mapping
from dataclasses import dataclass

import restate
from restate import RestateDurableFuture

from app.domain.markets import Accepted, Delayed, ReserveLeg
from app.domain.odds import Price
from app.domain.refusals import Refused
from app.services import markets
from app.services.markets import ReleaseLeg, Reservation, book_key


@dataclass(frozen=True)
class Asked:
    """Legs by market, and the answers that are to come."""

    legs: Mapping[str, ReserveLeg]
    answers: Mapping[str, RestateDurableFuture[Reservation]]


def ask(ctx: restate.ObjectContext, legs: Mapping[str, ReserveLeg]) -> Asked:
    """Ask every market at once to accept its leg."""
    answers = {
        market_id: ctx.object_call(markets.reserve, book_key(market_id, leg.user_id), leg)
        for market_id, leg in legs.items()
    }
    return Asked(legs, answers)


async def taken(ctx: restate.ObjectContext, asked: Asked) -> dict[str, Price] | Delayed | Refused:
    """The price at each market if all accept; else the first refusal, or the longest delay, and no leg is reserved."""
    answers = {market_id: await answer for market_id, answer in asked.answers.items()}
    accepted = {name: answer.value for name, answer in answers.items() if isinstance(answer.value, Accepted)}
    if len(accepted) == len(answers):
        return {market_id: reservation.price for market_id, reservation in accepted.items()}
    await _give_back(ctx, asked.legs, accepted)
    refusals = [answer.refused for answer in answers.values() if answer.refused is not None]
    delays = [answer.value for answer in answers.values() if isinstance(answer.value, Delayed)]
    return refusals[0] if refusals else max(delays, key=lambda delay: delay.seconds)


async def current_prices(ctx: restate.ObjectContext, user_id: str, selections: Mapping[str, str]) -> dict[str, Price]:
    """The current price of a selection in each market that is open."""
    asked = {
        market_id: ctx.object_call(markets.current_terms, book_key(market_id, user_id), None)
        for market_id in selections
    }
    terms = {market_id: await answer for market_id, answer in asked.items()}
    return {market_id: known.prices[selections[market_id]] for market_id, known in terms.items() if known.is_open}


async def _give_back(
    ctx: restate.ObjectContext, legs: Mapping[str, ReserveLeg], accepted: Mapping[str, Accepted]
) -> None:
    given_back = []
    for market_id, reservation in accepted.items():
        leg = legs[market_id]
        what = ReleaseLeg(user_id=leg.user_id, bet_id=leg.bet_id, page=reservation.page)
        given_back.append(ctx.object_call(markets.release, book_key(market_id, leg.user_id), what))
    for done in given_back:
        await done
