"""Text of strangers: what hides, or shows as something else than it is, is refused where it comes in."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.composition import SERVICES
from app.domain.feed import read_record
from app.domain.model import Email, PublicRequest
from app.domain.payments import PaymentEvent
from app.domain.provider_events import UnknownEvent
from app.domain.refusals import Refused, invalid_request
from app.openapi.examples import EXAMPLES
from app.providers.webhooks import read_event
from app.services.markets.feed import REQUESTS
from app.services.markets.markets import OpenRequest
from app.services.payments.withdrawals import RejectRequest
from app.services.player.account import CodeRequest
from app.services.shell.access import public_handlers
from app.services.shell.requests import EmptyRequest, RequestBody
from app.services.shell.wire import RawBody
from tests.helpers.described import problems

UNSEEN = ["\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u202a", "\u202e", "\u2066", "\u2069"]
HALVES = ["\ud800", "\udfff"]
SEEN = ["Köln - Málaga", "حيفا", "東京\t1", "two\nlines", "🏇 at 3"]
SELECTIONS = [{"selectionId": name, "name": name, "price": "2.00"} for name in ("home", "away")]
TEXTS: list[tuple[str, type[PublicRequest], dict[str, object]]] = [
    ("name", OpenRequest, {"selections": SELECTIONS}),
    ("operator", RejectRequest, {"reason": "known"}),
    ("reason", RejectRequest, {}),
    ("message", RejectRequest, {"reason": "known"}),
    ("code", CodeRequest, {}),
]
OF_TEXTS = pytest.mark.parametrize(
    ("field", "model", "rest"), TEXTS, ids=[f"{model.__name__}.{field}" for field, model, _ in TEXTS]
)

_FOUND = {(service.name, handler.name): handler for service in SERVICES for handler in service.handlers.values()}
BODIES = {
    f"{one.service}/{one.handler}": serde
    for one in public_handlers(SERVICES)
    if isinstance(serde := _FOUND[one.service, one.handler].handler_io.input_serde, RequestBody | RawBody)
    and serde.model is not EmptyRequest
}
"""What every public handler takes."""

OPTIONAL = {"kind": None, "event_id": None}
EVENT = PaymentEvent.model_validate(EXAMPLES["PaymentService/webhook"]).model_copy(update=OPTIONAL)


def refuse(operation: str, body: bytes) -> str:
    """Send a body to what reads it; the refusal, which must be one."""
    if operation.endswith("/webhook"):
        outcome: object = read_event(body)
    elif operation.startswith("MarketFeed/"):
        outcome = read_record(body, REQUESTS)
    else:
        serde = BODIES[operation]
        assert isinstance(serde, RequestBody)
        with pytest.raises(ValidationError) as error:
            serde.deserialize(body)
        outcome = invalid_request(error.value)
    if isinstance(outcome, UnknownEvent) or (
        isinstance(outcome, PaymentEvent) and outcome.model_copy(update=OPTIONAL) == EVENT
    ):  # unknown events and fields are acknowledged, not kept
        return ""
    assert isinstance(outcome, Refused), (outcome, body)
    return outcome.message


def with_each_text(value: Any, put: str, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """The value with `put` inside or at the end of one of its texts, for each: the names of fields and of maps, too."""
    if isinstance(value, str):
        yield place, f"{value[:1]}{put}{value[1:]}"
        yield place, f"{value}{put}"
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        for where, other in with_each_text(inner, put, (*place, str(name))):
            yield (
                where,
                {**value, name: other} if isinstance(value, dict) else [*value[:name], other, *value[name + 1 :]],
            )
        if isinstance(value, dict):
            rest = {known: kept for known, kept in value.items() if known != name}
            yield (*place, f"{name}{put}"), {**rest, f"{name}{put}": inner}


@pytest.mark.parametrize("operation", BODIES)
def test_no_text_of_any_request_takes_what_does_not_show(operation: str) -> None:
    for put in (*UNSEEN, *HALVES):
        for place, body in with_each_text(EXAMPLES[operation], put):
            message = refuse(operation, json.dumps(body).encode())
            assert message.isprintable(), f"{put!a} at {place} comes back to the caller: {message}"


def free_texts(schema: Any, root: Any, place: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Where a schema takes just any text."""
    if not isinstance(schema, dict):
        return
    if (reference := schema.get("$ref")) is not None:
        if reference not in seen:
            definition = root["$defs"][reference.rpartition("/")[2]]
            yield from free_texts(definition, root, place, seen | {reference})
        return
    if schema.get("type") == "string" and not schema.keys() & {"pattern", "enum", "const", "format"}:
        yield place
    if schema.get("additionalProperties") not in (None, False) and not schema.keys() & {
        "patternProperties",
        "propertyNames",
    }:
        yield f"{place}{{}}"
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for choice in schema.get(word, ()):
            yield from free_texts(choice, root, place, seen)
    for word in ("items", "additionalProperties", "propertyNames"):
        yield from free_texts(schema.get(word), root, f"{place}[]", seen)
    for word in ("properties", "patternProperties"):
        for name, inner in schema.get(word, {}).items():
            yield from free_texts(inner, root, f"{place}.{name}", seen)


@pytest.mark.parametrize("operation", BODIES)
def test_no_request_has_a_free_text(operation: str) -> None:
    schema = TypeAdapter(BODIES[operation].model).json_schema()

    assert list(free_texts(schema, schema, operation)) == []


def test_a_free_text_is_found_wherever_it_is() -> None:
    class Inner(BaseModel):
        word: str

    class Free(PublicRequest):
        plain: str
        nested: Inner
        several: tuple[Inner | int, ...]
        named: dict[str, str]

    schema = Free.model_json_schema()

    assert list(free_texts(schema, schema, "")) == [".plain", ".nested.word", ".several[].word", ".named{}", ".named[]"]


@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
@OF_TEXTS
def test_unseen_characters_are_refused_with_the_field_and_the_cure(
    field: str, model: type[PublicRequest], rest: dict[str, object], unseen: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate({**rest, field: f"Chelsea{unseen}1-0"})

    assert invalid_request(refused.value).message == (
        f"{field}: Value error, remove U+{ord(unseen):04X}, character 8: "
        "control characters, and what turns the direction of writing, are not allowed"
    )


@pytest.mark.parametrize("text", ["{}Chelsea", "Chelsea{}"], ids=["begins", "ends"])
@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
@OF_TEXTS
def test_unseen_characters_are_not_trimmed_away(
    field: str, model: type[PublicRequest], rest: dict[str, object], unseen: str, text: str
) -> None:
    with pytest.raises(ValidationError, match=f"remove U\\+{ord(unseen):04X}"):
        model.model_validate({**rest, field: text.format(unseen)})


@pytest.mark.parametrize("half", HALVES, ids=ascii)
@OF_TEXTS
def test_half_a_character_is_refused_with_the_field_and_the_cure(
    field: str, model: type[PublicRequest], rest: dict[str, object], half: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        RequestBody(model).deserialize(json.dumps({**rest, field: f"Chelsea{half}1-0"}).encode())

    assert invalid_request(refused.value).message == (
        f"{field}: remove U+{ord(half):04X}, character 8: it is half a character"
    )


def test_half_a_character_is_found_in_a_feed_and_below_fields() -> None:
    selections = [SELECTIONS[0], {**SELECTIONS[1], "name": "\ud800"}]
    record = {"type": "open", "content": {"name": "Arsenal - Chelsea", "selections": selections}}

    refused = read_record(json.dumps(record).encode(), REQUESTS)

    assert isinstance(refused, Refused)
    assert refused.message.startswith("content.selections.1.name: remove U+D800, character 1")


@pytest.mark.parametrize(
    "body", [b'{"reason": "\\ud800', b'{"reason": "\\ud800", "a": ' + b"[" * 10_000, b"\xed\xa0\x80"]
)
def test_what_is_no_json_besides_names_no_field(body: bytes) -> None:
    with pytest.raises(ValidationError) as refused:
        RequestBody(RejectRequest).deserialize(body)

    assert invalid_request(refused.value).message.startswith("body: Invalid JSON")


@pytest.mark.parametrize("seen", SEEN)
@OF_TEXTS
def test_any_writing_is_taken(field: str, model: type[PublicRequest], rest: dict[str, object], seen: str) -> None:
    assert getattr(model.model_validate({**rest, field: seen}), field) == seen


@pytest.mark.parametrize(("text", "fits"), [*((seen, True) for seen in SEEN), *((unseen, False) for unseen in UNSEEN)])
def test_the_description_says_the_same(text: str, fits: bool) -> None:
    schema = RejectRequest.model_json_schema()["properties"]["reason"]

    assert (problems(schema, text) == []) is fits


@pytest.mark.parametrize("unseen", [*UNSEEN, *HALVES], ids=ascii)
def test_an_address_has_no_unseen_characters(unseen: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Email).validate_python(f"ann{unseen}@example.com")
