"""What our components tell each other and the world: values, refusals, and how both look in JSON."""

from datetime import timedelta
from typing import Generic, NoReturn, Self, TypeVar

from pydantic import BaseModel
from restate.exceptions import TerminalError
from restate.serde import Serde

from app.domain.model import Wire
from app.domain.refusals import TERMS, Refusal, Refused

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

FORGET_AT_ONCE = timedelta(0)
"""Journals of handlers that others call are of no use once they have ended: the caller's own journal has the answer."""


class Reply(Wire, Generic[T]):
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


class SparseBody(Json[Model]):
    """An answer without its absent fields."""

    def serialize(self, obj: Model | None) -> bytes:
        """Write an answer, leaving out what is not there."""
        return b"" if obj is None else obj.model_dump_json(exclude_none=True).encode()


def refuse(refused: Refused) -> NoReturn:
    """End this invocation with a refusal as the public contract words it."""
    raise TerminalError(
        refused.message,
        status_code=TERMS[refused.reason].status,
        metadata={"reason": refused.reason.value, **refused.metadata},
    )


def invalid(message: str) -> NoReturn:
    """Refuse a request that cannot be understood."""
    refuse(Refused(reason=Refusal.INVALID_REQUEST, message=message))
