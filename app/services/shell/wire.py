"""Replies between components and to callers: values and refusals, and their JSON."""

from datetime import timedelta
from typing import Generic, NoReturn, Self, TypeVar

from pydantic import BaseModel, ValidationError
from restate.exceptions import TerminalError
from restate.serde import BytesSerde, Serde

from app.domain.model import Wire
from app.domain.refusals import TERMS, Refusal, Refused

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

FORGET_AT_ONCE = timedelta(0)
"""Journal retention of handlers that other handlers call. The caller's journal has the answer, so none is kept here."""


class Reply(Wire, Generic[T]):
    """The reply of one component to another: a value, or a refusal."""

    value: T | None = None
    refused: Refused | None = None

    @classmethod
    def of(cls, outcome: T | Refused) -> Self:
        """Wrap the outcome of a rule."""
        return cls(refused=outcome) if isinstance(outcome, Refused) else cls(value=outcome)

    def accepted(self) -> T:
        """Return the value, or end this invocation with the public error of the refusal (TerminalError)."""
        if self.refused is not None:
            refuse(self.refused)
        assert self.value is not None
        return self.value


class Json(Serde[Model]):
    """Serializes a model as JSON, for state and for calls between components."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model

    def deserialize(self, buf: bytes) -> Model | None:
        """Read a model; None for an empty buffer."""
        return self.model.model_validate_json(buf) if buf else None

    def serialize(self, obj: Model | None) -> bytes:
        """Write a model."""
        return b"" if obj is None else obj.model_dump_json().encode()


UNREADABLE = "unreadable_document"
"""The reason of a 500. It is no refusal: nothing about the request is wrong, and an operator has to act."""


class UnreadableError(Exception):
    """A stored document is none that this code can read. The message says what is wrong, and shows no value."""


class Document(Json[Model]):
    """Serializes a stored document as JSON."""

    def deserialize(self, buf: bytes) -> Model | None:
        """Read a document. UnreadableError for what is no such document.

        Nothing is such: of what is not stored, Restate gives no bytes at all, and this is not asked.
        """
        if not buf:
            raise UnreadableError(f"its {self.model.__name__} is empty")
        try:
            return super().deserialize(buf)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
            # Below the first level there may be keys of maps, which are a person's.
            where = f"{problem['loc'][0]}: " if problem["loc"] else ""
            raise UnreadableError(f"its {self.model.__name__} cannot be read: {where}{problem['type']}") from None


class SparseBody(Json[Model]):
    """Serializes an answer without the fields that are None."""

    def serialize(self, obj: Model | None) -> bytes:
        """Write an answer, without the fields that are None."""
        return b"" if obj is None else obj.model_dump_json(exclude_none=True).encode()


class RawBody(BytesSerde):
    """Passes a body on as it arrived. `model` only describes it, for the document of the API."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model


def refuse(refused: Refused) -> NoReturn:
    """End this invocation with a refusal: its HTTP status, its reason and its metadata (TerminalError)."""
    raise TerminalError(
        refused.message,
        status_code=TERMS[refused.reason].status,
        metadata={"reason": refused.reason.value, **refused.metadata},
    )


def invalid(message: str) -> NoReturn:
    """Refuse an invalid request, with status 400 and reason `invalid_request`."""
    refuse(Refused(reason=Refusal.INVALID_REQUEST, message=message))
