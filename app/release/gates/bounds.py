"""How much the gates look at: a release is to take no longer because much is stored or in flight."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from pydantic.alias_generators import to_camel

T = TypeVar("T")


@dataclass(frozen=True)
class StateBounds:
    """How many documents are read back."""

    per_service: int = 60
    """Documents of one service."""
    max_bytes: int = 32 * 1024 * 1024
    """Of all documents together."""
    seconds: float = 20
    """After which no further documents are read."""


@dataclass(frozen=True)
class ReplayBounds:
    """How many journals are replayed."""

    per_handler: int = 5
    """The oldest invocations of each handler, beside all that are paused."""
    most: int = 500
    max_bytes: int = 16 * 1024 * 1024
    """Of one journal with its state."""
    seconds: float = 25
    """After which no further journal is replayed."""


@dataclass(frozen=True)
class Bounds:
    """What the values bound."""

    state: StateBounds = field(default_factory=StateBounds)
    replay: ReplayBounds = field(default_factory=ReplayBounds)


def read(told: str | None) -> Bounds:
    """The bounds that the anchor tells as JSON; what it does not tell, an older chart's, is as above."""
    said = json.loads(told or "{}")
    return Bounds(_read(StateBounds, said.get("state", {})), _read(ReplayBounds, said.get("replay", {})))


def _read(kind: type[T], said: Mapping[str, Any]) -> T:
    names = {each.name: to_camel(each.name) for each in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: said[told] for name, told in names.items() if told in said})
