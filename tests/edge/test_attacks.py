"""What is tried at the door: what it refuses by itself never reaches Restate."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.edge.conftest import Door
from tests.edge.raw import JSON, Answer, ask, bearer, chunked, send
from tests.edge.requests import ACCOUNT, DEPOSIT, deposit
from tests.edge.tokens import ABSENT, Signer, stranger


@dataclass(frozen=True)
class Attack:
    name: str
    send: Callable[[Door], Answer]
    status: int
    reason: str | None


def token(name: str, made: Callable[[Signer], str]) -> Attack:
    return Attack(
        f"token: {name}", lambda door: ask(door.url, ACCOUNT, bearer(made(door.signer))), 401, "unauthenticated"
    )


def shown(name: str, *headers: tuple[str, str]) -> Attack:
    return Attack(f"token: {name}", lambda door: ask(door.url, ACCOUNT, *headers), 401, "unauthenticated")


def path(target: str, method: str = "POST", status: int = 404, reason: str | None = "not_found") -> Attack:
    def signed_in(door: Door) -> Answer:
        roles = ["trader", "payments", "support", "auditor", "feed"]
        return ask(door.url, target, bearer(door.signer.token(roles=roles)), method=method)

    return Attack(f"{method} {target}", signed_in, status, reason)


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


TOKENS = [
    shown("none at all"),
    shown("empty", ("authorization", "Bearer ")),
    shown("no token", bearer("no.token.atall")),
    shown("another scheme", ("authorization", "Basic YW5uOmFubg==")),
    token("expired", lambda signer: signer.token(exp=int(time.time()) - 60)),
    token("never expires", lambda signer: signer.token(exp=ABSENT)),
    token("not yet", lambda signer: signer.token(nbf=int(time.time()) + 120)),
    token("another key", lambda signer: stranger().token()),
    token("a key of its own", lambda signer: signer.by_own_key()),
    token("another audience", lambda signer: signer.token(aud="another")),
    token("no audience", lambda signer: signer.token(aud=ABSENT)),
    token("another issuer", lambda signer: signer.token(iss="https://evil.example")),
    token("no issuer", lambda signer: signer.token(iss=ABSENT)),
    token("alg none", lambda signer: signer.unsigned()),
    token("alg NONE", lambda signer: signer.unsigned(algorithm="NONE")),
    token("RS256 without a signature", lambda signer: signer.unsigned(algorithm="RS256")),
    token("HS256 with the public key", lambda signer: signer.by_public_key()),
    token("another's payload", lambda signer: signer.with_other_payload("ben")),
    token("RS384", lambda signer: signer.signed_as("RS384")),
    token("PS256", lambda signer: signer.signed_as("PS256")),
    token("no subject", lambda signer: signer.token(sub=ABSENT)),
    *(
        token(f"subject {subject!r:.20}", lambda signer, subject=subject: signer.token(subject))  # type: ignore[misc]
        for subject in ("", "a/b", "a b", "a,b", "ann\n", "ann\r\nx-betting-roles: auditor", "änn", ".", "..", "a" * 65)
    ),
    Attack(
        "token: in the query",
        lambda door: ask(door.url, f"{ACCOUNT}?access_token={door.signer.token()}"),
        404,
        "not_found",
    ),
    Attack(
        "token: in a cookie",
        lambda door: ask(door.url, ACCOUNT, ("cookie", f"access_token={door.signer.token()}")),
        401,
        "unauthenticated",
    ),
]

PATHS = [
    *map(
        path,
        [
            "/",
            "/restate/health",
            "/restate/invocation/inv_1/output",
            "/restate/invocation/inv_1/attach",
            "/restate/workflow/WithdrawalWorkflow/w/output",
            "/restate/awakeables/sign_1/resolve",
            "/Restate/health",
            "/RESTATE/health",
            "/%72estate/health",
            "/restate%2Fhealth",
            "//restate/health",
            "/./restate/health",
            "/PlayerService/../restate/health",
            "/PlayerService/ann/../../restate/health",
            "/PlayerService/%2e%2e/restate/health",
            "/PlayerService/ann/getAccount/../../../restate/health",
            "/PlayerService/ann/getAccount/send",
            "/PlayerService/ann/getAccount/",
            "/PlayerService/ann/getAccount/.",
            "/PlayerService/ann/getAccount?delay=5s",
            "/PlayerService/ann/getAccount?",
            "/PlayerService/ann/getAccount;x=1",
            "/PlayerService/ann;x=1/getAccount",
            "/PlayerService/ann/getaccount",
            "/playerservice/ann/getAccount",
            "/PLAYERSERVICE/ann/getAccount",
            "/PlayerService/ann/getAccoun%74",
            "/PlayerService/%61nn/getAccount",
            "/PlayerService/ann%2Fx/getAccount",
            "/PlayerService/ann%2fgetAccount",
            "/PlayerService/ann%00/getAccount",
            "/PlayerService/ann%0d%0a/getAccount",
            "/PlayerService/ann%252F/getAccount",
            "/PlayerService/ann\\getAccount",
            "/PlayerService\\ann\\getAccount",
            "/PlayerService//ann/getAccount",
            "//PlayerService/ann/getAccount",
            "/PlayerService//getAccount",
            "/PlayerService/./getAccount",
            "/PlayerService/../getAccount",
            "/PlayerService/%2E/getAccount",
            f"/PlayerService/{'a' * 129}/getAccount",
            "/PlayerService/ann/credit",
            "/PlayerService/ann/reserve",
            "/MarketBook/m:0/reserve",
            "/StatementService/ann/append",
            "/CommsService/send",
            "/SettlementRun/m:1/run",
            "/SettlementService/page",
            "/WithdrawalWorkflow/w-1/run",
            "/WithdrawalWorkflow/w-1/attach",
            "/MarketService/x/get/y",
            "/MarketService/get",
            "/PaymentService/x/deposit",
            "/PaymentService/deposit/send",
            "/PaymentServicedeposit",
            "/PaymentService.deposit",
            "/discover",
            "/openapi",
            "/stats",
            "/quitquitquit",
            "/ready",
        ],
    ),
    *(path(ACCOUNT, method) for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
    path(ACCOUNT, "HEAD", reason=None),  # an answer to HEAD has no body
    *(path(ACCOUNT, method, 400, "invalid_request") for method in ("post", "FOO")),
    path("/MarketService/x/suspend", "GET"),
]

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
    bytes_of("a NUL in a header", lambda signed: head(ACCOUNT, signed, "x-a: 1\0"), 400, "invalid_request"),
    bytes_of("no HTTP", lambda signed: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, None),
]


@pytest.mark.parametrize("attack", [*TOKENS, *PATHS, *BODIES, *FRAMING], ids=lambda attack: attack.name)
def test_what_the_door_refuses_never_reaches_restate(door: Door, attack: Attack) -> None:
    before = door.invocations()

    answer = attack.send(door)

    assert (answer.status, None if attack.reason is None else answer.reason) == (attack.status, attack.reason)
    assert door.invocations() == before
