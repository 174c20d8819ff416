"""Requests are checked on the way in, so that one that cannot be understood is refused and not retried."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import restate
from pydantic import ValidationError
from restate.exceptions import TerminalError
from restate.extensions import current_context

from app.domain.model import is_id
from app.domain.refusals import invalid_request
from app.services.shell.wire import invalid, refuse


def key_is(name: str, *others: str):  # type: ignore[no-untyped-def]  # the SDK wants a plain callable
    """A context manager for objects: refuses keys that are no ids nor named, and requests that do not validate."""

    @asynccontextmanager
    async def checked() -> AsyncIterator[None]:
        context = current_context()
        assert isinstance(context, restate.ObjectContext)
        if context.key() not in others and not is_id(context.key()):
            invalid(f"{name}: must be 1 to 64 of the characters A-Z a-z 0-9 . _ : @ -, and not . or ..")
        async with requests_checked():
            yield

    return checked


@asynccontextmanager
async def requests_checked() -> AsyncIterator[None]:
    """Turn a body that does not validate into a 400 that names each field; the SDK alone would answer 500."""
    try:
        yield
    except TerminalError as error:
        if isinstance(error.__cause__, ValidationError):
            refuse(invalid_request(error.__cause__))
        raise
