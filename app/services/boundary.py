"""The edge between Restate and our rules: requests are checked on the way in, refusals become terminal errors."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NoReturn, Self, TypeVar

import restate
from pydantic import BaseModel, ValidationError
from restate import RestateDurableFuture
from restate.exceptions import TerminalError
from restate.extensions import current_context
from restate.serde import Serde

from app.domain.model import PublicRequest, Wire, is_id
from app.domain.refusals import STATUS_OF, Refusal, Refused, invalid_request

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

ANY = "*/*"
"""What public handlers accept: we read and judge every body ourselves, so that each refusal names its field."""

FORGET_AT_ONCE = timedelta(0)
"""Journals of handlers that others call are of no use once they have ended: the caller's own journal has the answer."""


class Answer(Wire, Generic[T]):
    """What one of our components answers another: a value, or an expected no."""

    value: T | None = None
    refused: Refused | None = None

    @classmethod
    def of(cls, outcome: T | Refused) -> Self:
        """Wrap what a rule decided."""
        return cls(refused=outcome) if isinstance(outcome, Refused) else cls(value=outcome)

    def accepted(self) -> T:
        """The value; a refusal ends the invocation with its public error."""
        if self.refused is not None:
            refuse(self.refused)
        assert self.value is not None
        return self.value


class Json(Serde[Model]):
    """A model as JSON: what we store, and what our components tell each other."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model

    def deserialize(self, buf: bytes) -> Model | None:
        """Read a model; nothing is there where there are no bytes."""
        return self.model.model_validate_json(buf) if buf else None

    def serialize(self, obj: Model | None) -> bytes:
        """Write a model."""
        return b"" if obj is None else obj.model_dump_json().encode()


class Nothing(PublicRequest):
    """The request of a handler that needs none: no body, or an empty object."""


class RequestBody(Json[Model]):
    """A public request's body. No body at all is read as an empty object, which few requests accept."""

    def deserialize(self, buf: bytes) -> Model:
        """Read and check a body, raising pydantic's error."""
        return self.model.model_validate_json(buf if buf.strip() else b"{}")


def takes(model: type[PublicRequest]) -> dict[str, Any]:
    """The options of a public handler that takes such a request."""
    return {"accept": ANY, "input_serde": RequestBody(model)}


class SparseBody(Json[Model]):
    """An answer without its absent fields."""

    def serialize(self, obj: Model | None) -> bytes:
        """Write an answer, leaving out what is not there."""
        return b"" if obj is None else obj.model_dump_json(exclude_none=True).encode()


def refuse(refused: Refused) -> NoReturn:
    """End this invocation with a refusal as the public contract words it."""
    raise TerminalError(
        refused.message,
        status_code=STATUS_OF[refused.reason],
        metadata={"reason": refused.reason.value, **refused.metadata},
    )


def invalid(message: str) -> NoReturn:
    """Refuse a request that cannot be understood."""
    refuse(Refused(reason=Refusal.INVALID_REQUEST, message=message))


async def clock(ctx: restate.Context) -> datetime:
    """The time, the same in every replay, to the millisecond. It costs a journal entry: read it once, pass it down."""
    return moment(await clock_started(ctx))


def clock_started(ctx: restate.Context) -> RestateDurableFuture[float]:
    """The clock for handlers that start reading it together with something else.

    The SDK's own `ctx.time()` takes a thread for it.
    """
    return ctx.run_typed("timestamp", _seconds)


async def _seconds() -> float:
    return time.time()


def moment(seconds: float) -> datetime:
    """What a started clock gave."""
    return datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)


def wall_clock() -> datetime:
    """The time inside `ctx.run`, and for shared handlers that only read.

    Nothing else may depend on it: an answer is journaled too, and an attempt that is killed between its answer and its
    end is repeated, and must answer the same. A reader's answer is another only if a restriction or a limit's window
    ends in that very moment; its caller then has to ask again, and nothing else waits.
    """
    return moment(time.time())


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
