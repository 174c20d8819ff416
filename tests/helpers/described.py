"""Whether a request or an answer is one that the description of the API has."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from app import __version__
from app.composition import SERVICES
from app.openapi.document import document
from app.services.shell.access import public_handlers


@cache
def described() -> dict[str, Any]:
    """The description as it is now."""
    return document(public_handlers(SERVICES), __version__)


def problems(schema: Mapping[str, object], value: object) -> list[str]:
    """What is wrong with a value, by a schema of the description."""
    return [f"{error.json_path}: {error.message}" for error in _validator(json.dumps(schema)).iter_errors(value)]


@cache
def _validator(schema: str) -> OAS31Validator:
    """The validator of a schema, which is made once: it is made of the whole description."""
    whole = {**json.loads(schema), "components": described()["components"]}
    return OAS31Validator(whole, format_checker=oas31_format_checker)


def content_of(body: Mapping[str, Any]) -> Mapping[str, object]:
    """The schema of a request's body or of a response, wherever it stands."""
    _, _, shared = body.get("$ref", "").rpartition("/")
    told = described()["components"]["responses"][shared] if shared else body
    schema: Mapping[str, object] = told["content"]["application/json"]["schema"]
    return schema


def check_answer(answer: httpx.Response) -> None:
    """Check that an answer of a public handler has the status and the content that the description says.

    What Restate answers by itself has no place in it, such as that an operator stopped a request: it names no reason.
    Nor has what went wrong on our side, unless it names one.
    """
    operation = _operation(answer.request.url.path)
    told = answer.headers.get("content-type")
    if operation is None or told != "application/json":
        return
    answer.read()
    content = answer.json()
    if content.get("source") == "ingress" or (answer.is_error and "reason" not in content.get("metadata", {})):
        return
    where = f"{operation} answers {answer.status_code} {json.dumps(content)}"
    response = described()["paths"][operation]["post"]["responses"].get(str(answer.status_code))
    assert response is not None, f"{where}, and its description has no such status"
    wrong = problems(content_of(response), content)
    assert wrong == [], f"{where}, which does not fit its description: {wrong}"


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {path: re.compile(re.sub(r"\{\w+\}", "[^/]*", path)) for path in described()["paths"]}


def _operation(path: str) -> str | None:
    return next((template for template, pattern in _patterns().items() if pattern.fullmatch(path)), None)
