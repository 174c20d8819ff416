"""What is tried with bodies, and with how HTTP/1.1 says where one request ends."""

from collections.abc import Callable

from tests.edge.attacks import Attack
from tests.edge.raw import JSON, ask, bearer, chunked, send
from tests.edge.requests import ACCOUNT, DEPOSIT, deposit

UPGRADE = ("upgrade: websocket", "connection: upgrade")
SMUGGLED = b"POST /PlayerService/ann/getAccount HTTP/1.1\r\nhost: door\r\n\r\n"


def body(name: str, content: bytes, *headers: tuple[str, str], status: int = 400, reason: str) -> Attack:
    return Attack(
        f"body: {name}",
        lambda door: ask(door.url, DEPOSIT, bearer(door.signer.token()), *headers, body=content),
        status,
        reason,
    )


def bytes_of(name: str, content: Callable[[str], bytes], status: int, reason: str | None) -> Attack:
    return Attack(f"bytes: {name}", lambda door: send(door.url, content(door.signer.token())), status, reason)


def head(target: str, signed: str, *lines: str) -> bytes:
    every = [f"POST {target} HTTP/1.1", "host: door", "connection: close", f"authorization: Bearer {signed}", *lines]
    return "\r\n".join([*every, "", ""]).encode("latin-1")


BODIES = [
    body("text/plain", deposit(), ("content-type", "text/plain"), reason="invalid_request"),
    body("a form's", deposit(), ("content-type", "application/x-www-form-urlencoded"), reason="invalid_request"),
    body("JSON in name only", deposit(), ("content-type", "text/plain; application/json"), reason="invalid_request"),
    body("of no type", deposit(), reason="invalid_request"),
    body("of two types", deposit(), JSON, ("content-type", "text/plain"), reason="invalid_request"),
    body("1 MB", b" " * 1_000_000, JSON, status=413, reason="too_large"),
    body("a byte too large", b" " * 65_537, JSON, status=413, reason="too_large"),
    bytes_of(
        "1 MB in chunks",
        lambda signed: (
            head(DEPOSIT, signed, "content-type: application/json", "transfer-encoding: chunked")
            + chunked([b" " * 50_000] * 20)
        ),
        413,
        "too_large",
    ),
    body(
        "two idempotency keys", deposit(), JSON, *[("idempotency-key", key) for key in "ab"], reason="invalid_request"
    ),
    *(
        body(f"of type {kind}", deposit(), ("content-type", kind), reason="invalid_request")
        for kind in (
            *("", ";application/json", "application/json, text/plain", "application/jsonp", "application/vnd.api+json"),
            "multipart/form-data; boundary=application/json",
        )
    ),
    *(
        body(f"idempotency key {key!r}", deposit(), JSON, ("idempotency-key", key), reason="invalid_request")
        for key in ("\xe9", "\xc3\xa9", "a\tb")
    ),
    body("a long idempotency key", deposit(), JSON, ("idempotency-key", "k" * 257), reason="invalid_request"),
]

FRAMING = [
    bytes_of("headers of 20 kB", lambda signed: head(ACCOUNT, signed, f"x-large: {'x' * 20_000}"), 431, "too_large"),
    bytes_of("100 headers", lambda signed: head(ACCOUNT, signed, *(f"x-{n}: 1" for n in range(100))), 431, "too_large"),
    bytes_of(
        "two lengths",
        lambda signed: head(DEPOSIT, signed, "content-length: 2", "content-length: 3") + b"{}",
        400,
        "invalid_request",
    ),
    bytes_of(
        "length and chunks",
        lambda signed: head(DEPOSIT, signed, "content-length: 5", "transfer-encoding: chunked") + b"0\r\n\r\nPOST /x",
        400,
        "invalid_request",
    ),
    bytes_of(
        "chunks by another name",
        lambda signed: head(DEPOSIT, signed, "transfer-encoding: xchunked") + b"0\r\n\r\n",
        501,
        None,
    ),
    *(
        bytes_of(
            f"length {length}",
            lambda signed, length=length: (  # type: ignore[misc]
                head(DEPOSIT, signed, "content-type: application/json", f"content-length: {length}") + b"{}"
            ),
            400,
            "invalid_request",
        )
        for length in ("+2", "-2", "0x2", "02", "2, 2", "9" * 30)
    ),
    *(
        bytes_of(
            f"chunk {chunk!r}",
            lambda signed, chunk=chunk: (  # type: ignore[misc]
                head(DEPOSIT, signed, "content-type: application/json", "transfer-encoding: chunked") + chunk
            ),
            400,
            "invalid_request",
        )
        for chunk in (b"-2\r\n{}\r\n0\r\n\r\n", b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n", b"2;a\n{}\r\n0\r\n\r\n")
    ),
    *(
        bytes_of(
            f"coding {coding}",
            lambda signed, coding=coding: head(DEPOSIT, signed, f"transfer-encoding: {coding}") + b"0\r\n\r\n",  # type: ignore[misc]
            501,
            "unavailable",
        )
        for coding in ("chunked, identity", "gzip, chunked")
    ),
    bytes_of(
        "a blank before a colon", lambda signed: head(ACCOUNT, signed, "x-betting-user : ben"), 400, "invalid_request"
    ),
    bytes_of("an upgrade", lambda signed: head(ACCOUNT, signed, *UPGRADE) + SMUGGLED, 401, "unauthenticated"),
    bytes_of("CONNECT", lambda signed: head("", signed).replace(b"POST ", b"CONNECT restate:9070", 1), 401, None),
    bytes_of("HTTP/1.0", lambda signed: head(ACCOUNT, signed).replace(b"/1.1", b"/1.0", 1), 426, "invalid_request"),
    bytes_of("HTTP/0.9", lambda signed: b"GET /restate/health\r\n\r\n", 426, "invalid_request"),
    bytes_of("a whole address", lambda signed: head("http://x/restate/health", signed), 404, "not_found"),
    bytes_of("no host", lambda signed: head(ACCOUNT, signed).replace(b"host", b"hast", 1), 400, "invalid_request"),
    bytes_of(
        "a request in the body of another",
        lambda signed: head("/nowhere", signed, f"content-length: {len(SMUGGLED)}") + SMUGGLED,
        404,
        "not_found",
    ),
    bytes_of("a NUL in a header", lambda signed: head(ACCOUNT, signed, "x-a: 1\0"), 400, "invalid_request"),
    bytes_of("no HTTP", lambda signed: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, None),
]
