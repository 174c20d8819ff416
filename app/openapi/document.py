"""The description of the API as an OpenAPI document: of exactly what the door lets through, and nothing else.

It is made of what the public handlers declare: their requests and answers, who may call them and what they refuse with.
"""

import json
from collections.abc import Iterable
from typing import Any

from app.domain.access import Owner, Role
from app.openapi.examples import EXAMPLES
from app.openapi.names import SERVICES, key_name, key_pattern, operation_id, path
from app.openapi.refusals import RESPONSES, SCHEMAS, responses
from app.openapi.schemas import reference, schemas_of, takes_body
from app.services.shell.access import PublicHandler
from app.services.shell.requests import JSON

Json = dict[str, Any]

ABOUT = """\
A betting back office: deposits, withdrawals, markets, bets and settlement.

Amounts are integers in minor units of their currency. Times are ISO 8601 in UTC. Prices are decimals as text; a request
may also have them as numbers. Fields that a request does not know are refused.

A refusal changes nothing, and says why in `metadata.reason`. Some reasons pass by themselves, with time or as others
act: then the same request may be accepted later. A request that is repeated with the same ids and content gets the same
answer.
"""

SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Everybody with a token may use what is their own; its roles allow more.",
    }
}
PARAMETERS = {
    "IdempotencyKey": {
        "name": "idempotency-key",
        "in": "header",
        "description": "Requests of one user with the same key are one request, and have one answer, for a day. Ids in "
        "the body do the same, for ever.",
        "required": False,
        "schema": {"type": "string", "maxLength": 256},
    },
    "WebhookSignature": {
        "name": "webhook-signature",
        "in": "header",
        "description": 'The provider\'s signature: `t=<unix second>,v1=<hex HMAC-SHA256 of "<second>.<body>">`.',
        "required": True,
        "schema": {"type": "string"},
    },
}


def document(handlers: Iterable[PublicHandler], version: str) -> Json:
    """Describe these handlers. Raises ValueError for one that has no name of its own, or whose models have none."""
    rank = list(SERVICES)
    ordered = sorted(handlers, key=lambda handler: rank.index(handler.service))
    paths = {path(handler): {"post": _operation(handler)} for handler in ordered}
    names = [operation["post"]["operationId"] for operation in paths.values()]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"operations need names of their own: {', '.join(sorted(twice))}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Betting", "version": version, "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in SERVICES.items()],
        "paths": paths,
        "components": {
            "schemas": {**schemas_of(ordered), **SCHEMAS},
            "responses": RESPONSES,
            "parameters": PARAMETERS,
            "securitySchemes": SECURITY,
        },
    }


def as_text(described: Json) -> str:
    """The document as it is kept and served: one line for each value, for whoever compares two of them."""
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def _operation(handler: PublicHandler) -> Json:
    summary, description = _said(handler.text)
    operation: Json = {
        "operationId": operation_id(handler),
        "tags": [handler.service],
        "summary": summary,
        "description": f"{description}\n\n{_callers(handler)}".strip(),
        "x-betting-roles": _roles(handler),
        "security": [{"token": []}] if handler.access.needs_token else [],
        "parameters": _parameters(handler),
    }
    if takes_body(handler):
        operation["requestBody"] = _body(handler)
    operation["responses"] = {"200": _answer(handler), **responses(handler)}
    return operation


def _body(handler: PublicHandler) -> Json:
    example = EXAMPLES.get(f"{handler.service}/{handler.handler}")
    content = {"schema": reference(handler.request), **({"example": example} if example else {})}
    is_needed = any(field.is_required() for field in handler.request.model_fields.values())
    return {"required": is_needed, "content": {JSON: content}}


def _answer(handler: PublicHandler) -> Json:
    text, _ = _said(handler.answer.__doc__ or "")
    return {"description": text, "content": {JSON: {"schema": reference(handler.answer)}}}


def _parameters(handler: PublicHandler) -> list[Json]:
    given: list[Json] = []
    if handler.keyed:
        name = key_name(handler)
        schema = {"type": "string", "pattern": key_pattern(name)}
        given.append({"name": name, "in": "path", "required": True, "schema": schema})
    if handler.access.needs_token:
        given.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if Role.PROVIDER in handler.access.roles:
        given.append({"$ref": "#/components/parameters/WebhookSignature"})
    return given


def _roles(handler: PublicHandler) -> list[str]:
    return [*([Role.PLAYER] if handler.access.owner else []), *handler.access.roles]


def _callers(handler: PublicHandler) -> str:
    whose = {
        Owner.KEY: "the player in the address",
        Owner.BODY: "the player in the body",
        Owner.DOCUMENT: "the player whose it is",
    }
    words = {Role.PROVIDER: "the payment provider, by its signature", Role.ANYONE: "anyone"}
    owner = [whose[handler.access.owner]] if handler.access.owner else []
    roles = [words.get(role, f"the role `{role}`") for role in handler.access.roles]
    return f"For {' or '.join([*owner, *roles])}."


def _said(text: str) -> tuple[str, str]:
    """A docstring's first sentence, and the rest of its first paragraph. The others are for readers of the code."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    first, *rest = paragraph.split(". ", maxsplit=1)
    return first.removesuffix("."), rest[0] if rest else ""
