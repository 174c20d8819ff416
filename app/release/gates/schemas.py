"""What changed between two JSON schemas, as those see it who send a request or read an answer."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Schema = Mapping[str, Any]

LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "const", "not", "if", "then", "else", "contains")
"""Whether one lets through all that another does cannot be told: each change of these counts as narrower."""
SAID = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "discriminator", "$defs")
"""What narrows nothing."""
JOINED = ("$ref", "allOf", "anyOf", "oneOf")
OPAQUE = "both of these"
"""No word of schemas: stands for parts that are not joined here, and tells them apart by their text."""
SPREADS = (
    ("additionalProperties", "properties"),
    ("additionalProperties", "patternProperties"),
    ("items", "prefixItems"),
)
"""The first is about all that the second does not name in the same schema, so the two of different ones do not join."""
DEEPEST = 40
"""Schemas below each other."""
MOST = 10_000
"""Comparisons of two schemas. What is deeper or more is a finding: a release waits for the answer."""


@dataclass(frozen=True)
class Change:
    """One difference at one place of a schema."""

    what: str
    """In words, with the field's path: `needs referral`, `lost prices`."""
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class _Side:
    """A schema with the definitions that it refers to."""

    schema: Schema
    root: Schema

    def of(self, schema: Any) -> "_Side":
        """Another schema of the same document; `true` takes all, and `false` nothing."""
        return _Side(schema if isinstance(schema, Mapping) else {"not": {}} if schema is False else {}, self.root)

    def choices(self) -> tuple["_Side", ...]:
        """The alternatives of a schema, each with one type and without references; without a type it may be anything.

        What is neither of one type nor simply joined has one alternative, which is comparable with nothing but itself.
        """
        flat = self._flat(frozenset()) or ({"type": "nothing", OPAQUE: self._text_of(self.schema)},)
        return tuple(self.of(each) for each in flat)

    def _flat(self, references: frozenset[str]) -> tuple[Schema, ...]:
        """All that a schema says at once, and with it one of what it offers. Nothing can be what ends in itself."""
        own = {word: told for word, told in self.schema.items() if word not in (*JOINED, *SAID)}
        types = own.get("type")
        parts: list[tuple[Schema, ...]] = [(own,)]
        if isinstance(types, list):
            parts = [tuple({**own, "type": each} for each in types)]
        if isinstance(reference := self.schema.get("$ref"), str):
            known = reference in references
            parts.append(() if known else self._referred(reference)._flat(references | {reference}))
        parts += [self.of(each)._flat(references) for each in self.schema.get("allOf") or ()]
        for word in ("anyOf", "oneOf"):
            if isinstance(among := self.schema.get(word), list):
                parts.append(tuple(choice for each in among for choice in self.of(each)._flat(references)))
        if sum(len(part) > 1 for part in parts) > 1:
            return ({OPAQUE: self._text_of(self.schema)},)
        joined: tuple[Schema, ...] = ({},)
        for part in parts:
            both = (self._both(one, other) for one in joined for other in part)
            joined = tuple(schema for schema in both if schema is not None)
        return joined

    def _referred(self, reference: str) -> "_Side":
        found: Any = self.root
        for part in reference.removeprefix("#").split("/")[1:]:
            found = found.get(part) if isinstance(found, Mapping) else None
        return self.of({OPAQUE: reference} if found is None else found)

    def _both(self, one: Schema, other: Schema) -> Schema | None:
        """What is as one schema and as another; None if nothing is."""
        joined, differ = {**one, **other}, [word for word in one if word in other and not _same(one[word], other[word])]
        if "type" in differ:
            if {one["type"], other["type"]} != {"integer", "number"}:
                return None
            joined["type"] = "integer"
        for word in differ:
            if word == "required":
                joined[word] = sorted({*one[word], *other[word]})
            elif word in (*LOWER, *UPPER):
                joined[word] = (max if word in LOWER else min)(one[word], other[word])
            elif word == "properties" and all(_same(told, other[word].get(n, told)) for n, told in one[word].items()):
                joined[word] = {**one[word], **other[word]}
            elif word != "type":
                return self._opaque(joined, one, other)
        for rest, named in SPREADS:
            if any(rest in part and not _same(part.get(named), joined.get(named)) for part in (one, other)):
                return self._opaque(joined, one, other)
        return joined

    def _opaque(self, joined: Schema, *parts: Schema) -> Schema:
        return {**({"type": joined["type"]} if "type" in joined else {}), OPAQUE: self._text_of(parts)}

    def _text_of(self, told: Any) -> str:
        text = _text(told)
        return text + _text(self.root.get("$defs")) if "$ref" in text else text

    @property
    def type(self) -> str:
        return str(self.schema.get("type", "anything"))

    @property
    def properties(self) -> Mapping[str, Any]:
        return self.schema.get("properties") or {}

    @property
    def required(self) -> frozenset[str]:
        return frozenset(self.schema.get("required") or ())

    @property
    def may_be_empty(self) -> bool:
        """Whether a missing body can be read as one."""
        return self.type in ("anything", "null", "object") and not self.required and OPAQUE not in self.schema

    @property
    def patterns(self) -> Mapping[str, Any]:
        return self.schema.get("patternProperties") or {}

    @property
    def refuses_unknown(self) -> bool:
        return self.schema.get("additionalProperties") is False and not self.patterns

    @property
    def names(self) -> "_Side":
        """What the names in a map may be; they are text."""
        names = self.schema.get("propertyNames", {})
        return self.of({"type": "string", **self.of(names).schema})

    @property
    def values(self) -> Mapping[str, Any]:
        """What a map holds, by the pattern of the names; all others are named by no pattern."""
        rest = self.schema.get("additionalProperties", False)
        return {**self.patterns, **({} if rest is False else {"": rest})}


@dataclass(frozen=True)
class _Above:
    """The comparisons that this one is a part of, and how many there have been."""

    pairs: frozenset[tuple[str, str]] = frozenset()
    begun: Iterator[int] = field(default_factory=count)

    def over(self, was: _Side, now: _Side) -> "_Above | None":
        """With one more; None if it is among them, since what holds itself has no end."""
        pair = (_text(was.schema), _text(now.schema))
        return None if pair in self.pairs else _Above(self.pairs | {pair}, self.begun)

    def are_too_many(self) -> bool:
        """Whether this goes no further."""
        return len(self.pairs) > DEEPEST or next(self.begun) >= MOST


def narrowed(before: Schema | None, after: Schema | None) -> tuple[Change, ...]:
    """What a request may no longer be."""
    if before is None or after is None:
        return _bodies(before, after)
    return _unique(_narrowed(_Side(before, before), _Side(after, after), "", _Above()))


def lost(before: Schema | None, after: Schema | None) -> tuple[Change, ...]:
    """What a reader of the answer no longer finds, or finds as something else."""
    if before is None:
        return ()
    if after is None:
        return (Change("is gone", before=_types(_Side(before, before).choices())),)
    return _unique(_lost(_Side(before, before), _Side(after, after), "", _Above()))


def _bodies(before: Schema | None, after: Schema | None) -> tuple[Change, ...]:
    if before is None and after is not None:
        choices = _Side(after, after).choices()
        if any(choice.may_be_empty for choice in choices):
            return ()
        needed = sorted(choices[0].required) if choices[0].type == "object" else []
        return tuple(Change(f"needs {name}") for name in needed) or (Change("needs a body", "", _types(choices)),)
    return (Change("is no longer taken"),) if before is not None and after is None else ()


def _unique(changes: Iterator[Change]) -> tuple[Change, ...]:
    return tuple(dict.fromkeys(changes))


def _narrowed(before: _Side, after: _Side, path: str, above: _Above) -> Iterator[Change]:
    """Each alternative that was taken has to be taken by one that there is now."""
    here = above.over(before, after)
    if here is None:
        return
    if here.are_too_many():
        yield _not_comparable(path)
        return
    now = after.choices()
    for was in before.choices():
        fitting = [choice for choice in now if _takes(choice.type, was.type)]
        if not fitting:
            yield Change(f"no longer takes {was.type}{_at(path)}", was.type, _types(now))
            continue
        yield from min((tuple(_narrower(was, choice, path, here)) for choice in fitting), key=len)


def _takes(now: str, was: str) -> bool:
    return now in ("anything", was) or (now, was) == ("number", "integer")


def _narrower(was: _Side, now: _Side, path: str, above: _Above) -> Iterator[Change]:
    if was.schema.get(OPAQUE) != now.schema.get(OPAQUE):
        yield _not_comparable(path)
        return
    yield from _values_gone(was, now, path)
    yield from _bounds(was, now, path)
    if now.refuses_unknown and not was.refuses_unknown and was.type in ("object", "anything"):
        yield Change(f"refuses unknown fields{_at(path)}")
    for name in sorted(now.required - was.required):
        yield Change(f"needs {_below(path, name)}", "optional" if name in was.properties else "", "required")
    for name, schema in was.properties.items():
        if name in now.properties:
            yield from _narrowed(was.of(schema), now.of(now.properties[name]), _below(path, name), above)
        elif isinstance(rest := now.schema.get("additionalProperties"), Mapping):
            yield from _narrowed(was.of(schema), now.of(rest), _below(path, name), above)
        else:
            yield Change(f"no longer takes {_below(path, name)}", _types(was.of(schema).choices()))
    if now.patterns and not was.refuses_unknown and now.patterns.keys() != was.patterns.keys():
        yield Change(f"has another pattern of names{_at(path)}", *(_words(list(side.patterns)) for side in (was, now)))
    if "propertyNames" in now.schema:
        yield from _narrowed(was.names, now.names, path + "{name}", above)
    for step, inner_was, inner_now in _inside(was, now):
        yield from _narrowed(inner_was, inner_now, path + step, above)


def _inside(was: _Side, now: _Side) -> Iterator[tuple[str, _Side, _Side]]:
    """What lists and maps hold."""
    inner_was, inner_now = was.schema.get("items"), now.schema.get("items")
    if isinstance(inner_now, Mapping) and inner_was is not False:
        yield "[]", was.of(inner_was), now.of(inner_now)
    for pattern, held_now in now.values.items():
        for held_was in [was.values[pattern]] if pattern in was.values else was.values.values():
            if isinstance(held_now, Mapping):
                yield "{}", was.of(held_was), now.of(held_now)
    if isinstance(tuple_now := now.schema.get("prefixItems"), list):
        tuple_was = was.schema.get("prefixItems")
        for place, inner in enumerate(tuple_now):
            known = tuple_was[place] if isinstance(tuple_was, list) and place < len(tuple_was) else {}
            yield f"[{place}]", was.of(known), now.of(inner)


def _values_gone(was: _Side, now: _Side, path: str) -> Iterator[Change]:
    taken = now.schema.get("enum")
    if not isinstance(taken, list):
        return
    known = was.schema.get("enum", [was.schema["const"]] if "const" in was.schema else None)
    if known is None:
        yield Change(f"takes only some values{_at(path)}", was.type, _words(taken))
    elif gone := [value for value in known if not any(_same(value, each) for each in taken)]:
        yield Change(f"no longer takes {_words(gone)}{_at(path)}", _words(known), _words(taken))


def _bounds(was: _Side, now: _Side, path: str) -> Iterator[Change]:
    for word in (*LOWER, *UPPER):
        old, new = was.schema.get(word), now.schema.get(word)
        if new is None or _no_bound(word, new) or (old is not None and _as_wide(word, old, new)):
            continue
        yield Change(f"has a tighter {word}{_at(path)}", "" if old is None else str(old), str(new))
    for word in EXACT:
        old, new = was.schema.get(word), now.schema.get(word)
        if word not in now.schema or (word == "uniqueItems" and new is False):
            continue
        if word in was.schema and _same(old, new):
            continue
        if word == "const" and _same(was.schema.get("enum"), [new]):
            continue
        yield Change(f"has another {word}{_at(path)}", str(old) if word in was.schema else "", str(new))


def _as_wide(word: str, old: float, new: float) -> bool:
    return new <= old if word in LOWER else new >= old


def _no_bound(word: str, bound: object) -> bool:
    return word in ("minLength", "minItems", "minProperties") and bound == 0


def _lost(before: _Side, after: _Side, path: str, above: _Above) -> Iterator[Change]:
    """Each alternative that there is now has to be one that readers know."""
    here = above.over(before, after)
    if here is None:
        return
    if here.are_too_many():
        yield _not_comparable(path)
        return
    known = before.choices()
    for now in after.choices():
        fitting = [choice for choice in known if _takes(choice.type, now.type)]
        if not fitting:
            yield Change(f"may be {now.type}{_at(path)}", _types(known), now.type)
            continue
        yield from min((tuple(_poorer(choice, now, path, here)) for choice in fitting), key=len)


def _poorer(was: _Side, now: _Side, path: str, above: _Above) -> Iterator[Change]:
    if was.schema.get(OPAQUE) != now.schema.get(OPAQUE):
        yield _not_comparable(path)
        return
    for name, schema in was.properties.items():
        place = _below(path, name)
        if name not in now.properties:
            yield Change(f"lost {place}", _types(was.of(schema).choices()))
            continue
        if name in was.required and name not in now.required:
            yield Change(f"may lack {place}", "always there", "optional")
        yield from _lost(was.of(schema), now.of(now.properties[name]), place, above)
    for step, inner_now, inner_was in _inside(now, was):
        yield from _lost(inner_was, inner_now, path + step, above)


def _not_comparable(path: str) -> Change:
    return Change(f"is not comparable{_at(path)}")


def _same(one: Any, other: Any) -> bool:
    """Whether both are the same JSON; to Python, false is 0."""
    return one is other or _text(one) == _text(other)


def _text(told: Any) -> str:
    return json.dumps(told, sort_keys=True)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def _types(choices: tuple[_Side, ...]) -> str:
    return " or ".join(dict.fromkeys(choice.type for choice in choices))


def _words(values: list[Any]) -> str:
    return ", ".join(map(str, values))
