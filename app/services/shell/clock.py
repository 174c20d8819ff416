"""The time in handlers. It is journaled, so that every replay reads the same time."""

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime

import restate
from restate import RestateDurableFuture

from app.domain.access import received_at


async def clock(ctx: restate.Context) -> datetime:
    """Read the time, to the millisecond, the same in every replay. Read it once, and pass it on.

    It is when the door received the request, which is in the journal as the rest of the request is. Without a door, it
    costs an entry in the journal.
    """
    return moment(await clock_started(ctx))


def clock_started(ctx: restate.Context) -> Awaitable[float]:
    """Start reading the time, in seconds since 1970, so that a handler can do something else in the meantime."""
    received = received_at(ctx.request().headers)
    if received is None:
        return journaled_clock(ctx)
    known = asyncio.get_running_loop().create_future()
    known.set_result(received.timestamp())
    return known


def journaled_clock(ctx: restate.Context) -> RestateDurableFuture[float]:
    """Start reading the time now, whenever the request was received.

    Used in place of the SDK's `ctx.time()`, which starts a thread.
    """
    return ctx.run_typed("timestamp", _seconds)


async def _seconds() -> float:
    return time.time()


def moment(seconds: float) -> datetime:
    """Convert what a started clock returned, in seconds since 1970, to a moment."""
    return datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)


def wall_clock() -> datetime:
    """The time of this process, not journaled. Only for `ctx.run` and for shared handlers that only read.

    Nothing else may depend on it. An answer is journaled, and an attempt that is killed after its answer is repeated
    and must give the same answer. A read-only handler could give a different one only if a restriction or a limit's
    window ended in between. Its caller would then have to ask again, and nothing else would be affected.
    """
    return moment(time.time())
