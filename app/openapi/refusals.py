"""How refusals are described: the one shape that all have, and the reasons of each status."""

from collections import defaultdict
from typing import Any

from app.domain.refusals import TERMS, Refusal
from app.edge.bootstrap import MESSAGES, REFUSED
from app.services.shell.access import PublicHandler
from app.services.shell.wire import UNREADABLE

Json = dict[str, Any]

OF_THE_DOOR = {status: reason for status, (told, reason) in REFUSED.items() if status == told}
"""What the door refuses by itself: the reason of each status."""
_NAMES = {
    400: "InvalidRequest",
    401: "Unauthenticated",
    404: "NotFound",
    408: "TooSlow",
    413: "BodyTooLarge",
    429: "TooManyRequests",
    431: "HeadersTooLarge",
    503: "Unavailable",
    504: "NoAnswer",
}
"""The responses that are the same of many operations: those whose only reason is the door's."""
assert _NAMES.keys() == OF_THE_DOOR.keys()
_UNREADABLE = "UnreadableDocument"

RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}

SCHEMAS: Json = {
    "RefusalAnswer": {
        "description": "Why nothing was done.",
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "integer", "description": "The HTTP status."},
            "message": {"type": "string", "description": "For people; it may change."},
            "metadata": {"$ref": "#/components/schemas/RefusalMetadata"},
            "source": {"type": "string", "description": "Who refused: `edge` (the door), `ingress` or `invocation`."},
        },
    },
    "RefusalMetadata": {
        "description": "The reason, and what belongs to it, such as `remaining` of a limit. Only a request that an "
        "operator stopped, or an error of ours, has none.",
        "type": "object",
        "required": ["reason"],
        "properties": {
            "reason": {
                "description": "New reasons may be added; none is ever renamed.",
                "anyOf": [
                    {"$ref": "#/components/schemas/Refusal"},
                    {"$ref": "#/components/schemas/DoorRefusal"},
                    {"type": "string"},
                ],
            }
        },
        "additionalProperties": {"type": "string"},
    },
    "Refusal": {
        "description": "The reasons for which the service refuses a request.",
        "type": "string",
        "enum": list(Refusal),
    },
    "DoorRefusal": {
        "description": "The reasons for which only the door refuses a request.",
        "type": "string",
        "enum": sorted(set(OF_THE_DOOR.values()) - set(Refusal)),
    },
}

_REFUSAL = {"$ref": "#/components/schemas/RefusalAnswer"}


def _with_reasons(given: list[str]) -> Json:
    """A refusal with one of some reasons. Validators read which; generators read the shape that all refusals have."""
    return {**_REFUSAL, "properties": {"metadata": {"properties": {"reason": {"enum": given}}}}}


RESPONSES: Json = {
    name: {
        "description": ": ".join([f"`{reason}`", *([MESSAGES[status]] if status in MESSAGES else [])]) + ".",
        **({"headers": RETRY_AFTER} if status in (429, 503) else {}),
        "content": {"application/json": {"schema": _with_reasons([reason])}},
    }
    for status, name in _NAMES.items()
    for reason in [OF_THE_DOOR[status]]
} | {
    _UNREADABLE: {
        "description": f"`{UNREADABLE}`: What is stored of it cannot be read. Nothing about the request is wrong, and "
        "an operator has to act.",
        "content": {"application/json": {"schema": _with_reasons([UNREADABLE])}},
    }
}


def reasons(handler: PublicHandler) -> dict[int, list[str]]:
    """Every reason for which a request to a handler can be refused, by the service or by the door, by HTTP status."""
    given: dict[int, list[str]] = defaultdict(list)
    for refusal in (*handler.access.refusals, *handler.refuses):
        given[TERMS[refusal].status].append(refusal.value)
    for status, reason in OF_THE_DOOR.items():
        of_tokens = status == TERMS[Refusal.UNAUTHENTICATED].status
        if reason not in given[status] and (handler.access.needs_token or not of_tokens):
            given[status].append(reason)
    return {status: given[status] for status in sorted(given) if given[status]}


def responses(handler: PublicHandler) -> Json:
    """The description of a handler's refusals, and of its failure that has a reason, by HTTP status."""
    refused = {
        str(status): _shared(_NAMES[status]) if given == [OF_THE_DOOR.get(status)] else _described(given)
        for status, given in reasons(handler).items()
    }
    failed = {"500": _shared(_UNREADABLE)} if handler.only_reads else {}
    return dict(sorted((refused | failed).items()))


def _shared(name: str) -> Json:
    return {"$ref": f"#/components/responses/{name}"}


def _described(given: list[str]) -> Json:
    """A response with some reasons, and those of them that pass by themselves."""
    transient = [reason for reason in given if reason in list(Refusal) and TERMS[Refusal(reason)].transient]
    passing = f" May pass by itself: {_in_words(transient)}." if transient else ""
    return {
        "description": f"{_in_words(given)}.{passing}",
        "content": {"application/json": {"schema": _with_reasons(given)}},
    }


def _in_words(given: list[str]) -> str:
    return ", ".join(f"`{reason}`" for reason in given)
