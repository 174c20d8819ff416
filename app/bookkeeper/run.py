"""Looks at the books once, or again and again: what `betting books` does."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from secrets import randbelow

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from app.bookkeeper import queries
from app.bookkeeper.books import Books, verdict
from app.bookkeeper.forgetting import Forgetting
from app.bookkeeper.metrics import Exported
from app.bookkeeper.reconciling import Listing, Reconciler
from app.bookkeeper.restate import Restate, UnknownError

REPAIR_SECONDS = 600.0
"""The timeout of all that is sent on after a look. A look has none: what it asks for has to go on coming."""
RETRY_SECONDS = 5.0
"""The pause between a failed look and the next one."""
RESTS = 9
"""After a look the bookkeeper rests so many times as long as that took: a tenth of its time at most is work."""
MOST_REST_SECONDS = 900.0
"""But no longer: half of what BettingBookkeeperDown waits for."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """A running system: where it is, and how long its deposits wait for the provider."""

    admin: str
    ingress: str
    charge_wait: timedelta
    stranded_after: timedelta
    repair: bool
    """Whether the bookkeeper repairs stranded work."""
    provider: Callable[[], AbstractAsyncContextManager[Listing]] | None
    """Connects to the payment provider, if one is configured."""
    reconcile_after: timedelta
    """How old a movement must be before the two sides are compared."""
    forget_after: timedelta
    """How old a deposit must be before what is kept to answer about it is cleared, where the bookkeeper repairs."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Restate]:
        """Be ready to look; who is sampled first is left to chance, so that a restart does not favour anyone."""
        place = randbelow(queries.LAST_PLACE)
        async with AsyncExitStack() as stack:
            reconciler = None
            if self.provider is not None:
                reconciler = Reconciler(await stack.enter_async_context(self.provider()), self.reconcile_after)
            restate = Restate(
                self.admin,
                self.ingress,
                self.charge_wait,
                place,
                self.stranded_after,
                reconciler,
                Forgetting(self.forget_after),
            )
            yield await stack.enter_async_context(restate)


async def look_once(target: Target, sample: int) -> Books:
    """Look once, with progress on stderr; mend what is stranded, if that is wanted, and look again.

    Raises `UnknownError` when not everything could be seen.
    """
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    async with target.connect() as restate:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("looking", total=None)

            def seen(step: str) -> None:
                progress.update(task, description=f"{step} seen")

            books = await restate.look(sample, seen, patiently=True)
            if target.repair:
                await restate.forget()
            if not (target.repair and books.stranded.count):
                return books
            repaired = await restate.repair(books.stranded)
            progress.update(task, description="what is stranded sent on")
            await restate.settled_down(repaired)
            return replace(await restate.look(sample, seen, patiently=True), repaired=repaired)


async def keep(target: Target, sample: int, every_seconds: float, exported: Exported, tell: Tell) -> None:
    """Look repeatedly until stopped, and export each complete look."""
    async with target.connect() as restate:
        while True:
            started = asyncio.get_running_loop().time()
            try:
                books = await restate.look(sample)
            except UnknownError as error:
                tell(f"not everything could be seen: {error}")
                await asyncio.sleep(min(every_seconds, RETRY_SECONDS))
                continue
            exported.show(books)
            tell("; ".join([verdict(books), *_told(books, target), *books.wrong]))
            if target.repair:
                await _repair(restate, books, exported, tell)
                await _forget(restate, tell)
            await asyncio.sleep(pause_seconds(asyncio.get_running_loop().time() - started, every_seconds))


def _told(books: Books, target: Target) -> Iterator[str]:
    """What a log tells besides of what is wrong: without a provider it says nothing of it in each look."""
    yield from (f"stranded: {thing}" for thing in books.stranded.first)
    if books.reconciled is None and target.provider is not None:
        yield f"not reconciled with the provider: {books.not_reconciled}"


async def _repair(restate: Restate, books: Books, exported: Exported, tell: Tell) -> None:
    """Repair stranded work. If a repair request fails, the next look finds the work again."""
    try:
        async with asyncio.timeout(REPAIR_SECONDS):
            repaired = await restate.repair(books.stranded)
    except (UnknownError, TimeoutError) as error:
        tell(f"what is stranded could not be sent on: {error or 'it takes too long'}")
        return
    exported.count(repaired)
    for thing in repaired:
        tell(f"sent on: {thing}")


async def _forget(restate: Restate, tell: Tell) -> None:
    """Have what is kept of old deposits cleared. If that fails, the next look asks again."""
    try:
        async with asyncio.timeout(REPAIR_SECONDS):
            forgotten = await restate.forget()
    except (UnknownError, TimeoutError) as error:
        tell(f"old deposits could not be forgotten: {error or 'it takes too long'}")
        return
    if forgotten:
        tell(f"asked to forget what is kept to answer about {forgotten} old deposits")


async def until_signalled(work: Awaitable[None]) -> None:
    """Run until SIGTERM or Ctrl-C, then cancel the work cleanly."""
    task = asyncio.current_task()
    assert task is not None
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    await work


def pause_seconds(took_seconds: float, every_seconds: float) -> float:
    """How long to rest after a look, so that one begins `every_seconds`, and a long one less often."""
    return max(every_seconds - took_seconds, min(RESTS * took_seconds, MOST_REST_SECONDS))


def once_each() -> Tell:
    """Say a line with its time, and do not repeat it while nothing else is said."""
    last = ""

    def tell(line: str) -> None:
        nonlocal last
        if line != last:
            click.echo(f"{datetime.now(UTC):%H:%M:%S} {line}", err=True)
        last = line

    return tell
