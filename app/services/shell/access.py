"""Who may call a public handler: declared beside it, checked before it runs, and listed for the door.

The door verifies the token and names its subject and roles in headers, which it takes from nobody else. They are in the
journal with the request, so that a replay sees the same caller.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import restate
from restate.extensions import current_context
from restate.handler import Handler
from restate.server_context import ServerInvocationContext

from app.domain.access import Access, Actor, Caller, Owner, Role, acting, refuse_caller, refuse_stranger
from app.domain.model import is_id
from app.domain.refusals import Refused
from app.services.shell.dependencies import dependencies
from app.services.shell.wire import refuse

USER_HEADER = "x-betting-user"
ROLES_HEADER = "x-betting-roles"
"""The caller's roles, separated by commas; those we do not know are ignored."""

ROLES = "betting.roles"
OWNER = "betting.owner"

Component = restate.Service | restate.VirtualObject | restate.Workflow

_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


@dataclass(frozen=True)
class PublicHandler:
    """A handler that can be called from outside, and by whom."""

    service: str
    handler: str
    keyed: bool
    access: Access

    @property
    def path(self) -> str:
        """Its address, with {key} for the key of an object or workflow."""
        return f"/{self.service}/{{key}}/{self.handler}" if self.keyed else f"/{self.service}/{self.handler}"


def as_metadata(access: Access) -> dict[str, str]:
    """How a handler carries who may call it; Restate shows it with the handler."""
    return {ROLES: ",".join(access.roles), OWNER: access.owner or ""}


def declared_access(handler: Handler[Any, Any]) -> Access | None:
    """Who may call a handler; None of one that declares nobody."""
    metadata = handler.metadata or {}
    if ROLES not in metadata:
        return None
    roles = tuple(Role(role) for role in metadata[ROLES].split(",") if role)
    return Access(roles, Owner(metadata[OWNER]) if metadata[OWNER] else None)


def public_handlers(components: Iterable[Component]) -> Iterator[PublicHandler]:
    """The handlers that can be called from outside.

    Raises ValueError for one that does not declare who may call it.
    """
    for component in components:
        for handler in component.handlers.values():
            if component.ingress_private or handler.ingress_private:
                continue
            access = declared_access(handler)
            name = f"{component.name}/{handler.name}"
            if access is None:
                raise ValueError(f"{name} is public and does not say who may call it: add may(...) to takes(...)")
            yield PublicHandler(component.name, handler.name, handler.kind is not None, access)


def caller_of(headers: Mapping[str, str]) -> Caller | None:
    """Who sent a request, by its headers; who has no id of ours is nobody."""
    user = headers.get(USER_HEADER, "")
    if not is_id(user):
        return None
    named = {word.strip() for word in headers.get(ROLES_HEADER, "").split(",")}
    return Caller(user=user, roles=tuple(role for role in Role if role.value in named))


def headers_of(actor: Actor) -> dict[str, str]:
    """The headers with which one of our components calls a public handler of another."""
    return {USER_HEADER: actor.user, ROLES_HEADER: actor.role.value}


def check_caller() -> None:
    """Refuse who may not call this handler, before its body is read; private handlers are not for callers."""
    context = _context()
    access = declared_access(context.handler)
    _caller.set(None)
    if access is None:
        return
    caller = caller_of(context.request().headers)
    _refuse_if(refuse_caller(access, caller, required=dependencies().require_identity))
    if access.owner is Owner.KEY:
        assert isinstance(context, restate.ObjectContext)
        _refuse_if(refuse_stranger(access, caller, context.key()))
    _caller.set(caller)


def check_owner(owner_id: str | None) -> None:
    """Refuse a player what is not theirs, once it is known whose it is; None is nobody's."""
    access = declared_access(_context().handler)
    assert access is not None
    assert access.owner is not None, "the handler declares no owner"
    _refuse_if(refuse_stranger(access, _caller.get(), owner_id))


def actor() -> Actor | None:
    """Who asks for what this handler does; None where nobody said so."""
    access, caller = declared_access(_context().handler), _caller.get()
    return acting(access, caller) if access is not None and caller is not None else None


def _refuse_if(refused: Refused | None) -> None:
    if refused is not None:
        refuse(refused)


def _context() -> ServerInvocationContext:
    context = current_context()
    assert isinstance(context, ServerInvocationContext)
    return context
