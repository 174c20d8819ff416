"""What is tried at a door, ours or another: what it refuses by itself never reaches Restate."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tests.edge.raw import Answer, ask, bearer
from tests.edge.requests import ACCOUNT
from tests.edge.tokens import ABSENT, Signer, stranger


class Door(Protocol):
    """What an attack has to know of a door."""

    @property
    def url(self) -> str:
        """Where it is."""

    @property
    def signer(self) -> Signer:
        """Whose tokens it takes."""


@dataclass(frozen=True)
class Attack:
    """Something that is sent, and what must come back: a status, and the reason if there is one in it."""

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
    token("critical extensions", lambda signer: signer.with_header(crit=["b64"], b64=False)),
    token("a key's place in its name", lambda signer: signer.with_header(kid="../../../etc/passwd")),
    *(
        token(f"expires {value!r:.20}", lambda signer, value=value: signer.token(exp=value))  # type: ignore[misc]
        for value in (0, -1, "9999999999", None, True, [9_999_999_999], 2**64 + 5)
    ),
    *(
        token(f"audience {value!r:.40}", lambda signer, value=value: signer.token(aud=value))  # type: ignore[misc]
        for value in ("betting/", "https://betting", "Betting", ["another"], {"betting": True}, ["betting", 1])
    ),
    *(
        token(f"subject {value!r:.20}", lambda signer, value=value: signer.token(sub=value))  # type: ignore[misc]
        for value in (7, True, ["ann"], {"ann": True})
    ),
    token("an issuer with a slash more", lambda signer: signer.token(iss=f"{signer.issuer}/")),
    token("two subjects", lambda signer: signer.ending_in(b',"sub":"ben"}')),
    token("two subjects, one of escapes", lambda signer: signer.ending_in(rb',"\u0073ub":"ben"}')),
    token("more after its payload", lambda signer: signer.ending_in(b"} {}")),
    token("deep nesting", lambda signer: signer.ending_in(b',"a":' + b"[" * 2_000 + b"]" * 2_000 + b"}")),
    token("four parts", lambda signer: f"{signer.token()}.x"),
    token("two in one header", lambda signer: f"{signer.token()}, Bearer {signer.token()}"),
    Attack(
        "token: a good one after a bad one",
        lambda door: ask(door.url, ACCOUNT, bearer("no.token.atall"), bearer(door.signer.token())),
        401,
        "unauthenticated",
    ),
    Attack(
        "token: in another header",
        lambda door: ask(door.url, ACCOUNT, ("proxy-authorization", f"Bearer {door.signer.token()}")),
        401,
        "unauthenticated",
    ),
    *(
        token(f"subject {subject!r:.20}", lambda signer, subject=subject: signer.token(subject))  # type: ignore[misc]
        for subject in (
            *("", "a/b", "a b", "a,b", "ann\n", "ann\r\nx-betting-roles: auditor", "änn", ".", "..", "a" * 65),
            *("ann\0ben", "ann\u200b", "\u202enna", "\uff41nn"),
        )
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
