"""The contract gate: which changes of a manifest are findings, by their names."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.release.gates import contract
from app.release.gates.findings import Checked, Gate, Outcome
from app.release.gates.gates import Asked, run
from app.release.gates.schemas import lost, narrowed
from app.release.restate_admin import RestateAdmin, UnknownError
from tests.release.gating import nothing_rehearses

Schema = dict[str, Any]


def thing(required: tuple[str, ...] = (), strict: bool = False, **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "required": list(required)}
    return schema | ({"additionalProperties": False} if strict else {})


def named(pattern: str, holds: Schema, **more: Any) -> Schema:
    return {"type": "object", "patternProperties": {pattern: holds}} | more


TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
MAYBE = {"anyOf": [TEXT, {"type": "null"}]}
MAP, SHORT, SHORTER = {"type": "object", "additionalProperties": TEXT}, "^[a-z]{1,64}$", "^[a-z]{1,32}$"
EITHER = {"anyOf": [thing(a=TEXT), thing(b=TEXT)], "oneOf": [thing(c=TEXT), thing(d=TEXT)]}
NARROWER = {
    "a new required field": (thing(a=TEXT), thing(("b",), a=TEXT, b=TEXT), ["needs b"]),
    "an optional field becomes required": (thing(a=TEXT), thing(("a",), a=TEXT), ["needs a"]),
    "a new optional field": (thing(a=TEXT), thing(a=TEXT, b=TEXT), []),
    "a field is gone": (thing(a=TEXT, b=TEXT), thing(a=TEXT), ["no longer takes b"]),
    "unknown fields are refused": (thing(a=TEXT), thing(a=TEXT, strict=True), ["refuses unknown fields"]),
    "unknown fields are taken": (thing(a=TEXT, strict=True), thing(a=TEXT), []),
    "another type": (thing(a=TEXT), thing(a=NUMBER), ["no longer takes string at a"]),
    "a wider type": (thing(a=NUMBER), thing(a={"type": "number"}), []),
    "a narrower number": (thing(a={"type": "number"}), thing(a=NUMBER), ["no longer takes number at a"]),
    "null is refused": (thing(a=MAYBE), thing(a=TEXT), ["no longer takes null at a"]),
    "null is taken": (thing(a=TEXT), thing(a=MAYBE), []),
    "null is refused, as a list of types": (
        thing(a={"type": ["string", "null"]}),
        thing(a=TEXT),
        ["no longer takes null at a"],
    ),
    "a higher minimum": (
        thing(a=NUMBER | {"minimum": 1}),
        thing(a=NUMBER | {"minimum": 2}),
        ["has a tighter minimum at a"],
    ),
    "a lower minimum": (thing(a=NUMBER | {"minimum": 2}), thing(a=NUMBER | {"minimum": 1}), []),
    "a first maximum": (thing(a=NUMBER), thing(a=NUMBER | {"maximum": 9}), ["has a tighter maximum at a"]),
    "a shorter text": (
        thing(a=TEXT | {"maxLength": 9}),
        thing(a=TEXT | {"maxLength": 8}),
        ["has a tighter maxLength at a"],
    ),
    "a minimum of nothing": (thing(a=TEXT), thing(a=TEXT | {"minLength": 0}), []),
    "another pattern": (thing(a=TEXT), thing(a=TEXT | {"pattern": "^a"}), ["has another pattern at a"]),
    "no pattern": (thing(a=TEXT | {"pattern": "^a"}), thing(a=TEXT), []),
    "a value is gone": (
        thing(a=TEXT | {"enum": ["x", "y"]}),
        thing(a=TEXT | {"enum": ["x"]}),
        ["no longer takes y at a"],
    ),
    "a new value": (thing(a=TEXT | {"enum": ["x"]}), thing(a=TEXT | {"enum": ["x", "y"]}), []),
    "only some values": (thing(a=TEXT), thing(a=TEXT | {"enum": ["x"]}), ["takes only some values at a"]),
    "within a list": (
        thing(a={"type": "array", "items": thing(b=TEXT)}),
        thing(a={"type": "array", "items": thing(("c",), b=TEXT, c=TEXT)}),
        ["needs a[].c"],
    ),
    "within a map": (
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "additionalProperties": NUMBER},
        ["no longer takes string at {}"],
    ),
    "the names in a map": (
        thing(a=MAP | {"propertyNames": {"pattern": SHORT}}),
        thing(a=MAP | {"propertyNames": {"pattern": SHORTER}}),
        ["has another pattern at a{name}"],
    ),
    "only some names in a map": (
        MAP,
        MAP | {"propertyNames": {"type": "string", "maxLength": 64}},
        ["has a tighter maxLength at {name}"],
    ),
    "any name in a map": (MAP | {"propertyNames": {"pattern": SHORT}}, MAP, []),
    "the names in a map, by a pattern": (
        thing(a=named(SHORT, TEXT)),
        thing(a=named(SHORTER, TEXT)),
        ["has another pattern of names at a"],
    ),
    "only names of a pattern": (MAP, named(SHORT, TEXT), ["has another pattern of names"]),
    "names of any pattern": (named(SHORT, TEXT), MAP, []),
    "names of a pattern for the first time": (
        thing(strict=True, a=TEXT),
        thing(strict=True, a=TEXT) | named(SHORT, TEXT, properties={"a": TEXT}),
        [],
    ),
    "no names of a pattern": (
        named(SHORT, TEXT, additionalProperties=False),
        thing(strict=True),
        ["refuses unknown fields"],
    ),
    "what names of a pattern stand for": (
        named(SHORT, TEXT),
        named(SHORT, NUMBER),
        ["no longer takes string at {}"],
    ),
    "only false": (thing(a=FLAG), thing(a=FLAG | {"const": False}), ["has another const at a"]),
    "only zero": (thing(a=NUMBER), thing(a=NUMBER | {"const": 0}), ["has another const at a"]),
    "only null": (thing(a={}), thing(a={"const": None}), ["has another const at a"]),
    "only false, as before": (thing(a=FLAG | {"const": False}), thing(a=FLAG | {"const": False}), []),
    "false, of which it was one": (thing(a={"enum": [False]}), thing(a={"const": False}), []),
    "false instead of zero": (thing(a={"const": 0}), thing(a={"const": False}), ["has another const at a"]),
    "false among the values instead of zero": (
        thing(a={"enum": [0, 1]}),
        thing(a={"enum": [False, 1]}),
        ["no longer takes 0 at a"],
    ),
    "no value": (thing(a=TEXT), {"type": "object", "properties": {"a": False}}, ["has another not at a"]),
    "each only once": (
        thing(a={"type": "array"}),
        thing(a={"type": "array", "uniqueItems": True}),
        ["has another uniqueItems at a"],
    ),
    "some twice": (thing(a={"type": "array"}), thing(a={"type": "array", "uniqueItems": False}), []),
    "behind a reference": (
        {"$defs": {"A": thing(b=TEXT)}, "$ref": "#/$defs/A"},
        {"$defs": {"B": thing(b=NUMBER)}, "$ref": "#/$defs/B"},
        ["no longer takes string at b"],
    ),
    "beside a reference": (
        {"$defs": {"A": TEXT}, **thing(a={"$ref": "#/$defs/A"})},
        {"$defs": {"A": TEXT}, **thing(a={"$ref": "#/$defs/A", "maxLength": 9, "description": "A name."})},
        ["has a tighter maxLength at a"],
    ),
    "beside alternatives": (thing(a=MAYBE), thing(a=MAYBE | {"maxLength": 9}), ["has a tighter maxLength at a"]),
    "all of two": (
        {"allOf": [thing(a=TEXT), thing(b=TEXT)]},
        {"allOf": [thing(a=TEXT), thing(("b",), b=TEXT)]},
        ["needs b"],
    ),
    "all of two is both in one": ({"allOf": [thing(a=TEXT), thing(b=TEXT)]}, thing(a=TEXT, b=TEXT), []),
    "a bound in each of two": (
        {"allOf": [TEXT | {"maxLength": 9}, {"maxLength": 7}]},
        {"allOf": [TEXT | {"maxLength": 9}, {"maxLength": 6}]},
        ["has a tighter maxLength"],
    ),
    "two that nothing can be": (thing(a=TEXT), thing(a=TEXT | {"allOf": [NUMBER]}), ["no longer takes string at a"]),
    "two patterns at once": (
        thing(a=TEXT | {"pattern": SHORT}),
        thing(a=TEXT | {"pattern": SHORT, "allOf": [{"pattern": SHORTER}]}),
        ["is not comparable at a"],
    ),
    "two patterns at once, as before": (
        thing(a=TEXT | {"pattern": SHORT, "allOf": [{"pattern": SHORTER}]}),
        thing(a=TEXT | {"pattern": SHORT, "allOf": [{"pattern": SHORTER}]}),
        [],
    ),
    "fields that another of two refuses": (
        {"allOf": [thing(a=TEXT), thing(b=TEXT)]},
        {"allOf": [thing(a=TEXT, strict=True), thing(b=TEXT)]},
        ["is not comparable"],
    ),
    "alternatives of alternatives": (EITHER, EITHER | {"oneOf": [thing(c=TEXT), thing(e=TEXT)]}, ["is not comparable"]),
    "behind a reference of what is not comparable": (
        {"$defs": {"A": thing(b=TEXT)}, "allOf": [thing(b={"$ref": "#/$defs/A"}), thing(b=TEXT)]},
        {"$defs": {"A": thing(b=NUMBER)}, "allOf": [thing(b={"$ref": "#/$defs/A"}), thing(b=TEXT)]},
        ["is not comparable"],
    ),
    "a reference to nothing": (thing(a=TEXT), thing(a={"$ref": "#/$defs/A"}), ["is not comparable at a"]),
    "a reference to itself": (
        thing(a=TEXT),
        {"$defs": {"A": {"$ref": "#/$defs/A"}}, **thing(a={"$ref": "#/$defs/A"})},
        ["no longer takes string at a"],
    ),
    "no body is taken any more": (thing(a=TEXT), None, ["is no longer taken"]),
    "a first body, which may be empty": (None, thing(a=TEXT), []),
    "a first body that has to say something": (None, thing(("a",), a=TEXT), ["needs a"]),
    "a first body that is a text": (None, TEXT, ["needs a body"]),
    "a first body that is a list": (None, {"type": "array", "items": TEXT}, ["needs a body"]),
    "a first body that is a text or an object": (None, {"anyOf": [TEXT, thing(("a",), a=TEXT)]}, ["needs a body"]),
    "a first body that is not comparable": (None, EITHER, ["needs a body"]),
    "a first body that may be null": (None, MAYBE, []),
    "a first body that may be anything": (None, {}, []),
}
POORER = {
    "a field is gone": (thing(("a", "b"), a=TEXT, b=TEXT), thing(("a",), a=TEXT), ["lost b"]),
    "a new field": (thing(("a",), a=TEXT), thing(("a", "b"), a=TEXT, b=TEXT), []),
    "a field that was always there": (thing(("a",), a=TEXT), thing(a=TEXT), ["may lack a"]),
    "another type": (thing(a=TEXT), thing(a=NUMBER), ["may be integer at a"]),
    "null for the first time": (thing(a=TEXT), thing(a=MAYBE), ["may be null at a"]),
    "never null any more": (thing(a=MAYBE), thing(a=TEXT), []),
    "within a list": (
        {"type": "array", "items": thing(a=TEXT, b=TEXT)},
        {"type": "array", "items": thing(a=TEXT)},
        ["lost [].b"],
    ),
    "within a map, by a pattern": (named(SHORT, thing(a=TEXT)), named(SHORTER, thing(b=TEXT)), ["lost {}.a"]),
    "all of two": (
        {"allOf": [thing(a=TEXT), thing(b=TEXT)]},
        {"allOf": [thing(a=TEXT), thing(c=TEXT)]},
        ["lost b"],
    ),
    "alternatives of alternatives": (EITHER, EITHER | {"oneOf": [thing(c=TEXT), thing(e=TEXT)]}, ["is not comparable"]),
    "a tighter bound": (thing(a=NUMBER), thing(a=NUMBER | {"maximum": 9}), []),
    "no answer": (thing(a=TEXT), None, ["is gone"]),
}


@pytest.mark.parametrize("name", NARROWER)
def test_a_request_that_was_taken_and_is_not_any_more_is_found(name: str) -> None:
    before, after, found = NARROWER[name]

    assert [change.what for change in narrowed(before, after)] == found


@pytest.mark.parametrize("name", POORER)
def test_what_a_reader_of_an_answer_no_longer_finds_is_found(name: str) -> None:
    before, after, found = POORER[name]

    assert [change.what for change in lost(before, after)] == found


def test_a_schema_that_holds_itself_is_compared_and_ends() -> None:
    tree = {"$defs": {"T": thing(child={"$ref": "#/$defs/T"}, a=TEXT)}, "$ref": "#/$defs/T"}
    other = {"$defs": {"T": thing(child={"$ref": "#/$defs/T"}, a=NUMBER)}, "$ref": "#/$defs/T"}

    assert narrowed(tree, tree) == ()
    assert "no longer takes string at a" in [change.what for change in narrowed(tree, other)]


def test_one_that_holds_itself_twice_is_compared_once() -> None:
    def tree(leaf: Schema) -> Schema:
        inner = {"$ref": "#/$defs/T"}
        return {"$defs": {"T": thing(left=inner, right=inner, a=leaf)}, "$ref": "#/$defs/T"}

    assert narrowed(tree(TEXT), tree(TEXT | {"description": "A name."})) == ()
    assert lost(tree(TEXT), tree(TEXT | {"description": "A name."})) == ()
    assert {change.what for change in narrowed(tree(TEXT), tree(NUMBER))} == {
        f"no longer takes string at {place}" for place in ("a", "left.a", "right.a")
    }


def test_what_takes_too_long_to_compare_is_found_and_ends() -> None:
    models = "ABCDEFGHIJKL"
    each = {name: {"$ref": f"#/$defs/{name}"} for name in models}
    web = {name: thing() | {"properties": each} for name in models}

    before, after = ({"$defs": web, "$ref": "#/$defs/A", "description": said} for said in ("Before.", "After."))
    assert any("is not comparable" in change.what for change in narrowed(before, after))


simple = st.sampled_from([TEXT, NUMBER, MAYBE, NUMBER | {"minimum": 3}, TEXT | {"enum": ["x", "y"]}])
schemas = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abcd"), inner, max_size=3).map(
            lambda some: thing(tuple(some)[:1], False, **some)
        ),
        inner.map(lambda one: {"type": "array", "items": one}),
        st.tuples(inner, inner, st.sampled_from(("anyOf", "allOf"))).map(lambda two: {two[2]: list(two[:2])}),
        inner.map(lambda one: named(SHORT, one, propertyNames={"maxLength": 64})),
    ),
    max_leaves=8,
)


@given(schemas)
def test_what_has_not_changed_is_no_finding(schema: Schema) -> None:
    assert narrowed(schema, schema) == ()
    assert lost(schema, schema) == ()


@given(st.dictionaries(st.sampled_from("abcd"), schemas), schemas)
def test_one_optional_field_more_breaks_nobody(properties: dict[str, Schema], more: Schema) -> None:
    before, after = thing((), False, **properties), thing((), False, **properties, new=more)

    assert narrowed(before, after) == ()
    assert lost(before, after) == ()


def handler(name: str, **facts: Any) -> dict[str, Any]:
    return {"name": name, "ty": "Exclusive", "public": True, "input_json_schema": thing(a=TEXT)} | facts


def manifest(*handlers: dict[str, Any], **facts: Any) -> contract.Manifest:
    return contract.read([{"name": "Market", "ty": "VirtualObject", "handlers": list(handlers)} | facts])


BEFORE = manifest(handler("get"), handler("book", public=False), idempotency_retention="1d")
CHANGES = {
    "the same": (BEFORE, []),
    "a service is gone": ({}, ["Market: service removed"]),
    "another type": (
        manifest(handler("get"), handler("book", public=False), ty="Service"),
        ["Market: type changed"],
    ),
    "a handler is gone": (manifest(handler("book", public=False)), ["Market/get: handler removed"]),
    "a private handler is gone": (manifest(handler("get")), ["Market/book: handler removed"]),
    "public made private": (
        manifest(handler("get", public=False), handler("book", public=False)),
        ["Market/get: public made private"],
    ),
    "private made public": (manifest(handler("get"), handler("book")), []),
    "a handler of another kind": (
        manifest(handler("get", ty="Shared"), handler("book", public=False)),
        ["Market/get: type changed"],
    ),
    "answers kept for a shorter time": (
        manifest(handler("get"), handler("book", public=False), idempotency_retention="23h 59m"),
        ["Market/get: shorter idempotency retention", "Market/book: shorter idempotency retention"],
    ),
    "answers kept for a longer time": (
        manifest(handler("get"), handler("book", public=False), idempotency_retention="2days"),
        [],
    ),
    "a narrower request": (
        manifest(handler("get", input_json_schema=thing(("b",), a=TEXT, b=TEXT)), handler("book", public=False)),
        ["Market/get: input needs b"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_has_its_finding(name: str) -> None:
    after, found = CHANGES[name]

    checked = contract.decide([BEFORE], after, has_work=True)

    assert [finding.name for finding in checked.findings] == found
    assert checked.outcome is (Outcome.FAILED if found else Outcome.PASSED)


def test_a_private_handler_that_no_work_needs_may_go() -> None:
    assert contract.decide([BEFORE], manifest(handler("get"), idempotency_retention="1d"), has_work=False).passed


def test_a_private_handler_that_a_topic_feeds_has_to_stay() -> None:
    after = manifest(handler("get"), idempotency_retention="1d")

    checked = contract.decide([BEFORE], after, has_work=False, fed={"Market/book"})

    assert [finding.name for finding in checked.findings] == ["Market/book: handler removed"]


def access(roles: str, owner: str = "") -> dict[str, Any]:
    return {"metadata": {"shop.roles": roles, "shop.owner": owner, "shop.refuses": "sold_out"}}


def taking(content: str) -> dict[str, Any]:
    return {"input_description": content}


FEWER = "input takes fewer content types"
ACCESS = {
    "as before": (access("cook,guest", "key"), access("guest,cook", "key"), []),
    "a role is gone": (access("cook,guest"), access("cook"), ["refuses the role guest"]),
    "a new role": (access("cook"), access("cook,guest"), []),
    "an owner": (access("cook"), access("cook", "key"), ["has another owner"]),
    "another owner": (access("", "key"), access("", "document"), ["has another owner"]),
    "no owner": (access("cook", "key"), access("cook"), ["has another owner"]),
    "a version that said nothing": ({}, access("cook", "key"), []),
    "a version that says nothing": (access("cook", "key"), {"metadata": None}, []),
    "only JSON": (taking("*/*"), taking("application/json"), [FEWER]),
    "only JSON of a schema": (taking("*/*"), taking("JSON 'Order'"), [FEWER]),
    "any content": (taking("JSON 'Order'"), taking("*/*"), []),
    "another schema": (taking("JSON 'Order'"), taking("JSON object"), []),
    "JSON without a schema": (taking("JSON 'Order'"), taking("application/json"), []),
    "one text": (taking("text/*"), taking("text/plain"), [FEWER]),
    "any text": (taking("text/plain"), taking("text/*"), []),
    "no body": (taking("*/*"), taking("none"), [FEWER]),
    "a first body": (taking("none"), taking("*/*"), []),
    "nothing is said of the content": (taking("*/*"), {}, []),
}


@pytest.mark.parametrize("name", ACCESS)
def test_callers_who_lose_access_are_found(name: str) -> None:
    was, now, found = ACCESS[name]

    checked = contract.decide([manifest(handler("get", **was))], manifest(handler("get", **now)), has_work=False)

    assert [finding.name for finding in checked.findings] == [f"Market/get: {what}" for what in found]


def test_what_an_older_version_with_work_still_calls_has_to_be_there() -> None:
    older = manifest(handler("get"), handler("ask", public=False))

    checked = contract.decide([BEFORE, older], BEFORE, has_work=True)

    assert [finding.name for finding in checked.findings] == ["Market/ask: handler removed"]


def test_what_is_accepted_by_its_name_lets_the_candidate_pass() -> None:
    checked = contract.decide([BEFORE], {}, has_work=True, accepts=["Market: service removed"])

    assert checked.passed
    assert [finding.name for finding in checked.accepted] == ["Market: service removed"]
    assert not contract.decide([BEFORE], {}, has_work=True, accepts=["Market: type changed"]).passed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1d", 86_400), ("2h 30m", 9_000), ("500ms", 0.5), ("0s", 0), ("1month", 2_630_016), ("2days 3hours", 183_600)],
)
def test_durations_are_read_as_restate_writes_them(text: str, seconds: float) -> None:
    assert contract.seconds(text) == seconds


def asked(admin: RestateAdmin, uri: str) -> Asked:
    return Asked(admin, books=lambda: "", rehearsing=nothing_rehearses, uri=uri, patience_seconds=0)


def of_contract(admin: RestateAdmin, uri: str) -> Checked:
    [checked] = run(asked(admin, uri), [Gate.CONTRACT])
    return checked


def test_a_candidate_is_compared_with_what_a_real_restate_serves(
    admin: RestateAdmin, serve: Callable[[str], str]
) -> None:
    admin.register(serve("v1"), again=False)
    before = admin.observe()

    assert of_contract(admin, serve("v2")).passed
    dropped = of_contract(admin, serve("dropped"))
    retyped = of_contract(admin, serve("retyped"))

    assert [finding.name for finding in dropped.findings] == ["Greeter: service removed"]
    assert "META0006" in str(retyped.findings[0]) or "changed its type" in str(retyped.findings[0])
    assert admin.observe() == before, "nothing was registered"


def test_who_loses_access_is_found_as_a_real_restate_tells_it(
    admin: RestateAdmin, restate: tuple[str, str], serve: Callable[[str], str]
) -> None:
    admin.register(serve("v1"), again=False)
    candidate = serve("choosy")

    with fed(restate[1], "Greeter/listen"):
        told, found = admin.fed(), {finding.name for finding in of_contract(admin, candidate).findings}

    assert found == {
        "Greeter/order: refuses the role guest",
        "Greeter/order: has another owner",
        "Greeter/order: input takes fewer content types",
        "Greeter/listen: handler removed",
    }
    assert told == {"Greeter/listen"}
    assert not admin.fed()


@contextmanager
def fed(url: str, handler: str) -> Iterator[None]:
    """A topic that Restate reads for a handler; its broker is dead."""
    with httpx.Client(base_url=url, trust_env=False) as http:
        cluster = {"name": "dead", "properties": {"bootstrap.servers": "127.0.0.1:9"}}
        http.post("/kafka-clusters", json=cluster).raise_for_status()
        told = http.post("/subscriptions", json={"source": "kafka://dead/orders", "sink": f"service://{handler}"})
        subscription = told.raise_for_status().json()["id"]
        try:
            yield
        finally:
            http.delete(f"/subscriptions/{subscription}").raise_for_status()


def test_a_restate_that_does_not_tell_its_subscriptions_leaves_the_contract_unchecked(
    admin: RestateAdmin, serve: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> frozenset[str]:
        raise UnknownError("GET /subscriptions: 503")

    admin.register(serve("v1"), again=False)
    monkeypatch.setattr(admin, "fed", unknown)

    assert of_contract(admin, serve("v2")).outcome is Outcome.NOT_CHECKED


def test_a_candidate_that_does_not_answer_is_not_checked(admin: RestateAdmin, serve: Callable[[str], str]) -> None:
    admin.register(serve("v1"), again=False)

    assert of_contract(admin, "http://127.0.0.1:9/").outcome is Outcome.NOT_CHECKED
