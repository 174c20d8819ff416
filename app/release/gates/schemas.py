"""What changed between two JSON schemas, as those see it who send a request or read an answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "const")
"""Whether one lets through all that another does cannot be told: each change of these counts as narrower."""
DEEPEST = 40
"""Schemas below each other; a recursive one has no end, and repeats what was compared above."""


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
        """Another schema of the same document; `true` takes all."""
        return _Side(schema if isinstance(schema, Mapping) else {}, self.root)

    def resolved(self) -> "_Side":
        """What a reference refers to."""
        side = self
        for _ in range(DEEPEST):
            reference = side.schema.get("$ref")
            if not isinstance(reference, str):
                return side
            found: Any = self.root
            for part in reference.removeprefix("#/").split("/"):
                found = found.get(part, {}) if isinstance(found, Mapping) else {}
            side = self.of(found)
        return self.of({})

    def choices(self) -> tuple["_Side", ...]:
        """The alternatives of a schema, each with one type; without a type it is one that may be anything."""
        side = self.resolved()
        for word in ("anyOf", "oneOf"):
            if isinstance(among := side.schema.get(word), list):
                return tuple(choice for each in among for choice in side.of(each).choices())
        if isinstance(types := side.schema.get("type"), list):
            return tuple(side.of({**side.schema, "type": each}) for each in types)
        return (side,)

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
    def refuses_unknown(self) -> bool:
        return self.schema.get("additionalProperties") is False


def narrowed(before: Schema | None, after: Schema | None) -> tuple[Change, ...]:
    """What a request may no longer be."""
    if before is None or after is None:
        return _bodies(before, after)
    return _unique(_narrowed(_Side(before, before), _Side(after, after), "", 0))


def lost(before: Schema | None, after: Schema | None) -> tuple[Change, ...]:
    """What a reader of the answer no longer finds, or finds as something else."""
    if before is None:
        return ()
    if after is None:
        return (Change("is gone", before=_Side(before, before).resolved().type),)
    return _unique(_lost(_Side(before, before), _Side(after, after), "", 0))


def _bodies(before: Schema | None, after: Schema | None) -> tuple[Change, ...]:
    if before is None and after is not None:
        choices = _Side(after, after).choices()
        if any(choice.type == "anything" or not choice.required for choice in choices):
            return ()
        return tuple(Change(f"needs {name}") for name in sorted(choices[0].required))
    return (Change("is no longer taken"),) if before is not None and after is None else ()


def _unique(changes: Iterator[Change]) -> tuple[Change, ...]:
    return tuple(dict.fromkeys(changes))


def _narrowed(before: _Side, after: _Side, path: str, depth: int) -> Iterator[Change]:
    """Each alternative that was taken has to be taken by one that there is now."""
    if depth > DEEPEST:
        return
    now = after.choices()
    for was in before.choices():
        fitting = [choice for choice in now if _takes(choice.type, was.type)]
        if not fitting:
            yield Change(f"no longer takes {was.type}{_at(path)}", was.type, _types(now))
            continue
        yield from min((tuple(_narrower(was, choice, path, depth)) for choice in fitting), key=len)


def _takes(now: str, was: str) -> bool:
    return now in ("anything", was) or (now, was) == ("number", "integer")


def _narrower(was: _Side, now: _Side, path: str, depth: int) -> Iterator[Change]:
    yield from _values_gone(was, now, path)
    yield from _bounds(was, now, path)
    if now.refuses_unknown and not was.refuses_unknown and was.type in ("object", "anything"):
        yield Change(f"refuses unknown fields{_at(path)}")
    for name in sorted(now.required - was.required):
        yield Change(f"needs {_below(path, name)}", "optional" if name in was.properties else "", "required")
    for name, schema in was.properties.items():
        if name in now.properties:
            yield from _narrowed(was.of(schema), now.of(now.properties[name]), _below(path, name), depth + 1)
        elif isinstance(rest := now.schema.get("additionalProperties"), Mapping):
            yield from _narrowed(was.of(schema), now.of(rest), _below(path, name), depth + 1)
        else:
            yield Change(f"no longer takes {_below(path, name)}", was.of(schema).resolved().type)
    for step, inner_was, inner_now in _inside(was, now):
        yield from _narrowed(inner_was, inner_now, path + step, depth + 1)


def _inside(was: _Side, now: _Side) -> Iterator[tuple[str, _Side, _Side]]:
    """What lists and maps hold."""
    for word, step in (("items", "[]"), ("additionalProperties", "{}")):
        inner_was, inner_now = was.schema.get(word), now.schema.get(word)
        if isinstance(inner_now, Mapping) and inner_was is not False and (inner_was is not None or word == "items"):
            yield step, was.of(inner_was), now.of(inner_now)
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
    elif gone := [value for value in known if value not in taken]:
        yield Change(f"no longer takes {_words(gone)}{_at(path)}", _words(known), _words(taken))


def _bounds(was: _Side, now: _Side, path: str) -> Iterator[Change]:
    for word in (*LOWER, *UPPER):
        old, new = was.schema.get(word), now.schema.get(word)
        if new is None or _no_bound(word, new) or (old is not None and _as_wide(word, old, new)):
            continue
        yield Change(f"has a tighter {word}{_at(path)}", "" if old is None else str(old), str(new))
    for word in EXACT:
        old, new = was.schema.get(word), now.schema.get(word)
        if new not in (None, False) and new != old and not (word == "const" and was.schema.get("enum") == [new]):
            yield Change(f"has another {word}{_at(path)}", "" if old is None else str(old), str(new))


def _as_wide(word: str, old: float, new: float) -> bool:
    return new <= old if word in LOWER else new >= old


def _no_bound(word: str, bound: object) -> bool:
    return word in ("minLength", "minItems", "minProperties") and bound == 0


def _lost(before: _Side, after: _Side, path: str, depth: int) -> Iterator[Change]:
    """Each alternative that there is now has to be one that readers know."""
    if depth > DEEPEST:
        return
    known = before.choices()
    for now in after.choices():
        fitting = [choice for choice in known if _takes(choice.type, now.type)]
        if not fitting:
            yield Change(f"may be {now.type}{_at(path)}", _types(known), now.type)
            continue
        yield from min((tuple(_poorer(choice, now, path, depth)) for choice in fitting), key=len)


def _poorer(was: _Side, now: _Side, path: str, depth: int) -> Iterator[Change]:
    for name, schema in was.properties.items():
        place = _below(path, name)
        if name not in now.properties:
            yield Change(f"lost {place}", was.of(schema).resolved().type)
            continue
        if name in was.required and name not in now.required:
            yield Change(f"may lack {place}", "always there", "optional")
        yield from _lost(was.of(schema), now.of(now.properties[name]), place, depth + 1)
    for step, inner_now, inner_was in _inside(now, was):
        yield from _lost(inner_was, inner_now, path + step, depth + 1)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def _types(choices: tuple[_Side, ...]) -> str:
    return " or ".join(dict.fromkeys(choice.type for choice in choices))


def _words(values: list[Any]) -> str:
    return ", ".join(map(str, values))
