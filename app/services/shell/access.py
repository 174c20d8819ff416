"""Public handlers: who may call each one, what it takes, and what it refuses with.

All of it is declared beside the handler. Access is checked before the handler runs. The list of public handlers is the
source of the door's routes and of the description of the API.

The door verifies the token and passes its subject and roles on in headers, which callers cannot set themselves. Headers
are journaled with the request, so a replay sees the same caller.
"""

import inspect
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import restate
from pydantic import BaseModel
from restate.extensions import current_context
from restate.handler import Handler
from restate.server_context import ServerInvocationContext

from app.domain.access import (
    Access,
    Actor,
    Caller,
    Owner,
    Role,
    acting,
    caller_of,
    refuse_caller,
    refuse_page,
    refuse_stranger,
)
from app.domain.refusals import Refusal, Refused
from app.services.shell.dependencies import dependencies
from app.services.shell.wire import Json, RawBody, SparseBody, refuse

ROLES = "betting.roles"
OWNER = "betting.owner"
REFUSES = "betting.refuses"
READS = "betting.reads"
READS_HEADER = "x-betting-reads"
"""Says to a private handler that what it is asked is part of a read. Only our own components call such a handler."""

Component = restate.Service | restate.VirtualObject | restate.Workflow

_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


@dataclass(frozen=True)
class PublicHandler:
    """A handler that can be called from outside: who may call it, what it takes and what it answers."""

    service: str
    handler: str
    keyed: bool
    access: Access
    refuses: tuple[Refusal, ...]
    """Its own refusals: without those of an invalid request, and of a caller without access."""
    request: type[BaseModel]
    answer: type[BaseModel]
    is_sparse: bool
    """Whether the answer leaves out the fields that are None."""
    only_reads: bool
    """Whether it changes nothing: a stored document that cannot be read is told at once then."""
    text: str
    """Its docstring."""

    @property
    def path(self) -> str:
        """The path of the handler, with `{key}` for the key of an object or workflow."""
        return f"/{self.service}/{{key}}/{self.handler}" if self.keyed else f"/{self.service}/{self.handler}"


def as_metadata(access: Access, refuses: Iterable[Refusal], reads: bool = False) -> dict[str, str]:
    """Encode an access rule and refusals as handler metadata, which Restate shows with the handler."""
    return {
        ROLES: ",".join(access.roles),
        OWNER: access.owner or "",
        REFUSES: ",".join(refuses),
        **({READS: "true"} if reads else {}),
    }


def declared_access(handler: Handler[Any, Any]) -> Access | None:
    """Read a handler's access rule from its metadata; None if it declares none."""
    metadata = handler.metadata or {}
    if ROLES not in metadata:
        return None
    roles = tuple(Role(role) for role in metadata[ROLES].split(",") if role)
    return Access(roles, Owner(metadata[OWNER]) if metadata[OWNER] else None)


def only_reads(handler: Handler[Any, Any]) -> bool:
    """Whether a handler is public and changes nothing. No component calls such a one."""
    return READS in (handler.metadata or {})


def is_part_of_a_read() -> bool:
    """Whether this request changes nothing: it is a read from outside, or what such a read asks of other components.

    The header counts for private handlers only. A caller from outside could otherwise end a change with it.
    """
    context = _context()
    if declared_access(context.handler) is not None:
        return only_reads(context.handler)
    return READS_HEADER in context.request().headers


def passed_on() -> dict[str, str] | None:
    """The headers of a call that a read may make. Restate passes none on by itself."""
    return {READS_HEADER: "true"} if is_part_of_a_read() else None


def public_handlers(components: Iterable[Component]) -> Iterator[PublicHandler]:
    """List the handlers that can be called from outside.

    Raises ValueError for a handler that does not declare who may call it.
    """
    for component in components:
        for handler in component.handlers.values():
            if component.ingress_private or handler.ingress_private:
                continue
            access = declared_access(handler)
            name = f"{component.name}/{handler.name}"
            if access is None:
                raise ValueError(f"{name} is public and does not say who may call it: add may(...) to takes(...)")
            yield PublicHandler(
                component.name,
                handler.name,
                handler.kind is not None,
                access,
                tuple(Refusal(reason) for reason in (handler.metadata or {})[REFUSES].split(",") if reason),
                _request_of(handler),
                inspect.signature(handler.fn).return_annotation,
                isinstance(handler.handler_io.output_serde, SparseBody),
                only_reads(handler),
                inspect.cleandoc(handler.fn.__doc__ or ""),
            )


def _request_of(handler: Handler[Any, Any]) -> type[BaseModel]:
    serde = handler.handler_io.input_serde
    assert isinstance(serde, Json | RawBody), "the request of a public handler is declared by takes(...)"
    return serde.model


def check_caller() -> None:
    """Refuse a caller who may not call this handler, before the body is read.

    Private handlers are not checked: only our own components call them, and may name the caller on whose behalf.
    """
    context = _context()
    headers = context.request().headers
    access, caller = declared_access(context.handler), caller_of(headers)
    _caller.set(caller if access is None else None)
    if access is None:
        return
    required = dependencies().require_identity
    if access.needs_token and not required:
        _refuse_if(refuse_page(headers.get("origin"), headers.get("sec-fetch-site")))
    _refuse_if(refuse_caller(access, caller, required=required))
    if access.owner is Owner.KEY:
        assert isinstance(context, restate.ObjectContext)
        _refuse_if(refuse_stranger(access, caller, context.key()))
    _caller.set(caller)


def check_owner(owner_id: str | None) -> None:
    """Refuse a player access to another player's document. Pass None for a document that does not exist."""
    access = declared_access(_context().handler)
    assert access is not None
    assert access.owner is not None, "the handler declares no owner"
    _refuse_if(refuse_stranger(access, _caller.get(), owner_id))


def actor() -> Actor | None:
    """The actor on whose behalf this handler runs; None for a request without a caller."""
    access, caller = declared_access(_context().handler), _caller.get()
    return None if caller is None else acting(access, caller)


def serves_operator() -> bool:
    """Whether the caller may see what only the house should. Where no identity is required, so may one without."""
    caller = _caller.get()
    return not dependencies().require_identity if caller is None else caller.is_operator


def _refuse_if(refused: Refused | None) -> None:
    if refused is not None:
        refuse(refused)


def _context() -> ServerInvocationContext:
    context = current_context()
    assert isinstance(context, ServerInvocationContext)
    return context
