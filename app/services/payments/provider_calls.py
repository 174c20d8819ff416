"""Durable calls to the payment provider. Each is one journal entry, which holds an outcome and never an exception."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import restate
from opentelemetry.trace import SpanKind

from app.domain.payments import ChargeRequest, PaymentOutcome, PaymentStatus, PayoutRequest
from app.services.shell.clock import wall_clock
from app.services.shell.dependencies import dependencies
from app.telemetry import metrics, traces

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

_OPTIONS: restate.RunOptions[PaymentOutcome] = restate.RunOptions(type_hint=PaymentOutcome)


async def charge(ctx: restate.Context, request: ChargeRequest, until: datetime, wait: timedelta) -> PaymentOutcome:
    """Charge. Retries with the same reference while the outcome is unknown, for at most `wait`, not after `until`."""
    ask = _Asked("charge", lambda: dependencies().provider.charge(request))
    return await ctx.run_typed("charge", _repeat, _OPTIONS, ask, until, wait)


async def pay_out(ctx: restate.Context, request: PayoutRequest, until: datetime, wait: timedelta) -> PaymentOutcome:
    """Pay out. Retries with the same reference while the outcome is unknown, for at most `wait`, not after `until`."""
    ask = _Asked("pay_out", lambda: dependencies().provider.pay_out(request))
    return await ctx.run_typed("pay out", _repeat, _OPTIONS, ask, until, wait)


async def find_charge(ctx: restate.Context, request: ChargeRequest) -> PaymentOutcome:
    """Look up the outcome of a charge."""
    ask = _Asked("find_charge", lambda: dependencies().provider.find_charge(request))
    return await ctx.run_typed("look up charge", _once, _OPTIONS, ask)


async def void_charge(ctx: restate.Context, request: ChargeRequest) -> PaymentOutcome:
    """Ask the provider to void a charge that waits for its customer."""
    ask = _Asked("void_charge", lambda: dependencies().provider.void_charge(request))
    return await ctx.run_typed("void charge", _once, _OPTIONS, ask)


async def refund_charge(ctx: restate.Context, request: ChargeRequest) -> PaymentOutcome:
    """Ask the provider to refund a charge in full."""
    ask = _Asked("refund_charge", lambda: dependencies().provider.refund_charge(request))
    return await ctx.run_typed("refund charge", _once, _OPTIONS, ask)


async def find_payout(ctx: restate.Context, request: PayoutRequest) -> PaymentOutcome:
    """Look up the outcome of a payout."""
    ask = _Asked("find_payout", lambda: dependencies().provider.find_payout(request))
    return await ctx.run_typed("look up payout", _once, _OPTIONS, ask)


class _Asked:
    """A request to the provider, timed and counted each time it is sent."""

    def __init__(self, call: str, send: Callable[[], Awaitable[PaymentOutcome]]) -> None:
        self.call = call
        self._send = send

    async def __call__(self) -> PaymentOutcome:
        began, status = time.perf_counter(), PaymentStatus.UNKNOWN
        with traces.span(f"provider {self.call}", SpanKind.CLIENT) as attributes:
            try:
                outcome = await self._send()
                status = outcome.status
            finally:  # also when the time limit cancels it
                attributes["betting.outcome"] = status
                metrics.PROVIDER_CALLS.labels(self.call, status).inc()
                metrics.PROVIDER_DURATION.labels(self.call).observe(time.perf_counter() - began)
        if status is PaymentStatus.UNKNOWN:
            logger.warning("the provider's answer to %s is unknown: %s", self.call, outcome.detail)
        return outcome.model_copy(update={"at": wall_clock()})


async def _once(ask: _Asked) -> PaymentOutcome:
    with traces.span(f"step {ask.call}"):
        return await ask()


async def _repeat(ask: _Asked, until: datetime, wait: timedelta) -> PaymentOutcome:
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + wait.total_seconds(), FIRST_PAUSE_SECONDS
    outcome = PaymentOutcome(status=PaymentStatus.UNKNOWN, detail="not sent: the idempotency window has ended")
    with traces.span(f"step {ask.call}"):
        while outcome.status is PaymentStatus.UNKNOWN and wall_clock() < until and loop.time() < end:
            try:
                async with asyncio.timeout_at(end):
                    outcome = await ask()
                    if outcome.status is PaymentStatus.UNKNOWN:
                        await asyncio.sleep(pause)
            except TimeoutError:
                break
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    return outcome
