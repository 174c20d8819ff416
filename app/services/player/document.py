"""The document of a player: how handlers load it, store it, and report what changed."""

from typing import TypeVar

import restate

from app.domain.access import Owner, Role, may
from app.domain.activity import activity
from app.domain.archive import Operations
from app.domain.archive_pages import archive_ended
from app.domain.high_water import may_be_archived, with_high_water
from app.domain.player import Decision, Player
from app.domain.statement import full_pages, without_full_pages
from app.services import comms
from app.services.player import archive, statements
from app.services.shell.observed import count_activity, observed
from app.services.shell.requests import key_is
from app.services.shell.wire import FORGET_AT_ONCE, Document, Reply

T = TypeVar("T")

player = restate.VirtualObject(
    "PlayerService",
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, key_is("userId")],
)

OWN = may(owner=Owner.KEY)
"""Handlers that only the player may call."""
READERS = may(Role.SUPPORT, Role.PAYMENTS, Role.AUDITOR, owner=Owner.KEY)
"""Handlers that show a player's data to the player and to operators."""
AUDITORS = may(*READERS.roles, Role.BOOKKEEPER, owner=Owner.KEY)
"""Handlers that show a player's data to the bookkeeper, too."""
HELPERS = may(Role.SUPPORT, owner=Owner.KEY)
"""Handlers that support may also call at the player's request."""

STATE = "player"
_PLAYER = Document(Player)


async def load(ctx: restate.ObjectContext | restate.ObjectSharedContext) -> Player:
    """Load the player's document; a new player has an empty one."""
    return await ctx.get(STATE, serde=_PLAYER) or Player(user_id=ctx.key())


async def load_with(ctx: restate.ObjectContext | restate.ObjectSharedContext, kind: Operations, *ids: str) -> Player:
    """Load the document together with the named deposits, withdrawals or bets, from the archive where necessary."""
    document = await load(ctx)
    missing = may_be_archived(document, kind, ids)
    if not missing:
        return document
    found = await archive.recall(ctx, kind, missing)
    return document.changed(**{kind.value: {**found, **getattr(document, kind)}})


async def commit(ctx: restate.ObjectContext, before: Player, decision: Decision[T]) -> Reply[T]:
    """Store a rule's decision, then send its messages. A single `ctx.set` stores all of the player's money."""
    after = decision.player
    if after is not before:
        # Pages are sent off before the document without them is stored. After a kill in between, their contents are
        # in both places and are written again unchanged; in the other order, they would be lost.
        for page, content in full_pages(before, after).items():
            ctx.object_send(statements.keep, statements.page_key(ctx.key(), page), content)
        kept, archived = archive_ended(without_full_pages(after))
        if archived is not None:
            await archive.put_away(ctx, archived)
        ctx.set(STATE, with_high_water(before, after, kept), serde=_PLAYER)
        count_activity(activity(before, decision.player))
    # Messages are sent after the document is stored, so that none reports what did not happen. Each has an id, so a
    # repeated send is no second e-mail.
    for message in decision.messages:
        ctx.service_send(comms.send, message)
    return Reply.of(decision.outcome)
