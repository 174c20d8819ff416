"""Validates requests before a handler runs, so that an invalid one is refused instead of retried."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import restate
from pydantic import BaseModel, ValidationError
from restate.exceptions import TerminalError
from restate.extensions import current_context

from app.domain.access import Access, Owner
from app.domain.model import PublicRequest, is_id, read_json
from app.domain.refusals import Refusal, invalid_request
from app.services.shell.access import as_metadata, check_caller, check_owner
from app.services.shell.wire import FORGET_AT_ONCE, Json, RawBody, invalid, refuse

Model = TypeVar("Model", bound=BaseModel)

JSON = "application/json"
"""The content type of requests: Restate refuses any other. What a body holds is checked here, with our own errors."""
ANY = "*/*"
"""No content type is demanded of a body that is signed, or comes from Kafka: nothing is refused for its label."""


class EmptyRequest(PublicRequest):
    """The request of a handler without parameters: no body, or an empty object."""


class RequestBody(Json[Model]):
    """The body of a public request. A missing body is read as an empty object."""

    def __init__(self, model: type[Model], owner: Owner | None = None) -> None:
        super().__init__(model)
        self._names_owner = owner is Owner.BODY
        assert not self._names_owner or "user_id" in model.model_fields, f"{model.__name__} has no userId"

    def deserialize(self, buf: bytes) -> Model:
        """Parse and validate a body. Raises ValidationError; refuses a body that is about another player."""
        body = read_json(self.model, buf if buf.strip() else b"{}")
        if self._names_owner:
            check_owner(getattr(body, "user_id"))  # noqa: B009  # the model is a type variable
        return body


def takes(
    model: type[PublicRequest], access: Access, *refuses: Refusal, reads: bool = False, repeatable: bool = False
) -> dict[str, Any]:
    """The options of a public handler: its request, who may call it, and its refusals.

    Not among the refusals are those of every handler: of an invalid request, and of a caller without access.
    `reads` is one that only reads; no component calls it, and its own calls have the headers `passed_on()`.
    `repeatable` is one whose ids make a repetition harmless for ever. Restate keeps no answer of either. It would keep
    each for a day otherwise, whether the request has an idempotency key or not. It keeps the answer of a workflow's
    handler with its journal, so that is not kept either.
    """
    kept = {"idempotency_retention": FORGET_AT_ONCE, "journal_retention": FORGET_AT_ONCE}
    return {
        "accept": JSON,
        "input_serde": RequestBody(model, access.owner),
        "metadata": as_metadata(access, refuses, reads),
        **(kept if reads or repeatable else {}),
    }


def takes_bytes(model: type[BaseModel], access: Access, *refuses: Refusal) -> dict[str, Any]:
    """The options of a public handler that parses its body itself; `model` describes the body.

    It is repeatable, because events and records have ids.
    """
    return {
        "accept": ANY,
        "input_serde": RawBody(model),
        "metadata": as_metadata(access, refuses),
        "idempotency_retention": FORGET_AT_ONCE,
    }


def key_is(name: str, *others: str):  # type: ignore[no-untyped-def]  # the SDK wants a plain callable
    """A context manager for objects. Refuses invalid requests, and keys that are neither valid ids nor in `others`."""

    @asynccontextmanager
    async def checked() -> AsyncIterator[None]:
        context = current_context()
        assert isinstance(context, restate.ObjectContext)
        async with requests_checked():
            if context.key() not in others and not is_id(context.key()):
                invalid(f"{name}: must be 1 to 64 of the characters A-Z a-z 0-9 . _ : @ -, and not . or ..")
            yield

    return checked


@asynccontextmanager
async def requests_checked() -> AsyncIterator[None]:
    """Refuse a caller without access, and answer an invalid body with a 400 that names each bad field.

    Without this, the SDK would answer 500.
    """
    check_caller()
    try:
        yield
    except TerminalError as error:
        if isinstance(error.__cause__, ValidationError):
            refuse(invalid_request(error.__cause__))
        if isinstance(error.__cause__, TerminalError):
            raise error.__cause__ from None  # the body was refused while it was parsed
        raise
