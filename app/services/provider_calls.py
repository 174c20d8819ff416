"""Durable steps at the payment provider. Each is one journal entry that holds an outcome, never an exception."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import restate

from app.domain.payments import ChargeRequest, PaymentOutcome, PaymentStatus, PayoutRequest
from app.services.boundary import wall_clock
from app.services.outside import outside

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

_OPTIONS: restate.RunOptions[PaymentOutcome] = restate.RunOptions(type_hint=PaymentOutcome)


async def charge(ctx: restate.Context, request: ChargeRequest, until: datetime, wait: timedelta) -> PaymentOutcome:
    """Charge, repeating under the same reference while the outcome is unknown: for `wait`, and never after `until`."""
    return await ctx.run_typed("charge", _repeat, _OPTIONS, lambda: outside().provider.charge(request), until, wait)


async def pay_out(ctx: restate.Context, request: PayoutRequest, until: datetime, wait: timedelta) -> PaymentOutcome:
    """Pay out, repeating under the same reference while the outcome is unknown: for `wait`, and never after `until`."""
    return await ctx.run_typed("pay out", _repeat, _OPTIONS, lambda: outside().provider.pay_out(request), until, wait)


async def find_charge(ctx: restate.Context, request: ChargeRequest) -> PaymentOutcome:
    """Ask what became of a charge."""
    return await ctx.run_typed("look up charge", _once, _OPTIONS, lambda: outside().provider.find_charge(request))


async def find_payout(ctx: restate.Context, request: PayoutRequest) -> PaymentOutcome:
    """Ask what became of a payout."""
    return await ctx.run_typed("look up payout", _once, _OPTIONS, lambda: outside().provider.find_payout(request))


async def _once(attempt: Callable[[], Awaitable[PaymentOutcome]]) -> PaymentOutcome:
    outcome = await attempt()
    return outcome.model_copy(update={"at": wall_clock()})


async def _repeat(attempt: Callable[[], Awaitable[PaymentOutcome]], until: datetime, wait: timedelta) -> PaymentOutcome:
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + wait.total_seconds(), FIRST_PAUSE_SECONDS
    outcome = PaymentOutcome(status=PaymentStatus.UNKNOWN, detail="not asked: the provider's window is over")
    while outcome.status is PaymentStatus.UNKNOWN and wall_clock() < until and loop.time() < end:
        try:
            async with asyncio.timeout_at(end):
                outcome = await _once(attempt)
                if outcome.status is PaymentStatus.UNKNOWN:
                    await asyncio.sleep(pause)
        except TimeoutError:
            break
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    return outcome
