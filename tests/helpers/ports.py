"""Ports that nobody uses."""

import os
import socket
from collections import deque
from random import sample

from click import ClickException

from app.dev.ports import Ports

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
"""Which of pytest's workers this is: each has ranges of its own, or two would take one port between look and use."""

_BASES = deque(range(20_000 + _WORKER * 2_300, 21_080 + _WORKER * 2_300, 24))
"""Where a block of ports may begin. No port of one block is a port of another: with this step, none of the distances
between two ports of a block is a distance between two blocks."""

_CLAIMS: dict[int, socket.socket] = {}
"""The beginnings of this process's blocks, each held by a socket, so that no other process takes the same block between
look and use. Nothing of a system listens there."""

_TAKEN: set[int] = set()
"""What was given out in this process, and is not given out again."""


def free_ports(count: int) -> list[int]:
    """Ports of the kernel's choice, for servers that start at once."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def free_port_base() -> int:
    """A block of ports that nobody uses, below those the kernel gives to clients; one given out before comes last."""
    for _ in range(len(_BASES)):
        base = _BASES[0]
        _BASES.rotate(-1)
        try:
            if base not in _CLAIMS:
                _CLAIMS[base] = _claim(base)
            Ports.plan(base).require_free(with_edge=True)
        except (OSError, ClickException):
            continue
        return base
    raise AssertionError("no free block of ports")


def _claim(port: int) -> socket.socket:
    """Hold a port. Raises OSError if another process does."""
    claim = socket.socket()
    try:
        claim.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        raise
    return claim


def free_port() -> int:
    """A port below those the kernel gives to clients, another one each time, for a server that may start again."""
    first = 30_000 + _WORKER * 650
    for port in sample(range(first, first + 650), 650):  # in no order, or two processes would choose the same
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in _TAKEN:
                _TAKEN.add(port)
                return port
    raise AssertionError("no free port")
