"""Protects work that spans several components from a cancel or a kill in the middle.

An operator can cancel an invocation, and so can anyone who knows its id. A cancel reaches the calls that the invocation
is waiting for, but not its sends. Its next wait raises an error, once; after that, the handler runs on as usual. After
a kill, nothing of the handler runs. Unfinished work outside the handler is therefore either undone after waiting for
its outcome, or handed over to an idempotent handler by a send, which cannot be interrupted.
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
"""Restate's messages for an invocation cancelled while running, cancelled while queued, and killed, in this order."""


def was_stopped(error: TerminalError) -> bool:
    """Whether the error says that this invocation, or one that it called, was cancelled or killed; not a refusal."""
    return error.status_code == 409 and not error.metadata and error.message in _STOPPED


async def all_ended(*futures: Awaitable[Any]) -> None:
    """Wait until all of these have ended, even if this invocation is cancelled in the meantime, however often.

    Awaiting each one afterwards gives its own value or error.
    """
    while True:
        try:
            await restate.gather(*(cast(RestateDurableFuture[Any], future) for future in futures))
        except TerminalError as error:
            if not was_stopped(error):  # gather raises no error of theirs, so this must be a cancel of ours
                raise
        else:
            return


@asynccontextmanager
async def handed_over(hand_over: Callable[[], object]) -> AsyncIterator[None]:
    """When this invocation is stopped, hand its idempotent work over to another one by a send."""
    try:
        yield
    except TerminalError as error:
        if was_stopped(error):
            hand_over()
        raise


async def insist(call: Callable[[], Awaitable[T]], started: Awaitable[T] | None = None) -> T:
    """Repeat an idempotent call until it ends without being stopped, even if this invocation is cancelled.

    `started` is the first call, if it was already started in parallel with others.
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
    """Whether a workflow's run has ended, in whatever way. Restate answers at once if it has, and not while it runs.

    `invocation` is the handle of a send to the run, which starts no second run. It is not a call, because cancelling
    this invocation would then cancel the run as well.
    """
    run: RestateDurableFuture[bytes] = ctx.attach_invocation(await invocation.invocation_id(), serde=BytesSerde())
    ended, _ = await restate.wait_completed(run, ctx.sleep(within, name="for an answer of the run"))
    if run not in ended:
        return False
    try:
        await run  # already completed, so an error here is the run's own and not a cancel of ours
    except TerminalError as error:
        return error.status_code != NOT_FOUND  # Restate does not know the run yet: it is about to start
    return True
