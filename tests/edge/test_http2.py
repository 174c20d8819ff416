"""HTTP/2, in which a client writes names, paths and lengths as they are, without the framing of HTTP/1.1."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from tests.edge.conftest import Door
from tests.edge.requests import ACCOUNT, DEPOSIT, deposit

Header = tuple[bytes, bytes]
STOPPED = "stopped"
"""What comes of a request that is no HTTP/2: its stream is reset, or its connection closed."""
RESETS = 3_000


class Client:
    """A connection that sends what it is given, right or wrong."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._http = H2Connection(
            H2Configuration(
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
            )
        )
        self._http.initiate_connection()

    def ask(self, headers: Iterable[Header], body: bytes | None = None) -> str:
        """The status of the answer, or STOPPED."""
        stream = self.start(headers, end=body is None)
        if body is not None:
            self._http.send_data(stream, body, end_stream=True)
        return self._answer()

    def start(self, headers: Iterable[Header], end: bool = True) -> int:
        """Send a request's headers, and not wait for an answer."""
        stream = self._http.get_next_available_stream_id()
        self._http.send_headers(stream, list(headers), end_stream=end)
        return stream

    def reset(self, stream: int) -> None:
        """Take a request back."""
        self._http.reset_stream(stream, 8)
        self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._http.data_to_send())

    def _answer(self) -> str:
        status = STOPPED
        try:
            self._flush()
            while received := self._socket.recv(65_536):
                for event in self._http.receive_data(received):
                    if isinstance(event, ResponseReceived):
                        status = dict(event.headers)[b":status"].decode()
                    elif isinstance(event, StreamEnded | StreamReset | ConnectionTerminated):
                        return status
                self._flush()
        except (ConnectionError, ProtocolError):
            pass  # such as an answer after the connection was said to end
        return status


@contextmanager
def connected(door: Door) -> Iterator[Client]:
    address = urlsplit(door.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        yield Client(connection)


def request(door: Door, *more: Header, path: bytes = ACCOUNT.encode(), instead: Iterable[Header] = ()) -> list[Header]:
    """A good request, but for what is added, and for pseudo-headers that are given instead."""
    pseudo = {b":method": b"POST", b":scheme": b"http", b":authority": b"door", b":path": path, **dict(instead)}
    signed = (b"authorization", f"Bearer {door.signer.token()}".encode())
    return [*((name, value) for name, value in pseudo.items() if value != b"-"), signed, *more]


PATHS = {
    b"/restate/health": "404",
    b"/PlayerService/../restate/health": "404",
    b"/" + ACCOUNT.encode(): "404",
    ACCOUNT.encode() + b"?delay=5s": "404",
    ACCOUNT.encode() + b"#a": "400",
    **dict.fromkeys(
        [
            *(b"", b"*", ACCOUNT.encode()[1:], b"http://door" + ACCOUNT.encode(), ACCOUNT.encode() + b" HTTP/1.1"),
            *(ACCOUNT.encode() + end for end in (b"\0", b"\t", b"\r\nx-betting-user: ben")),
        ],
        STOPPED,
    ),
}
HEADERS = [
    (b"X-Betting-User", b"ben"),
    (b"x-betting-user ", b"ben"),
    (b"x-betting-user:", b"ben"),
    (b"", b"ben"),
    (b"x-a", b"1\r\nx-betting-user: ben"),
    (b"idempotency-key", b"a\rb"),
    (b"idempotency-key", b"a\0b"),
    (b"te", b"chunked"),
    (b"transfer-encoding", b"chunked"),
    (b"connection", b"keep-alive"),
    (b"upgrade", b"websocket"),
    (b"content-length", b"5"),
    (b":path", b"/restate/health"),
    (b":method", b"GET"),
    (b":unknown", b"1"),
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_refused_that_is_no_handlers(door: Door, path: bytes) -> None:
    before = door.invocations()

    with connected(door) as client:
        assert client.ask(request(door, path=path)) == PATHS[path]

    assert door.invocations() == before


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_stops_the_request_that_is_none(door: Door, header: Header) -> None:
    before = door.invocations()

    with connected(door) as client:
        assert client.ask(request(door, header)) == STOPPED

    assert door.invocations() == before


@pytest.mark.parametrize("lacking", [b":path", b":method", b":scheme", b":authority"])
def test_a_request_without_a_part_of_its_address_is_stopped(door: Door, lacking: bytes) -> None:
    with connected(door) as client:
        assert client.ask(request(door, instead=[(lacking, b"-")])) == STOPPED


def test_a_connection_does_not_become_another(door: Door) -> None:
    with connected(door) as client:
        tunnel = [(b":method", b"CONNECT"), (b":authority", b"restate:9070")]
        assert client.ask(tunnel, body=b"") == STOPPED
    with connected(door) as client:
        extended = request(door, instead=[(b":method", b"CONNECT"), (b":protocol", b"websocket")])
        assert client.ask(extended, body=b"") == STOPPED


def test_a_body_longer_or_shorter_than_it_says_is_stopped(door: Door) -> None:
    before = door.invocations()
    for length in (1, 500):
        with connected(door) as client:
            announced = [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
            assert client.ask(request(door, *announced, path=DEPOSIT.encode()), deposit()) == STOPPED

    assert door.invocations() == before


def test_a_client_who_takes_back_request_after_request_is_cut_off(door: Door) -> None:
    asked = request(door)
    with connected(door) as client:
        with suppress(ConnectionError):
            for _ in range(RESETS):
                client.reset(client.start(asked))
        assert client.ask(asked) == STOPPED

    with connected(door) as client:
        assert client.ask(request(door, path=b"/nowhere")) != STOPPED
