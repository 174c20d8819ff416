"""Bad values of single fields: a 400 names the field. Every handler is tried in test_every_request.py."""

import json
from typing import Any
from uuid import uuid4

import pytest

from app.dev.plan import REQUEST_BYTES
from tests.helpers.deposits import SEED
from tests.running import System

DEPOSIT = {**SEED, "userId": "u-bad", "depositId": "d-bad", "currency": "EUR"}
WITHDRAW = {"walletId": "w-1", "userId": "u-bad", "amount": 1, "destination": "bank", "withdrawalId": "x-bad"}
LIMIT = {"kind": "deposit", "period": "week", "amount": 5}

BAD_IDS: list[Any] = ["", ".", "..", "a b", "a/b", "ä", "x" * 65, "a\n", "a\u0000", 7, None, ["a"], {"a": 1}, True]
BAD_AMOUNTS: list[Any] = [0, -1, 10**13, 10**30, 1.5, 100.0, "100", True, None, [], {}]
BAD_LIMITS: list[Any] = [-1, 1.5, "5", True, 10**30, []]
BAD_CURRENCIES: list[Any] = ["", "eur", "EURO", "EU", 5, "E R", "XXX", "XTS", "XAU", "ABC"]
BAD_WORDS: list[Any] = ["", "a\nb", "x" * 65, 5, None]
BAD_EMAILS: list[Any] = ["", "no-at", "a@", "@b", "a@b@c", "a b@c.d", "a@b.c\nBcc: d@e.f", "x" * 251 + "@b.c", 5, None]

CASES: list[tuple[str, str, dict[str, Any], str, Any]] = [
    *[("PaymentService", "deposit", DEPOSIT, field, bad) for field in ("walletId", "userId") for bad in BAD_IDS],
    *[("PaymentService", "deposit", DEPOSIT, "depositId", bad) for bad in BAD_IDS if bad is not None],
    *[("PaymentService", "deposit", DEPOSIT, "amount", bad) for bad in BAD_AMOUNTS],
    *[("PaymentService", "deposit", DEPOSIT, "paymentMethod", bad) for bad in BAD_WORDS],
    *[("PaymentService", "deposit", DEPOSIT, "email", bad) for bad in BAD_EMAILS],
    *[("PaymentService", "deposit", DEPOSIT, "currency", bad) for bad in BAD_CURRENCIES],
    *[("PaymentService", "withdraw", WITHDRAW, field, bad) for field in ("walletId", "userId") for bad in BAD_IDS],
    *[("PaymentService", "withdraw", WITHDRAW, "withdrawalId", bad) for bad in BAD_IDS if bad is not None],
    *[("PaymentService", "withdraw", WITHDRAW, "amount", bad) for bad in BAD_AMOUNTS],
    *[("PaymentService", "withdraw", WITHDRAW, "destination", bad) for bad in BAD_WORDS],
    *[("PlayerService/u-bad", "setLimit", LIMIT, "kind", bad) for bad in ("", "deposits", 5, None)],
    *[("PlayerService/u-bad", "setLimit", LIMIT, "period", bad) for bad in ("", "year", 5, None)],
    *[("PlayerService/u-bad", "setLimit", LIMIT, "amount", bad) for bad in BAD_LIMITS],
    *[("PlayerService/u-bad", "setLimit", LIMIT, "currency", bad) for bad in BAD_CURRENCIES],
    *[("PlayerService/u-bad", "confirmLimit", {"kind": "deposit", "period": "week"}, "kind", bad) for bad in ("x", 1)],
    *[
        ("PlayerService/u-bad", "cancelLimitChange", {"kind": "deposit", "period": "week"}, "period", bad)
        for bad in ("x", 1)
    ],
    *[("PlayerService/u-bad", "takeBreak", {"days": 1}, "days", bad) for bad in (0, -1, 43, 1.5, "1", None, True)],
    *[
        ("PlayerService/u-bad", "selfExclude", {"months": 6, "confirm": True}, "months", bad)
        for bad in (5, 0, -6, "6", 6.5, 10**9, None)
    ],
    *[
        ("PlayerService/u-bad", "selfExclude", {"months": 6, "confirm": True}, "confirm", bad)
        for bad in (False, "true", 1, None)
    ],
    *[("PlayerService/u-bad", "getStatement", {"page": 1}, "page", bad) for bad in (0, -1, "1", 1.5)],
    *[("PlayerService/u-bad", name, {"betId": "b"}, "betId", bad) for name in ("getBet", "cashOut") for bad in BAD_IDS],
    *[
        ("PlayerService/u-bad", "cashOut", {"betId": "b", "minAmount": 1}, "minAmount", bad)
        for bad in (-1, 1.5, "1", True)
    ],
    *[("PlayerService/u-bad", "changeEmail", {"email": "a@example.com"}, "email", bad) for bad in BAD_EMAILS],
    *[
        ("PlayerService/u-bad", "confirmEmail", {"code": "c"}, "code", bad)
        for bad in ("", "x" * 201, 5, None, list[object]())
    ],
    *[
        ("MarketQuarantine/m-bad", name, {"recordId": "1"}, "recordId", bad)
        for name in ("retry", "discard")
        for bad in (5, None, list[object]())
    ],
    *[("WithdrawalWorkflow/x-bad", "approve", {"operator": "ann"}, "operator", bad) for bad in ("", " ", 5, None)],
    *[
        ("WithdrawalWorkflow/x-bad", "reject", {"operator": "ann", "reason": "r"}, "reason", bad)
        for bad in ("", "x" * 201, 5, None)
    ],
]


def refused(betting: System, service: str, handler: str, content: bytes) -> str:
    response = betting.post_raw(f"{service}/{handler}", content, {"content-type": "application/json"})
    assert response.status_code == 400, response.text
    body = response.json()
    assert body["metadata"]["reason"] == "invalid_request"
    return body["message"]  # type: ignore[no-any-return]


def test_each_bad_field_is_named_and_nothing_changes(system: System) -> None:
    for service, handler, good, field, bad in CASES:
        message = refused(system, service, handler, json.dumps({**good, field: bad}).encode())
        assert message.startswith(f"{field}:"), (service, handler, field, bad, message)

    assert system.call("PlayerService", "getAccount", key="u-bad").json()["wallets"] == {}
    assert all(
        limit["pending"] is None for limit in system.call("PlayerService", "getLimits", key="u-bad").json()["limits"]
    )
    assert system.charges("d-bad") == system.payouts("x-bad") == []


@pytest.mark.parametrize(
    "path", ["PaymentService/deposit", "PlayerService/u-bad/placeBet", "DepositFollowUp/d/webhook"]
)
def test_a_request_that_is_too_large_does_not_reach_the_service(system: System, path: str) -> None:
    body = {**DEPOSIT, "paymentMethod": "x" * REQUEST_BYTES}

    response = system.post_raw(path, json.dumps(body).encode(), {"content-type": "application/json"})

    assert response.status_code == 413
    assert system.charges("d-bad") == []


def test_every_wrong_field_is_named_in_one_answer(system: System) -> None:
    message = refused(system, "PaymentService", "deposit", b'{"amount": 0, "walletId": "a b", "oops": 1}')

    for field in ("amount", "walletId", "oops", "userId", "email", "paymentMethod"):
        assert f"{field}:" in message


def test_ids_may_have_every_allowed_character(system: System) -> None:
    name = f"A.z_0:@-{uuid4().hex}"
    body = {**DEPOSIT, "userId": name, "walletId": name, "depositId": name}

    assert system.call("PaymentService", "deposit", body).status_code == 200
    assert list(system.call("PlayerService", "getAccount", key=name).json()["wallets"]) == [name]
