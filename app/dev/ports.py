"""Which port everything listens on, on this machine only."""

import socket
import time
from dataclasses import dataclass, fields

from click import ClickException

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """The ports of one running system; the defaults are the usual ones."""

    ingress: int = 8080
    admin: int = 9070
    service: int = 9080
    sandbox: int = 9090
    smtp: int = 1025
    node: int = 5122
    metrics: int = 9095
    books: int = 9101
    edge: int = 8081
    edge_metrics: int = 9902

    @classmethod
    def plan(cls, base: int | None) -> "Ports":
        """The usual ports, or a block of its own from a base, so that several systems run side by side."""
        if base is None:
            return cls()
        return cls(*(base + offset for offset in (80, 1070, 1080, 1090, 1025, 1122, 1095, 1101, 81, 1102)))

    def url(self, name: str) -> str:
        """Where one of them answers."""
        return f"http://{HOST}:{getattr(self, name)}"

    def require_free(self, patience_seconds: float = 0, with_edge: bool = False) -> None:
        """Say which port stays taken, for what it is needed, and how to choose others."""
        needed = [(name, port) for name, port in self._each() if with_edge or name not in EDGE]
        deadline = time.monotonic() + patience_seconds
        while taken := [f"{port} ({PURPOSE[name]})" for name, port in needed if not _is_free(port)]:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            raise ClickException(
                f"already in use on {HOST}: port {', '.join(taken)}. Stop what listens there, "
                "or choose other ports, for example: betting dev --port-base 18000"
            )

    def _each(self) -> list[tuple[str, int]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


PURPOSE = {
    "ingress": "Restate's ingress",
    "admin": "Restate's admin API",
    "service": "the betting service",
    "sandbox": "the sandbox",
    "smtp": "the sandbox's mail server",
    "node": "Restate's node port",
    "metrics": "the service's metrics",
    "books": "the bookkeeper's metrics",
    "edge": "the door",
    "edge_metrics": "the door's metrics",
}
EDGE = {"edge", "edge_metrics"}
"""Needed with --edge only."""


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True
