"""Requests are checked on the way in, so that one that cannot be understood is refused and not retried."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import restate
from pydantic import BaseModel, ValidationError
from restate.exceptions import TerminalError
from restate.extensions import current_context
from restate.serde import BytesSerde

from app.domain.access import Access, Owner
from app.domain.model import PublicRequest, is_id
from app.domain.refusals import invalid_request
from app.services.shell.access import as_metadata, check_caller, check_owner
from app.services.shell.wire import Json, invalid, refuse

Model = TypeVar("Model", bound=BaseModel)

ANY = "*/*"
"""What public handlers accept: we read and judge every body ourselves, so that each refusal names its field."""


class EmptyRequest(PublicRequest):
    """The request of a handler that needs none: no body, or an empty object."""


class RequestBody(Json[Model]):
    """A public request's body. No body at all is read as an empty object, which few requests accept."""

    def __init__(self, model: type[Model], owner: Owner | None = None) -> None:
        super().__init__(model)
        self._names_owner = owner is Owner.BODY
        assert not self._names_owner or "user_id" in model.model_fields, f"{model.__name__} has no userId"

    def deserialize(self, buf: bytes) -> Model:
        """Read and check a body, raising pydantic's error; refuse one that is about another player's money."""
        body = self.model.model_validate_json(buf if buf.strip() else b"{}")
        if self._names_owner:
            check_owner(getattr(body, "user_id"))  # noqa: B009  # the model is a type variable
        return body


def takes(model: type[PublicRequest], access: Access) -> dict[str, Any]:
    """The options of a public handler that takes such a request, from those who may send it."""
    return {"accept": ANY, "input_serde": RequestBody(model, access.owner), "metadata": as_metadata(access)}


def takes_bytes(access: Access) -> dict[str, Any]:
    """The options of a public handler that reads its body itself."""
    return {"accept": ANY, "input_serde": BytesSerde(), "metadata": as_metadata(access)}


def key_is(name: str, *others: str):  # type: ignore[no-untyped-def]  # the SDK wants a plain callable
    """A context manager for objects: refuses keys that are no ids nor named, and requests that do not validate."""

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
    """Refuse callers who may not call this, and turn a body that does not validate into a 400 that names each field.

    The SDK alone would answer 500.
    """
    check_caller()
    try:
        yield
    except TerminalError as error:
        if isinstance(error.__cause__, ValidationError):
            refuse(invalid_request(error.__cause__))
        if isinstance(error.__cause__, TerminalError):
            raise error.__cause__ from None  # a refusal while the body was read
        raise
