"""Every public handler, found by what is served: what cannot be understood is refused, and nothing changes."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.composition import SERVICES
from app.domain.model import PublicRequest
from app.openapi.examples import EXAMPLES
from app.services.shell.access import PublicHandler, public_handlers
from app.services.shell.requests import RequestBody
from tests.running import System

JSON = {"content-type": "application/json"}
KEY = f"bad-{uuid4().hex}"

OURS = {"userId", "depositId", "withdrawalId", "marketId"}


def of_this_run(example: Any) -> Any:
    """An example, about players, markets and money that nobody else asks for."""
    if isinstance(example, dict):
        return {name: KEY if name in OURS else of_this_run(value) for name, value in example.items()}
    return [of_this_run(one) for one in example] if isinstance(example, list) else example


GOOD: dict[str, dict[str, Any]] = {handler: of_this_run(example) for handler, example in EXAMPLES.items()}
"""A request that each handler understands, with all its fields."""

HALF_A_CHARACTER = b'{"a": "\\ud800"}'
NO_OBJECTS = (
    b"{",
    b"[]",
    b'"x"',
    b"5",
    b"true",
    b"null",
    b"NaN",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b"[" * 10_000,
    b'{"a":' * 10_000,
    HALF_A_CHARACTER,
    b'{"a": ' + b"9" * 9_999,
    b"{} {}",
)
NEVER_RIGHT: tuple[object, ...] = ({"a": {"a": {}}}, [[[]]], 1.5, 10**30, "\u0000", "x" * 300)
"""Values that are wrong in every field of every request."""

ODD_KEYS = ("%2E", "%2E%2E", "a%20b", "%C3%A4", "a%2Fb", "x" * 65, "a%0A", "%00")

HANDLERS = list(public_handlers(SERVICES))
_FOUND = {(service.name, handler.name): handler for service in SERVICES for handler in service.handlers.values()}
MODELS: dict[str, type[PublicRequest]] = {
    f"{one.service}/{one.handler}": serde.model
    for one in HANDLERS
    if isinstance(serde := _FOUND[one.service, one.handler].handler_io.input_serde, RequestBody)
}
READ_BODIES = [handler for handler in HANDLERS if f"{handler.service}/{handler.handler}" in MODELS]
PRIVATE = sorted(
    f"{service.name}/{handler.name}" if handler.kind is None else f"{service.name}/k/{handler.name}"
    for service in SERVICES
    for handler in service.handlers.values()
    if service.ingress_private or handler.ingress_private
)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_stored(system: System) -> Iterator[None]:
    """After all tests of the module, nothing is there but the records that a feed has parked."""
    yield
    rows = system.query(f"select distinct service_name from state where service_key like '{KEY}%'")
    assert {row["service_name"] for row in rows} <= {"MarketFeed", "MarketQuarantine"}
    assert system.charges(KEY) == system.payouts(KEY) == []
    unfinished = "select target from sys_invocation where status <> 'completed'"
    assert system.query(f"{unfinished} and target_service_key like '{KEY}%'") == [], "a bad request is retried"


def name(handler: PublicHandler) -> str:
    return f"{handler.service}/{handler.handler}"


def send(system: System, handler: PublicHandler, content: bytes, key: str = KEY) -> httpx.Response:
    return system.post_raw(handler.path.strip("/").format(key=key), content, JSON if content else {})


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    assert answer.json()["metadata"]["reason"] == "invalid_request"
    message: str = answer.json()["message"]
    return message


def test_there_is_a_good_request_with_all_fields_of_every_handler_that_takes_some() -> None:
    fields = {handler: {field.alias for field in model.model_fields.values()} for handler, model in MODELS.items()}

    assert {handler: set(GOOD.get(handler, {})) for handler in MODELS} == fields


@pytest.mark.parametrize("handler", READ_BODIES, ids=name)
def test_what_is_no_such_object_is_refused(system: System, handler: PublicHandler) -> None:
    for content in NO_OBJECTS:
        named = "a: remove U+D800" if content is HALF_A_CHARACTER else "body:"
        assert refused(send(system, handler, content)).startswith(named), content[:50]


@pytest.mark.parametrize("handler", READ_BODIES, ids=name)
def test_a_field_too_many_is_refused(system: System, handler: PublicHandler) -> None:
    good = GOOD.get(name(handler), {})

    for unknown, named in (*((name, name) for name in ("oops", "__proto__", "user_id")), ("\u0000", r"\u0000")):
        body = json.dumps({**good, unknown: 1}).encode()
        assert refused(send(system, handler, body)).startswith(f"{named}:")


@pytest.mark.parametrize("handler", [one for one in READ_BODIES if name(one) in GOOD], ids=name)
def test_a_field_that_is_missing_or_wrong_is_named(system: System, handler: PublicHandler) -> None:
    good = GOOD[name(handler)]
    for field in MODELS[name(handler)].model_fields.values():
        assert field.alias is not None
        if field.is_required():
            rest = {known: value for known, value in good.items() if known != field.alias}
            assert refused(send(system, handler, json.dumps(rest).encode())).startswith(f"{field.alias}:")
        for wrong in NEVER_RIGHT:
            message = refused(send(system, handler, json.dumps({**good, field.alias: wrong}).encode()))
            assert message.startswith((f"{field.alias}:", f"{field.alias}.")), (field.alias, wrong, message)


@pytest.mark.parametrize("handler", HANDLERS, ids=name)
def test_no_body_is_never_our_mistake(system: System, handler: PublicHandler) -> None:
    status = send(system, handler, b"", key=f"{KEY}-empty").status_code

    assert status < 500
    model = MODELS.get(name(handler))
    if model is not None and any(field.is_required() for field in model.model_fields.values()):
        assert status == 400


@pytest.mark.parametrize("handler", [one for one in HANDLERS if one not in READ_BODIES], ids=name)
@pytest.mark.parametrize("content", NO_OBJECTS, ids=lambda content: str(content[:12]))
def test_a_handler_that_reads_its_body_itself_answers_too(
    system: System, handler: PublicHandler, content: bytes
) -> None:
    answer = send(system, handler, content, key=f"{KEY}-bytes")

    if handler.handler == "webhook":
        assert (answer.status_code, answer.json()["metadata"]["reason"]) == (401, "bad_signature")
    else:
        assert (answer.status_code, answer.json()["status"]) == (200, "parked")


@pytest.mark.parametrize("handler", [one for one in HANDLERS if one.keyed], ids=name)
@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_refused(system: System, handler: PublicHandler, key: str) -> None:
    good = json.dumps(GOOD.get(name(handler), {})).encode()
    answer = send(system, handler, good, key=key)

    if handler.service == "MarketFeed":
        assert answer.json()["reason"] == "invalid_request"
    elif handler.service == "SettlementWorkflow":
        assert answer.json()["metadata"]["reason"] == "unknown_settlement"
    else:
        assert refused(answer).split(":")[0] in ("userId", "marketId", "depositId", "withdrawalId", "settlementId")


@pytest.mark.parametrize("path", PRIVATE)
def test_what_is_private_is_for_nobody_outside(system: System, path: str) -> None:
    answer = system.post_raw(path, b"{}", JSON)

    assert answer.status_code == 400
    assert answer.json()["message"] == "the invoked service is not public"
