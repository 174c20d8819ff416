"""What a cancel or a kill of an invocation must not tear apart.

An operator, and whoever knows an invocation's id, can cancel it. Restate then cancels the calls that it waits for, not
what it sent, and its next wait raises an error, once; what it does after that works as ever. A kill runs nothing more.
So what is half done outside of a handler is either learned and given back, or handed over by a send, which nothing can
interrupt, to a handler that can be repeated.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import restate
from restate import RestateDurableFuture, SendHandle
from restate.exceptions import TerminalError
from restate.serde import BytesSerde

T = TypeVar("T")

NOT_FOUND = 404
_STOPPED = {"cancelled", "canceled", "killed"}
"""What Restate says of one that was running, of one that still waited for its turn, and of one that was killed."""


def was_stopped(error: TerminalError) -> bool:
    """Whether an invocation, this one or one that it called, was cancelled or killed: no answer of ours, no refusal."""
    return error.status_code == 409 and not error.metadata and error.message in _STOPPED


async def all_ended(*futures: Awaitable[Any]) -> None:
    """Wait until all of these have ended, however often this invocation is cancelled meanwhile.

    Each of them, awaited after that, gives its own value or its own error.
    """
    while True:
        try:
            await restate.gather(*(cast(RestateDurableFuture[Any], future) for future in futures))
        except TerminalError as error:
            if not was_stopped(error):  # gather looks at no value, so it can be nothing but a cancel of ours
                raise
        else:
            return


@asynccontextmanager
async def handed_over(hand_over: Callable[[], object]) -> AsyncIterator[None]:
    """Hand work that can be repeated over to another invocation, by a send, when this one is stopped."""
    try:
        yield
    except TerminalError as error:
        if was_stopped(error):
            hand_over()
        raise


async def insist(call: Callable[[], Awaitable[T]], started: Awaitable[T] | None = None) -> T:
    """Make a call that can be repeated until it has ended by itself, whoever stops it or us.

    The first may have been started before, together with others.
    """
    future = call() if started is None else started
    while True:
        await all_ended(future)
        try:
            return await future
        except TerminalError as error:
            if not was_stopped(error):
                raise
            future = call()


async def has_ended(ctx: restate.Context, invocation: SendHandle, within: timedelta) -> bool:
    """Whether a workflow's run has ended, however it did: it says so at once then, and nothing while it lives.

    `invocation` is of a send to the run, which starts nothing where one has begun. A call would be as good, but a
    cancel of the one who asks would cancel the run with it.
    """
    run: RestateDurableFuture[bytes] = ctx.attach_invocation(await invocation.invocation_id(), serde=BytesSerde())
    ended, _ = await restate.wait_completed(run, ctx.sleep(within, name="for an answer of the run"))
    if run not in ended:
        return False
    try:
        await run  # it is known already, so a cancel of ours cannot be taken for its answer
    except TerminalError as error:
        return error.status_code != NOT_FOUND  # a run that Restate does not know yet is about to begin
    return True
