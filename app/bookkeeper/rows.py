"""Reads Restate's answer to a query row by row, so that an answer of any length takes little memory."""

import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder

from app.bookkeeper.queries import Row

_BEGINNING = re.compile(r'\s*\{\s*"rows"\s*:\s*\[')
_END = re.compile(r"\s*\]\s*\}\s*")
_BETWEEN = re.compile(r"[\s,]*")


class Rows:
    """An answer that is still coming. Text is fed in pieces, cut anywhere."""

    def __init__(self) -> None:
        self._decoder = JSONDecoder()
        self._left = ""
        self._begun = False

    def feed(self, text: str) -> Iterator[Row]:
        """Return the rows that are complete now. Raises ValueError for what is no answer to a query."""
        left, place = self._left + text, 0
        if not self._begun:
            if (beginning := _BEGINNING.match(left)) is None:
                self._left = left
                return
            self._begun, place = True, beginning.end()
        while True:
            place = _place_after(left, place)
            if not left.startswith("{", place):
                break
            try:
                row, place = self._decoder.raw_decode(left, place)
            except JSONDecodeError:
                break
            yield row
        self._left = left[place:]

    def end(self) -> None:
        """The text is over. Raises ValueError if the answer is not: then rows may be missing."""
        if not (self._begun and _END.fullmatch(self._left)):
            raise ValueError(f"the answer is cut off: {self._left[:200]!r}")


def _place_after(text: str, place: int) -> int:
    between = _BETWEEN.match(text, place)
    assert between is not None
    return between.end()
