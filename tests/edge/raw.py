"""Requests byte by byte: a client library would put right what is to be tried."""

import json
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

ANSWER_SECONDS = 30
JSON = ("content-type", "application/json")
WHOEVER = ssl.create_default_context()
"""A test's door has a certificate that nobody signed."""
WHOEVER.check_hostname = False
WHOEVER.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """Its JSON."""
        return json.loads(self.content)

    @property
    def reason(self) -> str | None:
        """Why it was refused; None where it was not in the shape of a refusal."""
        try:
            told: str = self.body["metadata"]["reason"]
        except (ValueError, KeyError, TypeError):
            return None
        return told


def send(base: str, content: bytes) -> Answer:
    """Send bytes on a connection of their own, and read one answer."""
    with _connected(base) as connection:
        connection.sendall(content)
        return _read(connection, "POST")


def ask(
    base: str,
    target: str,
    *headers: tuple[str, str],
    body: bytes | None = None,
    method: str = "POST",
) -> Answer:
    """Send a request with this very target and these very headers."""
    length = [] if body is None else [("content-length", str(len(body)))]
    lines = [f"{method} {target} HTTP/1.1", "host: door", "connection: close"]
    lines += [f"{name}: {value}" for name, value in (*headers, *length)]
    with _connected(base) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
        return _read(connection, method)


@dataclass(frozen=True)
class Flood:
    """What came back of many requests at once."""

    answers: Sequence[Answer]
    seconds: float
    """From the first request to the last answer: so long the door went on to take a little more."""

    @property
    def refused(self) -> Sequence[Answer]:
        """Those that were too many."""
        return [one for one in self.answers if one.status == 429]

    def keeps_to(self, rate: float) -> bool:
        """Whether no more passed than a door may take: so many a second, and twice as many at once."""
        return len(self.answers) - len(self.refused) <= rate * (2 + self.seconds + 1)


def flood(base: str, target: str, *headers: tuple[str, str], count: int) -> Flood:
    """Send the same request on so many connections before any answer is read."""
    lines = [f"POST {target} HTTP/1.1", "host: door", "connection: close", *(f"{name}: {it}" for name, it in headers)]
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(_connected(base)) for _ in range(count)]
        began = time.monotonic()
        for connection in connections:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answers = [_read(connection, "POST") for connection in connections]
        return Flood(answers, time.monotonic() - began)


def bearer(token: str) -> tuple[str, str]:
    """The header that shows a token."""
    return "authorization", f"Bearer {token}"


def _connected(base: str) -> socket.socket:
    address = urlsplit(base)
    plain = socket.create_connection((address.hostname, address.port), timeout=ANSWER_SECONDS)
    return WHOEVER.wrap_socket(plain) if address.scheme == "https" else plain


def _read(connection: socket.socket, method: str) -> Answer:
    with HTTPResponse(connection, method=method) as response:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())


def chunked(parts: Iterable[bytes]) -> bytes:
    """A body whose length is not told before."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))
