"""How the project's values look in JSON, and who may add fields to them."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic.alias_generators import to_camel

MAX_AMOUNT = 1_000_000_000_000
"""The largest amount of one movement, in minor units: ten thousand million euros."""


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC to the millisecond: 2026-01-31T12:00:00.000Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, AfterValidator(_utc), PlainSerializer(iso, return_type=str, when_used="json")]
Id = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._:@-]{1,64}$")]
Amount = Annotated[int, Field(strict=True, gt=0, le=MAX_AMOUNT)]
Currency = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]

_ID: TypeAdapter[str] = TypeAdapter(Id)


def is_id(text: str) -> bool:
    """Whether a text can be somebody's or something's id."""
    try:
        _ID.validate_python(text)
    except ValidationError:
        return False
    return True


class Wire(BaseModel):
    """What travels between our own components: camelCase, frozen, and blind to fields of a newer version."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True, frozen=True
    )


class PublicRequest(Wire):
    """What strangers send us: a field we do not know is refused, so that a typing error cannot pass silently."""

    model_config = ConfigDict(extra="forbid", validate_by_name=False)


class State(Wire):
    """What is stored. Versions side by side share it: unknown fields are kept, new ones have defaults."""

    model_config = ConfigDict(extra="allow")
