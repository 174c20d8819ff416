"""Access rules: who may call a public handler, and on whose data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from app.domain.model import KnownId, State, is_id
from app.domain.refusals import Refusal, Refused

_OF_THIS_MACHINE = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?")


class Role(StrEnum):
    """The capacity in which a caller acts. A token names operator roles; every token holder is also a player."""

    PLAYER = "player"
    """Anyone with a token, for their own data."""
    TRADER = "trader"
    """An operator who opens, prices and settles markets."""
    PAYMENTS = "payments"
    """An operator who reviews withdrawals and follows up payments."""
    SUPPORT = "support"
    """An operator who helps players: reads their accounts, and sets limits and exclusions at their request."""
    AUDITOR = "auditor"
    """An operator who can read everything and change nothing."""
    FEED = "feed"
    """A system that sends records for markets."""
    BOOKKEEPER = "bookkeeper"
    """Our own bookkeeper, which repairs stranded work."""
    PROVIDER = "provider"
    """The payment provider. It needs no token, because it signs its webhooks."""
    ANYONE = "anyone"
    """Anyone, with or without a token."""


USER_HEADER = "x-betting-user"
ROLES_HEADER = "x-betting-roles"
"""The headers in which the door passes the caller on. Roles are separated by commas; unknown ones are ignored."""

RECEIVED_HEADER = "x-betting-received-at"
"""When the door received a request, in whole milliseconds since 1970."""

WITHOUT_TOKEN = frozenset({Role.PROVIDER, Role.ANYONE})
GRANTED = frozenset(Role) - WITHOUT_TOKEN - {Role.PLAYER}
"""The roles that a token can name."""
OPERATORS = frozenset({Role.TRADER, Role.PAYMENTS, Role.SUPPORT, Role.AUDITOR})
"""The roles of the people who work for the house."""


class Owner(StrEnum):
    """Where to find the player who owns what a request is about."""

    KEY = "key"
    """The key of the object is the player's id."""
    BODY = "userId"
    """The body's `userId` is the player's id."""
    DOCUMENT = "document"
    """The document stored under the key names its player; the handler itself compares it with the caller."""


@dataclass(frozen=True)
class Access:
    """Who may call a public handler: callers with one of the roles, and the player who owns the data."""

    roles: tuple[Role, ...]
    owner: Owner | None = None

    @property
    def needs_token(self) -> bool:
        """Whether the door requires a token."""
        return WITHOUT_TOKEN.isdisjoint(self.roles)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The refusals of every handler with this access, whatever it does."""
        if not self.needs_token:
            return (Refusal.INVALID_REQUEST,)
        stranger = Refusal.NOT_YOURS if self.owner else Refusal.ROLE_NEEDED
        return (Refusal.INVALID_REQUEST, Refusal.UNAUTHENTICATED, stranger)


def may(*roles: Role, owner: Owner | None = None) -> Access:
    """Declare who may call a handler: callers with one of these roles, and the owner if `owner` is given."""
    assert roles or owner, "a public handler is for somebody"
    assert Role.PLAYER not in roles, "say by `owner` what makes something a player's own"
    return Access(roles, owner)


class Caller(State):
    """The sender of a request, verified by the door: the token's subject and roles."""

    user: KnownId
    roles: tuple[Role, ...] = ()

    @property
    def is_operator(self) -> bool:
        """Whether the caller works for the house."""
        return not OPERATORS.isdisjoint(self.roles)


class Actor(State):
    """Who made a change, and in which capacity. Stored with the change."""

    user: KnownId
    role: Role

    @property
    def caller(self) -> Caller:
        """The caller as whom another component is asked on the actor's behalf."""
        return Caller(user=self.user, roles=(self.role,))


PROVIDER = Actor(user="provider", role=Role.PROVIDER)
"""The actor of what the payment provider did by itself: a refund, a chargeback, a payout that was sent back."""


BOOKKEEPER = Caller(user="bookkeeper", roles=(Role.BOOKKEEPER,))
"""Our own bookkeeper, which calls Restate directly."""


def caller_of(headers: Mapping[str, str]) -> Caller | None:
    """Read the caller from the headers of a request; None if there is no valid user id."""
    user = headers.get(USER_HEADER, "")
    if not is_id(user):
        return None
    named = {word.strip() for word in headers.get(ROLES_HEADER, "").split(",")}
    return Caller(user=user, roles=tuple(role for role in Role if role.value in named))


def received_at(headers: Mapping[str, str]) -> datetime | None:
    """When the door received a request, to the millisecond; None for one that did not come through the door.

    Whoever may say who asks may also say when: without a caller, the header is not believed.
    """
    told = headers.get(RECEIVED_HEADER, "")
    if not re.fullmatch(r"[0-9]{13}", told) or caller_of(headers) is None:
        return None
    return datetime.fromtimestamp(int(told) / 1000, UTC)


def headers_of(caller: Caller) -> dict[str, str]:
    """The headers of a request from a caller. Only what reaches Restate without the door can set them."""
    return {USER_HEADER: caller.user, ROLES_HEADER: ",".join(caller.roles)}


def acting(access: Access | None, caller: Caller) -> Actor:
    """The capacity in which an admitted caller acts: the first of the handler's roles that they hold, or player.

    A private handler has no access rule; it acts in the first role that the component before it named.
    """
    allowed = caller.roles if access is None else access.roles
    role = next((role for role in allowed if role in caller.roles), Role.PLAYER)
    return Actor(user=caller.user, role=role)


def refuse_caller(access: Access, caller: Caller | None, *, required: bool) -> Refused | None:
    """Refuse a caller who may not call a handler at all. `refuse_stranger` decides whether a player owns the data.

    `required` says whether a request without a caller is refused. Behind a door, such requests reach only handlers that
    need no token. Refuses with `unauthenticated` or `role_needed`.
    """
    if not access.needs_token:
        return None
    if caller is None:
        return _unauthenticated() if required else None
    if access.owner is None and not holds_role(access, caller):
        roles = " or ".join(access.roles)
        return Refused(reason=Refusal.ROLE_NEEDED, message=f"this needs the role {roles}")
    return None


def refuse_page(origin: str | None, site: str | None) -> Refused | None:
    """Refuse with `unauthenticated` what a browser sends for a page that is not served by this very machine.

    It is asked where no token is needed. There, the reach of the port is all that lets a caller in, and the pages that
    a developer visits are in reach of it: Restate's ingress lets those of any origin call and read. Takes the headers
    `Origin` and `Sec-Fetch-Site`, which only a browser sends; a link or a picture has the second alone.
    """
    elsewhere = site not in (None, "none") if origin is None else not _OF_THIS_MACHINE.fullmatch(origin)
    if not elsewhere:
        return None
    return Refused(reason=Refusal.UNAUTHENTICATED, message="a web page calls through the door, with a token")


def refuse_stranger(access: Access, caller: Caller | None, owner_id: str | None) -> Refused | None:
    """Refuse a player with `not_yours` if the data is not theirs or does not exist.

    Both cases have the same answer, because it must not reveal which ids exist.
    """
    if caller is None or access.owner is None or holds_role(access, caller) or caller.user == owner_id:
        return None
    return Refused(reason=Refusal.NOT_YOURS, message="this is not yours")


def holds_role(access: Access, caller: Caller) -> bool:
    """Whether a caller holds one of the handler's roles."""
    return any(role in caller.roles for role in access.roles)


def _unauthenticated() -> Refused:
    message = "no caller: send a token to the door, which says who you are"
    return Refused(reason=Refusal.UNAUTHENTICATED, message=message)
