"""Whether a stored document can be read by this code, and what of it would be lost or changed when it is written back.

A field is lost if the stored JSON says something in it, and the JSON that is written back does not have it. Null,
false, 0, an empty text, list or map says nothing there: models leave such fields out on purpose, and read them back as
they were. What is written besides is no loss: new fields with their defaults are how a document of an old form is
upgraded. A moment may be written otherwise as long as it is the same moment.

What is told never has a value of a document, nor a key of one of its maps, which may be a person's: such a key is `*`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from app.services.shell.wire import UnreadableError
from app.services.stored import Stored

MAX_PATHS = 20
"""The most paths or problems that one document names."""
_SHOWING = {"value_error", "assertion_error", "union_tag_invalid"}
"""Kinds of errors whose message may show the value: those of our own checks, and one of pydantic's."""
_SAFE = set(get_args(ErrorType)) - _SHOWING


@dataclass(frozen=True)
class ReadBack:
    """What became of a document; all is empty if it was read and written back whole."""

    unreadable: tuple[str, ...] = ()
    """Why it cannot be read: a field and what is wrong with it, each."""
    lost: tuple[str, ...] = ()
    """Paths of what is not written back."""
    changed: tuple[str, ...] = ()
    """Paths of what is written back with another value."""


def read_back(kind: Stored, stored: bytes) -> ReadBack:
    """Read a document as the services do, write it as they do, and compare."""
    if not stored:
        return ReadBack(unreadable=("it is empty",))
    try:
        loaded = kind.serde.deserialize(stored)
        written = kind.serde.serialize(loaded)
        again = kind.serde.deserialize(written)
    except ValidationError as error:
        return ReadBack(unreadable=tuple(dict.fromkeys(islice(_problems(kind.model, error), MAX_PATHS))))
    except UnreadableError as error:
        return ReadBack(unreadable=(str(error),))
    except (ValueError, TypeError) as error:
        return ReadBack(unreadable=(f"it cannot be unpacked: {type(error).__name__}",))
    if kind.model is None:
        return ReadBack(changed=() if _same(kind, stored, written) else ("the whole document",))
    lost: dict[str, None] = {}
    changed: dict[str, None] = {}
    for path, is_lost in _differences(json.loads(stored), json.loads(written), loaded, ""):
        (lost if is_lost else changed)[path or "the whole document"] = None
    if again != loaded and not (lost or changed):
        changed["a field that is left out and has another default"] = None
    return ReadBack((), tuple(islice(lost, MAX_PATHS)), tuple(islice(changed, MAX_PATHS)))


def _same(kind: Stored, stored: bytes, written: bytes) -> bool:
    return bool(kind.serde.deserialize(stored) == kind.serde.deserialize(written))


def _differences(stored: Any, written: Any, loaded: Any, path: str) -> Iterator[tuple[str, bool]]:
    """Paths at which these differ; True with those of which nothing is written."""
    if isinstance(stored, dict) and isinstance(written, dict):
        for name, value in stored.items():
            below, deeper = _member(loaded, name)
            if name in written:
                yield from _differences(value, written[name], deeper, _joined(path, below))
            elif value:
                yield _joined(path, below), True
    elif isinstance(stored, list) and isinstance(written, list):
        items = loaded if isinstance(loaded, list | tuple) and len(loaded) == len(written) else [None] * len(written)
        for before, after, item in zip(stored, written, items, strict=False):
            yield from _differences(before, after, item, _joined(path, "*"))
        if len(stored) != len(written):
            yield _joined(path, "*"), len(stored) > len(written)
    elif not _equal(stored, written):
        yield path, False


def _member(loaded: Any, name: str) -> tuple[str, Any]:
    """What this member is called in a path, and what it was read as."""
    if isinstance(loaded, BaseModel):
        for field, info in type(loaded).model_fields.items():
            if name in (field, info.alias, info.serialization_alias):
                return name, getattr(loaded, field)
        return name, None
    return "*", loaded.get(name) if isinstance(loaded, Mapping) else None


def _equal(stored: Any, written: Any) -> bool:
    if type(stored) is bool or type(written) is bool:
        return stored is written
    if stored == written:
        return True
    try:
        return datetime.fromisoformat(stored) == datetime.fromisoformat(written)
    except (TypeError, ValueError):
        return False


def _problems(model: type[BaseModel] | None, error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False):
        path = ""
        for step in _schema_path(model, problem["loc"]):
            path = _joined(path, step)
        kind = problem["type"]
        why = f"{kind}: {problem['msg']}" if kind in _SAFE else f"{kind}: a check of the model refuses it"
        yield f"{path or 'the whole document'}: {why}"


def _schema_path(model: type[BaseModel] | None, steps: tuple[int | str, ...]) -> Iterator[str]:
    """A pydantic error's path, with `*` for whatever is not the name of a field of a model."""
    expected: tuple[Any, ...] = () if model is None else (model,)
    for step in steps:
        known = [info for one in _models(expected) for info in _fields(one, step)]
        yield str(step) if known else "*"
        expected = tuple(info.annotation for info in known) if known else tuple(_inside(expected))


def _fields(model: type[BaseModel], step: int | str) -> Iterator[Any]:
    yield from (info for name, info in model.model_fields.items() if step in (name, info.alias))


def _models(types: tuple[Any, ...]) -> Iterator[type[BaseModel]]:
    for one in types:
        origin = get_origin(one)
        if origin is Annotated:
            yield from _models(get_args(one)[:1])
        elif origin in (Union, UnionType):
            yield from _models(get_args(one))
        elif isinstance(one, type) and issubclass(one, BaseModel):
            yield one


def _inside(types: tuple[Any, ...]) -> Iterator[Any]:
    """What a list or a map of these types holds."""
    for one in types:
        origin = get_origin(one)
        if origin is Annotated:
            yield from _inside(get_args(one)[:1])
        elif origin in (Union, UnionType):
            yield from _inside(get_args(one))
        else:
            yield from get_args(one)


def _joined(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step
