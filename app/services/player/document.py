"""The document of a player, as its handlers load it, store it, and tell of it."""

from typing import TypeVar

import restate

from app.domain.access import Owner, Role, may
from app.domain.activity import activity
from app.domain.archive import Operations
from app.domain.archive_pages import archive_ended
from app.domain.player import Decision, Player
from app.domain.statement import full_pages, without_full_pages
from app.services import comms
from app.services.player import archive, statements
from app.services.shell.observed import count_activity, observed
from app.services.shell.requests import key_is
from app.services.shell.wire import FORGET_AT_ONCE, Json, Reply

T = TypeVar("T")

player = restate.VirtualObject(
    "PlayerService",
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, key_is("userId")],
)

OWN = may(owner=Owner.KEY)
"""What nobody but the player does."""
READERS = may(Role.SUPPORT, Role.PAYMENTS, Role.AUDITOR, owner=Owner.KEY)
"""What operators see of a player, too."""
HELPERS = may(Role.SUPPORT, owner=Owner.KEY)
"""What support does for a player who asks for it."""

STATE = "player"
_PLAYER = Json(Player)


async def load(ctx: restate.ObjectContext | restate.ObjectSharedContext) -> Player:
    """The player's document; a player we have not met has an empty one."""
    return await ctx.get(STATE, serde=_PLAYER) or Player(user_id=ctx.key())


async def load_with(ctx: restate.ObjectContext | restate.ObjectSharedContext, kind: Operations, *ids: str) -> Player:
    """Load the document, with deposits, withdrawals or bets that may have left it for the archive."""
    document = await load(ctx)
    missing = [operation_id for operation_id in ids if operation_id not in getattr(document, kind)]
    if not document.has_archive or not missing:
        return document
    found = await archive.recall(ctx, kind, missing)
    return document.changed(**{kind.value: {**found, **getattr(document, kind)}})


async def commit(ctx: restate.ObjectContext, before: Player, decision: Decision[T]) -> Reply[T]:
    """Store what a rule decided and tell of it. The one `ctx.set` holds every number of the money book."""
    after = decision.player
    if after is not before:
        # Full pages and what is archived leave first, the document that no longer has them is stored last: killed in
        # between, they are in two places and are written again, the same; the other way they would be in none.
        for page, content in full_pages(before, after).items():
            ctx.object_send(statements.keep, statements.page_key(ctx.key(), page), content)
        after, archived = archive_ended(without_full_pages(after))
        if archived is not None:
            await archive.put_away(ctx, archived)
        ctx.set(STATE, after, serde=_PLAYER)
        count_activity(activity(before, decision.player))
    # Told after it is stored: nobody hears of what did not happen. A message has an id, so once more is no second one.
    for message in decision.messages:
        ctx.service_send(comms.send, message)
    return Reply.of(decision.outcome)
