"""An address at which no connection comes about, and none is refused: as that of a pod that has just gone."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def nobody(host: str = "127.0.0.1") -> Iterator[int]:
    """Its port: the queue of connections there is full, so the kernel drops whatever comes."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server((host, 0), backlog=0))
        port: int = listening.getsockname()[1]
        for _ in range(16):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect((host, port))
            except TimeoutError:
                yield port
                return
        raise AssertionError("all of them came about")
