"""The time, as handlers read it: once, and the same in every replay."""

import time
from datetime import UTC, datetime

import restate
from restate import RestateDurableFuture


async def clock(ctx: restate.Context) -> datetime:
    """The time, the same in every replay, to the millisecond. It costs a journal entry: read it once, pass it down."""
    return moment(await clock_started(ctx))


def clock_started(ctx: restate.Context) -> RestateDurableFuture[float]:
    """The clock for handlers that start reading it together with something else.

    The SDK's own `ctx.time()` takes a thread for it.
    """
    return ctx.run_typed("timestamp", _seconds)


async def _seconds() -> float:
    return time.time()


def moment(seconds: float) -> datetime:
    """What a started clock gave."""
    return datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)


def wall_clock() -> datetime:
    """The time inside `ctx.run`, and for shared handlers that only read.

    Nothing else may depend on it: an answer is journaled too, and an attempt that is killed between its answer and its
    end is repeated, and must answer the same. A reader's answer is another only if a restriction or a limit's window
    ends in that very moment; its caller then has to ask again, and nothing else waits.
    """
    return moment(time.time())
