"""What a query asks for."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
    (?P<clause>\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\))
    | (?P<offset>\boffset\s+\w+)
    | (?P<window>\[[^\]]*\])
    | (?P<function>\b[a-z_]+\s*(?=\(|\sby\b))
    | (?P<infinite>\bInf\b)
    | (?P<selector>[a-zA-Z_:][\w:]*(?:\{(?:"(?:[^"\\]|\\.)*"|[^"}])*\})?)
    | (?P<number>[\d.]+(?:e\d+)?)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPERATORS = {"and", "or", "unless"}


def selectors(query: str) -> Iterator[str]:
    """Every metric that a query uses, with the labels that it asks for."""
    for token in _TOKEN.finditer(query):
        if (selector := token["selector"]) and selector not in _OPERATORS:
            yield selector


def metric(selector: str) -> str:
    """The name in a selector."""
    return selector.split("{", 1)[0]
