"""The mistakes of the versions on bad days: one image has them all, and its version's key says which one it makes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any

import restate

from app.domain import player
from app.domain.player import Player
from app.domain.wallet import Account, Postings, Wallet
from app.services import stored
from app.services.payments import withdrawals
from app.services.player import document

Services = Mapping[str, Any]
Handler = Callable[..., Awaitable[Any]]

SLOW_SECONDS = 3
"""Six times as long as a bet takes on a machine that is very busy, and beyond a bound of the histogram, 2.5 s."""


def befall(services: tuple[Any, ...], version: str) -> None:
    """Make the mistake of a version."""
    if version in MISTAKES:
        MISTAKES[version]({service.name: service for service in services})


def _drop_a_handler(services: Services) -> None:
    del services["MarketService"].handlers["exists"]


def _narrow_a_request(services: Services) -> None:
    handler = services["PaymentService"].handlers["deposit"]
    model = handler.handler_io.input_serde.model
    narrow: Any = type(model.__name__, (model,), {"__annotations__": {"referral": str}})
    handler.handler_io.input_serde.model = narrow
    handler.handler_io.input_type.generate_json_schema = lambda: narrow.model_json_schema(mode="serialization")


def _take_other_steps(services: Services) -> None:
    async def other(run: Handler, ctx: restate.WorkflowContext, *request: Any) -> Any:
        await ctx.run_typed("a step that was not there", lambda: None)
        return await run(ctx, *request)

    _instead(services["WithdrawalWorkflow"].handlers["run"], other)


def _cannot_read_a_field(services: Services) -> None:
    del services
    strict = type("Player", (Player,), {"__annotations__": {"vip_level": int}})
    document._PLAYER.model = strict
    kind: Any = stored.stored_as("PlayerService", "ann", document.STATE)
    kind.serde.model = strict


def _fail_every_fifth_bet(services: Services) -> None:
    counted = count(1)

    async def failing(place: Handler, ctx: restate.ObjectContext, *request: Any) -> Any:
        if next(counted) % 5 == 0:
            raise ValueError("every fifth bet")
        return await place(ctx, *request)

    _instead(services["PlayerService"].handlers["placeBet"], failing)


def _enter_one_movement_wrongly(services: Services) -> None:
    del services
    rules: Any = player
    post, movements = rules.post, count(1)

    def spoilt(wallet: Wallet, postings: Postings) -> Wallet:
        after: Wallet = post(wallet, postings)
        if next(movements) > 1:
            return after
        return after.model_copy(update={"accounts": {**after.accounts, Account.CASH: after.cash + 1}})

    rules.post = spoilt


def _be_slow(services: Services) -> None:
    async def slow(place: Handler, ctx: restate.ObjectContext, *request: Any) -> Any:
        await asyncio.sleep(SLOW_SECONDS)
        return await place(ctx, *request)

    _instead(services["PlayerService"].handlers["placeBet"], slow)


def _leave_work_paused(services: Services) -> None:
    reviewed = withdrawals._reviewed

    async def failing(ctx: restate.WorkflowContext, order: Any) -> Any:
        if ctx.key().startswith("paused-"):
            raise ValueError("not on this version")
        return await reviewed(ctx, order)

    withdrawals._reviewed = failing
    services["WithdrawalWorkflow"].handlers["run"].invocation_retry_policy = restate.InvocationRetryPolicy(
        initial_interval=timedelta(milliseconds=100), max_attempts=2, on_max_attempts="pause"
    )


def _instead(handler: Any, other: Callable[..., Awaitable[Any]]) -> None:
    before = handler.fn

    async def changed(ctx: Any, *request: Any) -> Any:
        return await other(before, ctx, *request)

    handler.fn = changed


MISTAKES: Mapping[str, Callable[[Services], None]] = {
    "v3": _drop_a_handler,
    "v4": _narrow_a_request,
    "v5": _take_other_steps,
    "v6": _cannot_read_a_field,
    "v7": _fail_every_fifth_bet,
    "v8": _enter_one_movement_wrongly,
    "v9": _be_slow,
    "v10": _leave_work_paused,
}
