"""What the door lets through: exactly the public handlers, each with exactly its method."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

# An id; clients that encode a whole path segment write ":" and "@" as %3A and %40. No other escape is let through, so
# that nobody after us can read another path than we did.
KEY = r"(?:[A-Za-z0-9._:@-]|%3[Aa]|%40){1,128}"

METHOD = "POST"


@dataclass(frozen=True, order=True)
class Route:
    """A public handler, as the door sees it."""

    service: str
    needs_token: bool
    handler: str
    keyed: bool


def match_of(service: str, handlers: Iterable[Route]) -> dict[str, object]:
    """What a request for one of a service's handlers looks like, its whole target included: a query is not among it."""
    targets = [f"{'KEY/' if route.keyed else ''}{re.escape(route.handler)}" for route in handlers]
    either = "|".join(target.replace("KEY/", f"{KEY}/") for target in targets)
    return _exactly(f"/{re.escape(service)}/", f"/{re.escape(service)}/(?:{either})")


def _exactly(prefix: str, target: str) -> dict[str, object]:
    return {
        "prefix": prefix,
        "headers": [
            {"name": ":path", "string_match": {"safe_regex": {"regex": target}}},
            {"name": ":method", "string_match": {"exact": METHOD}},
        ],
    }


def by_service(routes: Iterable[Route]) -> list[tuple[str, bool, list[Route]]]:
    """The handlers of each service, those that need a token apart from those that need none."""
    ordered = sorted(set(routes))
    return [
        (service, needs_token, list(group))
        for (service, needs_token), group in groupby(ordered, lambda route: (route.service, route.needs_token))
    ]


DOTS = {"safe_regex": {"regex": r".*/\.\.?(?:/.*)?"}}
"""A path with a segment that means another place; it matches the keys "." and ".." too."""
