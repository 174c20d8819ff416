"""Base models and common field types: their JSON form, and whether unknown fields are allowed."""

import re
from datetime import UTC, datetime
from typing import Annotated

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
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254, pattern=r"^[^@\s\x00-\x1f<>,;:\"()]+@[^@\s\x00-\x1f<>,;:\"()]+$"),
]
Amount = Annotated[int, Field(strict=True, gt=0, le=MAX_AMOUNT)]


def _no_control_characters(text: str) -> str:
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text):
        raise ValueError("control characters are not allowed")
    return text


NoControls = AfterValidator(_no_control_characters)
"""For text that people read. Tabs and line feeds are allowed."""
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
