"""Who may call a handler, asked of a real system that requires an identity, as a door in front of it would ask."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.composition import SERVICES
from app.domain.access import GRANTED, ROLES_HEADER, USER_HEADER, Owner, Role
from app.services.shell.access import PublicHandler, public_handlers
from tests.running import System, running

HANDLERS = list(public_handlers(SERVICES))
CLOSED = [handler for handler in HANDLERS if handler.access.needs_token]
OPEN = [handler for handler in HANDLERS if not handler.access.needs_token]


def named(handler: PublicHandler) -> str:
    return f"{handler.service}/{handler.handler}"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder: Path = tmp_path_factory.mktemp("door")
    with running(folder, {"BETTING_REQUIRE_IDENTITY": "true"}) as system:
        yield system


def ask(door: System, handler: PublicHandler, key: str, body: object = None, **identity: str) -> httpx.Response:
    headers = {"user": USER_HEADER, "roles": ROLES_HEADER}
    return door.call(
        handler.service,
        handler.handler,
        body,
        key if handler.keyed else None,
        {headers[name]: value for name, value in identity.items()},
    )


def reason(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("metadata", {}).get("reason")


@pytest.mark.parametrize("handler", CLOSED, ids=named)
@pytest.mark.parametrize("identity", [{}, {"user": ""}, {"user": "a/b"}, {"user": ".."}, {"roles": "support,trader"}])
def test_nobody_is_refused(door: System, handler: PublicHandler, identity: dict[str, str]) -> None:
    assert reason(ask(door, handler, "ann", **identity)) == (401, "unauthenticated")


@pytest.mark.parametrize("handler", CLOSED, ids=named)
def test_a_player_is_refused_what_is_not_theirs(door: System, handler: PublicHandler) -> None:
    body = {
        "userId": "ben",
        "walletId": "w-1",
        "email": "ben@example.com",
        "amount": 100,
        "paymentMethod": "card",
    } | ({"destination": "bank"} if handler.handler == "withdraw" else {})
    if handler.handler == "withdraw":
        del body["email"], body["paymentMethod"]
    answer = ask(door, handler, "ben", body if handler.access.owner is Owner.BODY else None, user="ann")

    assert reason(answer) == (403, "not_yours" if handler.access.owner else "role_needed")


@pytest.mark.parametrize(
    ("handler", "role"),
    [
        (handler, role)
        for handler, role in itertools.product(CLOSED, sorted(GRANTED))
        if role not in handler.access.roles and handler.access.owner is not Owner.BODY
    ],
    ids=lambda value: value.value if isinstance(value, Role) else named(value),
)
def test_another_role_is_refused(door: System, handler: PublicHandler, role: Role) -> None:
    answer = ask(door, handler, "ben", user="tom", roles=role.value)

    assert reason(answer) == (403, "not_yours" if handler.access.owner else "role_needed")


@pytest.mark.parametrize(
    ("handler", "role"),
    [(handler, role) for handler in CLOSED for role in handler.access.roles],
    ids=lambda value: value.value if isinstance(value, Role) else named(value),
)
def test_a_role_that_the_handler_is_for_is_let_in(door: System, handler: PublicHandler, role: Role) -> None:
    answer = ask(door, handler, "nobody", user="olga", roles=f"unheard-of, {role.value}")

    assert answer.status_code not in (401, 403), answer.text


@pytest.mark.parametrize("handler", [one for one in CLOSED if one.access.owner is Owner.KEY], ids=named)
def test_a_player_is_let_in_to_what_is_theirs(door: System, handler: PublicHandler) -> None:
    answer = ask(door, handler, "carl", user="carl")

    assert answer.status_code not in (401, 403), answer.text


@pytest.mark.parametrize("handler", OPEN, ids=named)
def test_what_is_for_anyone_needs_no_identity(door: System, handler: PublicHandler) -> None:
    status, why = reason(ask(door, handler, "ann"))

    assert why not in ("unauthenticated", "not_yours", "role_needed")
    assert status in (200, 400, 401, 404)


def test_a_body_is_believed_for_the_same_reader_who_checks_it(door: System) -> None:
    body = b'{"userId": "ann", "walletId": "w", "email": "b@example.com", "amount": 5, "paymentMethod": "card", %s}'
    for spoof in (b'"userId": "ben"', b'"\\u0075serId": "ben"'):
        answer = door.post_raw(
            "PaymentService/deposit", body % spoof, {"content-type": "application/json", USER_HEADER: "ann"}
        )
        assert reason(answer) == (403, "not_yours")


def test_a_deposit_is_seen_by_its_player_and_by_operators_only(door: System) -> None:
    deposit: dict[str, Any] = {
        "walletId": "w-1",
        "userId": "dora",
        "email": "dora@example.com",
        "amount": 500,
        "paymentMethod": "card",
        "depositId": "d-dora",
    }
    as_dora, as_olga = {USER_HEADER: "dora"}, {USER_HEADER: "olga", ROLES_HEADER: "support"}
    credited = door.call("PaymentService", "deposit", deposit, headers=as_dora)
    assert credited.json()["status"] == "credited"

    def status(deposit_id: str, identity: dict[str, str]) -> httpx.Response:
        return door.call("DepositFollowUp", "status", None, deposit_id, identity)

    assert status("d-dora", as_dora).json()["status"] == "credited"
    assert status("d-dora", as_olga).json()["status"] == "credited"
    assert status("d-nobody", as_olga).json()["status"] == "unknown"
    assert status("d-dora", {USER_HEADER: "ann"}).text == status("d-nobody", {USER_HEADER: "ann"}).text
    assert reason(status("d-dora", {USER_HEADER: "ann"})) == (403, "not_yours")


def test_the_operator_of_a_review_is_the_caller(door: System) -> None:
    missing = door.call("WithdrawalWorkflow", "approve", {}, "x-1", {USER_HEADER: "pia", ROLES_HEADER: "payments"})

    assert reason(missing) == (404, "unknown_withdrawal")


def test_a_handler_that_does_not_say_who_may_call_it_is_not_served() -> None:
    import restate

    service = restate.Service("Forgotten")

    @service.handler(name="forgotten")
    async def forgotten(ctx: restate.Context, request: str) -> str:
        return request

    with pytest.raises(ValueError, match="Forgotten/forgotten is public and does not say who may call it"):
        list(public_handlers([service]))
