"""Prices: decimal odds with at most three places, stored as integer thousandths so that money never needs floats."""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

LOWEST, HIGHEST = 1_001, 1_000_000
"""The range of prices, in thousandths: 1.001 to 1000."""

_TEXT = re.compile(r"([1-9][0-9]{0,3})(?:\.([0-9]{1,3}))?")
_TEXT_SCHEMA = {"type": "string", "pattern": rf"^{_TEXT.pattern}$"}
_NUMBER_SCHEMA = {"type": "number", "minimum": LOWEST / 1000, "maximum": HIGHEST // 1000}
_PRICE_RULE = "a price is a decimal from 1.001 to 1000 with at most 3 places"


@dataclass(frozen=True, order=True)
class Price:
    """The return of a winning stake of 1, in thousandths: 2500 is 2.50. In JSON, a price is a string."""

    thousandths: int

    @classmethod
    def of(cls, value: object) -> "Price":
        """Parse a price from a string or a number. Raises ValueError, with the format and range of a price."""
        thousandths = _thousandths(value)
        if thousandths is None or not LOWEST <= thousandths <= HIGHEST:
            raise ValueError(_PRICE_RULE)
        return cls(thousandths)

    @property
    def factor(self) -> Fraction:
        """The price as an exact fraction."""
        return Fraction(self.thousandths, 1000)

    def __str__(self) -> str:
        places = f"{self.thousandths % 1000:03d}"
        return f"{self.thousandths // 1000}.{places.removesuffix('0')}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: (
                value if isinstance(value, cls) else _known(value) if isinstance(value, str) else cls.of(value)
            ),
            serialization=core_schema.to_string_ser_schema(when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _TEXT_SCHEMA if handler.mode == "serialization" else {"anyOf": [_TEXT_SCHEMA, _NUMBER_SCHEMA]}


class PriceChange(StrEnum):
    """Which price a player accepts if it has moved: none but the requested one, also a higher one, or any."""

    NONE = "none"
    HIGHER = "higher"
    ANY = "any"


@lru_cache(maxsize=10_000)
def _known(value: str) -> Price:
    """Parse a price, with a cache, because a player's document repeats the same few hundred prices."""
    return Price.of(value)


def price_taken(asked: Price, current: Price, change: PriceChange) -> Price | None:
    """The price at which the bet is accepted, or None if the player does not accept the current price."""
    willing = {
        PriceChange.NONE: current == asked,
        PriceChange.HIGHER: current >= asked,
        PriceChange.ANY: True,
    }
    return current if willing[change] else None


def _thousandths(value: object) -> int | None:
    match value:
        case str() if text := _TEXT.fullmatch(value):
            return int(text[1]) * 1000 + int((text[2] or "").ljust(3, "0"))
        case int():  # includes True and False: 1 and 0 are outside the range
            return value * 1000
        case float() if 1 <= value <= 1000:  # excludes infinity and NaN
            thousandths = round(value * 1000)
            return thousandths if thousandths / 1000 == value else None
        case _:
            return None
