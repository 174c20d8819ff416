"""Bad input: every public handler, every field. A 400 names the field, and nothing changes."""

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
        for bad in ("", "x" * 65, 5, None, list[object]())
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
BODIES = [
    (service, handler, good)
    for service, handler, good in {
        (service, handler): (service, handler, good) for service, handler, good, _, _ in CASES
    }.values()
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


@pytest.mark.parametrize(("service", "handler", "good"), BODIES)
def test_bodies_that_are_no_such_object_are_refused(
    system: System, service: str, handler: str, good: dict[str, object]
) -> None:
    for content in (
        b"{",
        b"[]",
        b'"x"',
        b"5",
        b"null",
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"a": "\\ud800"}',
        b'{"a": ' + b"9" * 9_999,
    ):
        assert refused(system, service, handler, content).startswith("body:")
    assert refused(system, service, handler, json.dumps({**good, "stake": 1}).encode()).startswith("stake:")
    for field in good:
        if field not in ("depositId", "currency", "withdrawalId", "page", "minAmount"):
            rest = {name: value for name, value in good.items() if name != field}
            assert refused(system, service, handler, json.dumps(rest).encode()).startswith(f"{field}:")


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


def test_an_empty_body_is_refused(system: System) -> None:
    response = system.post_raw("PaymentService/deposit", b"", {})

    assert response.status_code == 400
    assert "walletId: Field required" in response.json()["message"]


@pytest.mark.parametrize("key", ["%2E", "%2E%2E", "a%20b", "%C3%A4", "a%2Fb", "x" * 65, "a%0A"])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("PlayerService/{}/getAccount", "userId"),
        ("PlayerService/{}/takeBreak", "userId"),
        ("WithdrawalWorkflow/{}/status", "withdrawalId"),
        ("DepositFollowUp/{}/status", "depositId"),
    ],
)
def test_odd_keys_are_refused(system: System, key: str, path: str, field: str) -> None:
    response = system.post_raw(path.format(key), b"{}", {"content-type": "application/json"})

    assert response.status_code == 400
    assert response.json()["message"].startswith(f"{field}:")


@pytest.mark.parametrize(
    "path",
    [
        *(f"PlayerService/u-1/{name}" for name in ("reserveDeposit", "creditDeposit", "declineDeposit", "failDeposit")),
        *(f"PlayerService/u-1/{name}" for name in ("holdWithdrawal", "payWithdrawal", "returnWithdrawal")),
        *(f"DepositFollowUp/d-1/{name}" for name in ("begin", "goOn", "lookUp")),
        *(f"WithdrawalWorkflow/x-1/{name}" for name in ("run", "taken")),
        *(f"StatementService/u-1:1/{name}" for name in ("keep", "keepArchive", "read")),
        "CommsService/send",
    ],
)
def test_what_moves_money_is_not_public(system: System, path: str) -> None:
    response = system.post_raw(path, b"{}", {"content-type": "application/json"})

    assert response.status_code == 400
    assert response.json()["message"] == "the invoked service is not public"


def test_ids_may_have_every_allowed_character(system: System) -> None:
    name = f"A.z_0:@-{uuid4().hex}"
    body = {**DEPOSIT, "userId": name, "walletId": name, "depositId": name}

    assert system.call("PaymentService", "deposit", body).status_code == 200
    assert list(system.call("PlayerService", "getAccount", key=name).json()["wallets"]) == [name]
