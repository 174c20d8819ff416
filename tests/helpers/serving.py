"""An ASGI application served at an address of its own, from a thread of the test."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.helpers.waiting import eventually

HOST = "127.0.0.1"


async def whole(receive: Any) -> None:
    """Let a request arrive: whoever still sends when the answer is there may be cut off before reading it."""
    while (await receive()).get("more_body"):
        pass


@contextmanager
def served(app: Any, port: int) -> Iterator[str]:
    """Serve it at this port, as soon as it takes connections; the URL."""
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.errorlog = config.accesslog = None
    loop, end = asyncio.new_event_loop(), asyncio.Event()

    def run() -> None:
        loop.run_until_complete(serve(app, config, shutdown_trigger=end.wait, mode="asgi"))
        loop.close()

    def listens() -> bool:
        assert thread.is_alive(), "the server has ended"
        with socket.socket() as client:
            return client.connect_ex((HOST, port)) == 0

    thread = threading.Thread(target=run)
    thread.start()
    try:
        eventually(listens)
        yield f"http://{HOST}:{port}"
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(end.set)
        thread.join()
