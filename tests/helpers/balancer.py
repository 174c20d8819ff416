"""A Kubernetes Service in small: each new connection goes to the next of the pods, and stays there."""

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 16
READY_SECONDS = 60


class Balancer:
    """Where connections go, and how many there have been and are, by the pods' ports."""

    def __init__(self, pods: Sequence[int]) -> None:
        self.opened: Counter[int] = Counter()
        self.open: Counter[int] = Counter()
        self._next = itertools.cycle(pods)

    def send_to(self, *pods: int) -> None:
        """From now on, new connections go to these."""
        self._next = itertools.cycle(pods)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        pod = next(self._next)
        self.opened[pod] += 1
        self.open[pod] += 1
        try:
            with suppress(OSError, asyncio.CancelledError):  # a task that is cancelled is a complaint in the log
                to_pod = await asyncio.open_connection(HOST, pod)
                await asyncio.gather(_carry(reader, to_pod[1]), _carry(to_pod[0], writer))
        finally:
            self.open[pod] -= 1
            writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@contextmanager
def balancing(port: int, pods: Sequence[int]) -> Iterator[Balancer]:
    """Balance at this port, from a thread of the test."""
    balancer = Balancer(pods)
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def run() -> None:
        async with await asyncio.start_server(balancer.connected, HOST, port):
            ready.set()
            await asyncio.Event().wait()

    task = loop.create_task(run())

    def balance() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        for left in asyncio.all_tasks(loop):
            left.cancel()
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=balance)
    thread.start()
    assert ready.wait(READY_SECONDS)
    try:
        yield balancer
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
