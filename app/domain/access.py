"""Who asks, and what they may do: the rule behind every public handler."""

from dataclasses import dataclass
from enum import StrEnum

from app.domain.model import KnownId, State
from app.domain.refusals import Refusal, Refused


class Role(StrEnum):
    """In what capacity somebody acts. A token names the roles of operators; everybody is a player of their own."""

    PLAYER = "player"
    """Whoever has a token, for what is their own."""
    TRADER = "trader"
    """Opens, prices and settles markets."""
    PAYMENTS = "payments"
    """Reviews withdrawals and follows payments up."""
    SUPPORT = "support"
    """Helps players: reads their accounts, and sets limits and exclusions on request."""
    AUDITOR = "auditor"
    """Reads everything, changes nothing."""
    FEED = "feed"
    """A system that sends records for markets."""
    BOOKKEEPER = "bookkeeper"
    """Our own bookkeeper: repairs what is stranded."""
    PROVIDER = "provider"
    """The payment provider, which proves itself by the signature of its webhook and needs no token."""
    ANYONE = "anyone"
    """Also who has no token."""


WITHOUT_TOKEN = frozenset({Role.PROVIDER, Role.ANYONE})
GRANTED = frozenset(Role) - WITHOUT_TOKEN - {Role.PLAYER}
"""The roles that a token can name."""


class Owner(StrEnum):
    """Where a request says whose it is, for a player to have it done."""

    KEY = "key"
    """The key of the object is the player's id."""
    BODY = "userId"
    """The body's `userId` is the player's id."""
    DOCUMENT = "document"
    """What is stored under the key says so; the handler compares it itself."""


@dataclass(frozen=True)
class Access:
    """Who may call a public handler: the holders of some roles, and the player who owns what it is about."""

    roles: tuple[Role, ...]
    owner: Owner | None = None

    @property
    def needs_token(self) -> bool:
        """Whether the door asks for a token."""
        return WITHOUT_TOKEN.isdisjoint(self.roles)


def may(*roles: Role, owner: Owner | None = None) -> Access:
    """Declare who may call a handler."""
    assert roles or owner, "a public handler is for somebody"
    assert Role.PLAYER not in roles, "say by `owner` what makes something a player's own"
    return Access(roles, owner)


class Caller(State):
    """Who sent a request, as the door has verified it: the token's subject and its roles."""

    user: KnownId
    roles: tuple[Role, ...] = ()


class Actor(State):
    """Who did something, and in which capacity. Stored with every change that somebody asked for."""

    user: KnownId
    role: Role


def acting(access: Access, caller: Caller) -> Actor:
    """In which capacity a caller acts who is let in: the first of the handler's roles that they hold, else a player."""
    role = next((role for role in access.roles if role in caller.roles), Role.PLAYER)
    return Actor(user=caller.user, role=role)


def refuse_caller(access: Access, caller: Caller | None, *, required: bool) -> Refused | None:
    """Refuse who may not call a handler at all. Whether a player owns what they ask for is `refuse_stranger`'s to say.

    `required` is whether a request without a caller is refused: behind a door there is none but for what is for anyone.
    """
    if not access.needs_token:
        return None
    if caller is None:
        return _unauthenticated() if required else None
    if access.owner is None and not holds_role(access, caller):
        roles = " or ".join(access.roles)
        return Refused(reason=Refusal.ROLE_NEEDED, message=f"this needs the role {roles}")
    return None


def refuse_stranger(access: Access, caller: Caller | None, owner_id: str | None) -> Refused | None:
    """Refuse a player what is another player's, or nobody's: the answer must not tell which ids exist."""
    if caller is None or access.owner is None or holds_role(access, caller) or caller.user == owner_id:
        return None
    return Refused(reason=Refusal.NOT_YOURS, message="this is not yours")


def holds_role(access: Access, caller: Caller) -> bool:
    """Whether a caller holds one of the roles that a handler is for."""
    return any(role in caller.roles for role in access.roles)


def _unauthenticated() -> Refused:
    message = "no caller: send a token to the door, which says who you are"
    return Refused(reason=Refusal.UNAUTHENTICATED, message=message)
