"""The description of the API: a valid document, of exactly what the door lets through, and true."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel, ValidationError

from app.composition import SERVICES
from app.domain.access import Role
from app.domain.model import Wire
from app.domain.refusals import TERMS, Refusal
from app.edge.routes import Route, match_of
from app.openapi.document import as_text, document
from app.openapi.examples import EXAMPLES
from app.services.markets.feed import REQUESTS
from app.services.shell.access import PublicHandler, public_handlers
from tests.dev.commands import betting
from tests.helpers.described import content_of, described, problems

KEPT = Path(__file__).parents[2] / "charts" / "betting" / "files" / "openapi.json"
HANDLERS = list(public_handlers(SERVICES))
KEYS = {"userId": "ann", "marketId": "m-1", "depositId": "d-1", "withdrawalId": "wd-1", "settlementId": "m-1:1"}


def name(handler: PublicHandler) -> str:
    return f"{handler.service}/{handler.handler}"


def operation(handler: PublicHandler) -> dict[str, Any]:
    """Its operation, found by its address alone."""
    paths = described()["paths"]
    [found] = [one for one in paths if re.sub(r"\{\w+\}", "{key}", one) == handler.path]
    assert list(paths[found]) == ["post"]
    told: dict[str, Any] = paths[found]["post"]
    return told


def body_problems(handler: PublicHandler, body: object) -> list[str]:
    """What is wrong with a body, by the description."""
    return problems(content_of(operation(handler)["requestBody"]), body)


def reasons(handler: PublicHandler) -> dict[str, set[str]]:
    """The reasons of an operation's refusals, by status, with shared responses followed."""
    found = {}
    for status, response in operation(handler)["responses"].items():
        if status != "200":
            schema: Any = content_of(response)
            found[status] = set(schema["properties"]["metadata"]["properties"]["reason"]["enum"])
    return found


def test_the_chart_keeps_the_description() -> None:
    assert KEPT.read_text() == as_text(described()), "stale: make edge"


def test_the_command_prints_it() -> None:
    printed = betting("openapi")

    assert (printed.returncode, printed.stdout) == (0, KEPT.read_text())


def test_it_is_an_openapi_document() -> None:
    validate(described())


def test_each_public_handler_has_an_operation_and_nothing_else_has_one() -> None:
    assert len(described()["paths"]) == len(HANDLERS)
    for handler in HANDLERS:
        assert operation(handler)["tags"] == [handler.service]


def test_the_door_lets_each_operation_through() -> None:
    routes = [Route(one.service, one.access.needs_token, one.handler, one.keyed) for one in HANDLERS]
    matches: list[Any] = [match_of(route.service, [route]) for route in routes]
    patterns = [match["headers"][0]["string_match"]["safe_regex"]["regex"] for match in matches]

    for path in described()["paths"]:
        address = path.format(**KEYS)
        assert sum(re.fullmatch(pattern, address) is not None for pattern in patterns) == 1, address


@pytest.mark.parametrize("handler", HANDLERS, ids=name)
def test_who_may_call_is_what_the_handler_declares(handler: PublicHandler) -> None:
    told = operation(handler)
    parameters = {one["$ref"].rpartition("/")[2] for one in told["parameters"] if "$ref" in one}

    assert told["security"] == ([{"token": []}] if handler.access.needs_token else [])
    assert set(told["x-betting-roles"]) == {*handler.access.roles, *([Role.PLAYER] if handler.access.owner else [])}
    assert ("unauthenticated" in reasons(handler).get("401", set())) == handler.access.needs_token
    assert ("IdempotencyKey" in parameters) == handler.access.needs_token
    assert ("WebhookSignature" in parameters) == (Role.PROVIDER in handler.access.roles)


@pytest.mark.parametrize("handler", HANDLERS, ids=name)
def test_the_reasons_of_each_status_are_what_the_handler_declares(handler: PublicHandler) -> None:
    for status, told in reasons(handler).items():
        own = {reason for reason in handler.refuses if TERMS[reason].status == int(status)}
        general = {"invalid_request", "unauthenticated", "not_yours", "role_needed"}
        doors = set(described()["components"]["schemas"]["DoorRefusal"]["enum"])
        failures = {"unreadable_document"} if status == "500" else set()
        assert told - general - doors - failures == own - general, status
    assert set(handler.refuses) <= set().union(*reasons(handler).values())


@pytest.mark.parametrize("handler", HANDLERS, ids=name)
def test_who_only_reads_may_be_told_that_what_is_stored_cannot_be_read(handler: PublicHandler) -> None:
    assert reasons(handler).get("500") == ({"unreadable_document"} if handler.only_reads else None)


@pytest.mark.parametrize("handler", [one for one in HANDLERS if one.request.model_fields], ids=name)
def test_a_body_is_required_where_the_handler_requires_one(handler: PublicHandler) -> None:
    assert operation(handler)["requestBody"]["required"] == (not accepts(handler.request, {}))


@pytest.mark.parametrize("handler", [one for one in HANDLERS if not one.request.model_fields], ids=name)
def test_a_handler_that_takes_nothing_has_no_body(handler: PublicHandler) -> None:
    assert "requestBody" not in operation(handler)


@pytest.mark.parametrize("handler", [one for one in HANDLERS if one.request.model_fields], ids=name)
def test_there_is_an_example_of_each_request_and_it_is_one(handler: PublicHandler) -> None:
    example = operation(handler)["requestBody"]["content"]["application/json"]["example"]

    assert body_problems(handler, example) == []
    assert accepts(handler.request, example)


def test_there_is_no_example_of_what_is_not_there() -> None:
    assert EXAMPLES.keys() == {name(handler) for handler in HANDLERS if handler.request.model_fields}


WRONG: dict[str, list[dict[str, object]]] = {
    "PlayerService/placeBet": [
        {"stake": 0},
        {"stake": 10**12 + 1},
        {"stake": "200"},
        {"betId": ".."},
        {"betId": "a/b"},
        {"priceChange": "lower"},
        {"legs": []},
        {"legs": [{"marketId": "m", "selectionId": "s", "price": "2,50"}]},
        {"legs": [{"marketId": "m", "selectionId": "s", "price": "2.5000"}]},
        {"legs": [{"marketId": "m", "selectionId": "s", "price": 1}]},
        {"oops": 1},
    ],
    "PaymentService/deposit": [{"currency": "euro"}, {"email": "nobody"}, {"paymentMethod": ""}],
    "PlayerService/selfExclude": [{"confirm": False}, {"months": 5}],
    "MarketService/open": [{"closesAt": 5}, {"closesAt": "tomorrow"}, {"selections": [{"selectionId": "a"}]}],
    "MarketService/setPrices": [{"prices": {}}, {"prices": {"a/b": "2.00"}}, {"prices": {"home": "free"}}],
    "MarketService/settle": [{"outcomes": {"home": {"result": "drawn"}}}, {"version": 0}],
    "MarketFeed/take": [{"type": "suspend"}, {"type": "unknown"}, {"content": {}}],
}
"""What neither the service nor the description takes, in the place of a field of the example."""


@pytest.mark.parametrize(
    ("handler", "wrong"), [(one, wrong) for one in HANDLERS for wrong in WRONG.get(name(one), [])], ids=str
)
def test_what_the_handler_refuses_does_not_fit(handler: PublicHandler, wrong: dict[str, object]) -> None:
    body = {**EXAMPLES[name(handler)], **wrong}

    assert not accepts(handler.request, body)
    assert body_problems(handler, body) != []


def test_each_type_of_record_is_described_with_its_request() -> None:
    schemas = described()["components"]["schemas"]
    mapping = schemas["FeedRecord"]["discriminator"]["mapping"]

    contents = {kind: schemas[of.rpartition("/")[2]]["properties"]["content"]["$ref"] for kind, of in mapping.items()}

    assert contents == {kind: f"#/components/schemas/{request.__name__}" for kind, request in REQUESTS.items()}


def test_operations_have_names_that_clients_can_have_as_methods() -> None:
    names = [operation(handler)["operationId"] for handler in HANDLERS]

    assert len(set(names)) == len(names)
    assert [one for one in names if not re.fullmatch(r"[a-z][A-Za-z]+", one)] == []


def test_every_schema_is_used() -> None:
    text = json.dumps(described())
    schemas = described()["components"]["schemas"]

    assert [one for one in schemas if f'"#/components/schemas/{one}"' not in text] == []


def test_nothing_private_is_described() -> None:
    private = {
        handler.name
        for service in SERVICES
        for handler in service.handlers.values()
        if service.ingress_private or handler.ingress_private
    } - {handler.handler for handler in HANDLERS}
    requests = [schema for one, schema in described()["components"]["schemas"].items() if one.endswith("Request")]

    assert "concludeAlone" in private
    assert private.isdisjoint(path.rpartition("/")[2] for path in described()["paths"])
    # What other components pass on beside a request, a client cannot: not who acts, nor when.
    assert {"actor", "by", "now"}.isdisjoint(field for schema in requests for field in schema["properties"])


def test_every_refusal_of_the_table_is_a_reason() -> None:
    assert described()["components"]["schemas"]["Refusal"]["enum"] == list(Refusal)


def test_an_operation_without_a_name_of_its_own_is_not_described() -> None:
    [get_bet] = [handler for handler in HANDLERS if name(handler) == "PlayerService/getBet"]

    with pytest.raises(ValueError, match="names of their own: getBet"):
        document([get_bet, replace(get_bet, service="MarketService")], "1")


class Balance(Wire):
    """Another one than the wallet's."""

    amount: int


def test_two_models_of_one_name_are_not_described() -> None:
    [deposit] = [handler for handler in HANDLERS if name(handler) == "PaymentService/deposit"]

    with pytest.raises(ValueError, match="another name"):
        document([deposit, replace(deposit, handler="other", answer=Balance)], "1")


def accepts(model: type[BaseModel], body: object) -> bool:
    """Whether the service takes a body."""
    try:
        model.model_validate_json(json.dumps(body))
    except ValidationError:
        return False
    return True
