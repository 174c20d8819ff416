"""Prices: decimal odds with at most three places, kept as whole thousandths so that no float ever touches money."""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any

from pydantic_core import core_schema

LOWEST, HIGHEST = 1_001, 1_000_000
"""The range of prices, in thousandths: 1.001 to 1000."""

_TEXT = re.compile(r"([1-9][0-9]{0,3})(?:\.([0-9]{1,3}))?")
_PRICE_RULE = "a price is a decimal from 1.001 to 1000 with at most 3 places"


@dataclass(frozen=True, order=True)
class Price:
    """What a stake of 1 returns if it wins, in thousandths: 2500 is 2.50. In JSON it is a string."""

    thousandths: int

    @classmethod
    def of(cls, value: object) -> "Price":
        """Read a price that was given as a string or a number; `ValueError` says what a price is."""
        thousandths = _thousandths(value)
        if thousandths is None or not LOWEST <= thousandths <= HIGHEST:
            raise ValueError(_PRICE_RULE)
        return cls(thousandths)

    @property
    def factor(self) -> Fraction:
        """The price as an exact number."""
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
            json_schema_input_schema=core_schema.union_schema([core_schema.str_schema(), core_schema.float_schema()]),
            serialization=core_schema.to_string_ser_schema(when_used="json"),
        )


class PriceChange(StrEnum):
    """What a player takes when the price has moved: the asked one or nothing, also a better one, or the current one."""

    NONE = "none"
    HIGHER = "higher"
    ANY = "any"


@lru_cache(maxsize=10_000)
def _known(value: str) -> Price:
    """Read a price once: a player's document holds the same few hundreds again and again."""
    return Price.of(value)


def price_taken(asked: Price, current: Price, change: PriceChange) -> Price | None:
    """The price a player bets at, or None where the player would rather not bet."""
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
        case int():  # also true and false, which are 1 and 0 and so no prices
            return value * 1000
        case float() if 1 <= value <= 1000:  # neither infinite nor no number at all
            thousandths = round(value * 1000)
            return thousandths if thousandths / 1000 == value else None
        case _:
            return None
