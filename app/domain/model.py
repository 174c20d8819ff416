"""Base models and common field types: their JSON form, and whether unknown fields are allowed."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from app.domain.currency import known_currency

MAX_AMOUNT = 1_000_000_000_000
"""The largest amount of one movement, in minor units: ten billion (10^10) euros."""

DEFAULT_CURRENCY = "EUR"
"""The house's currency if the operator has not chosen another."""


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("this moment is not in the calendar") from None


def iso(moment: datetime) -> str:
    """Format a time as ISO 8601 in UTC, with milliseconds: 2026-01-31T12:00:00.000Z."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


Moment = Annotated[
    datetime,
    AfterValidator(_utc),
    PlainSerializer(iso, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _written_out(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[Tt]", value)):
        return value
    raise ValueError("a moment is written as ISO 8601, as in 2026-01-31T12:00:00Z")


def _to_the_millisecond(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


GivenMoment = Annotated[Moment, BeforeValidator(_written_out), AfterValidator(_to_the_millisecond)]
"""A time in a public request: a number is not accepted, and fractions of a millisecond are cut off."""
DOTS = frozenset({".", ".."})
"""These are not valid ids, because every proxy reads them as path segments and changes the address."""


def _no_dots(text: str) -> str:
    if text in DOTS:
        raise ValueError(f"{text!r} is no id, for proxies would take it out of an address")
    return text


KnownId = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:@-]{1,64}$")]
"""An id that may be older than the rule against DOTS."""
Id = Annotated[
    KnownId,
    AfterValidator(_no_dots),
    WithJsonSchema({"type": "string", "pattern": r"^(?!\.{1,2}$)[A-Za-z0-9._:@-]{1,64}$"}),
]
_UNSEEN = "\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069"
"""Control characters but tab and line feed, line and paragraph separators, and what turns the direction of writing:
they hide text, or make a page, a table or a database show something else than was written."""
_HALVES = "\\ud800-\\udfff"
"""Halves of characters, which nothing can store. No schema names them: many readers see each emoji as two."""
_NOT_TEXT = re.compile(f"[{_UNSEEN}{_HALVES}]")
SHOWN = f"^[^{_UNSEEN}]*$"
"""The pattern of text that shows as it was written."""


def spelled_out(text: str) -> str:
    """The text, with the code of each character that does not show in its place."""
    return _NOT_TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _refuse_unseen(text: str) -> str:
    if found := _NOT_TEXT.search(text):
        what = "control characters, and what turns the direction of writing, are not allowed"
        raise ValueError(_remove(found, what))
    return text


def _refuse_unseen_text(value: object) -> object:
    return _refuse_unseen(value) if isinstance(value, str) else value


def _remove(found: re.Match[str], why: str) -> str:
    return f"remove U+{ord(found[0]):04X}, character {found.start() + 1}: {why}"


_Shown = AfterValidator(_refuse_unseen)
Text = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=200),
    _Shown,
    Field(json_schema_extra={"pattern": SHOWN}),
]
"""Text that strangers write and people read, such as a name. Tabs and line feeds are allowed. Every free text of a
public request is of this type, or a TrimmedText."""
TrimmedText = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=200, strip_whitespace=True),
    BeforeValidator(_refuse_unseen_text),  # what does not show is refused where it is, and not trimmed away
    Field(json_schema_extra={"pattern": SHOWN}),
]
"""A Text without blanks around it."""
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254, pattern=r"^[^@\s\x00-\x1f<>,;:\"()]+@[^@\s\x00-\x1f<>,;:\"()]+$"),
    _Shown,
]
Amount = Annotated[int, Field(strict=True, gt=0, le=MAX_AMOUNT)]


Currency = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(known_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"}),
]
"""A currency in a request. Stored documents accept any text, because what an earlier version stored must load."""

_ID: TypeAdapter[str] = TypeAdapter(Id)


def is_id(text: str) -> bool:
    """Whether a text is a valid id."""
    try:
        _ID.validate_python(text)
    except ValidationError:
        return False
    return True


def is_none(value: object) -> bool:
    """Whether a field is None. Used to leave out optional fields of stored list and map items."""
    return value is None


def is_empty(value: object) -> bool:
    """Whether a collection is empty or a count is 0. Used to leave out fields, like `is_none`."""
    return not value


class Wire(BaseModel):
    """Base of messages between our own components: camelCase, frozen, and ignoring fields of a newer version."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True, frozen=True
    )


class PublicRequest(Wire):
    """Base of public requests. Unknown fields are refused, so that a misspelt field name is noticed."""

    model_config = ConfigDict(extra="forbid", validate_by_name=False)


class State(Wire):
    """Base of stored state. Several versions share it, so unknown fields are kept and new fields have defaults."""

    model_config = ConfigDict(extra="allow")


Model = TypeVar("Model", bound=BaseModel)


def read_json(model: type[Model], body: bytes) -> Model:
    """Read a body that a stranger wrote. Raises ValidationError; it names the field that holds half a character.

    Half a character is no JSON, so that pydantic knows no more than its line and column.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid" or (half := _first_half(body)) is None:
            raise
        place, found = half
        cure = _remove(found, "it is half a character")
        problem = InitErrorDetails(
            type=PydanticCustomError("half_character", "{cure}", {"cure": cure}), loc=place, input=None
        )
        raise ValidationError.from_exception_data(model.__name__, [problem]) from None


def _first_half(body: bytes) -> tuple[tuple[int | str, ...], re.Match[str]] | None:
    """The first half of a character in a body, with the place of the field; None if there is none, or no JSON."""
    try:
        return next(_halves(json.loads(body), ()), None)
    except (ValueError, RecursionError):
        return None


def _halves(value: object, place: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], re.Match[str]]]:
    if isinstance(value, str) and (found := re.search(f"[{_HALVES}]", value)):
        yield place, found
    fields = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in fields:
        if isinstance(name, str) and (found := re.search(f"[{_HALVES}]", name)):
            yield (*place, name), found
        yield from _halves(inner, (*place, name))
