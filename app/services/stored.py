"""Which document each Virtual Object and Workflow keeps in Restate under which name, and what reads and writes it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, TypeAdapter
from restate.serde import Serde

from app.domain.archive import ArchiveIndex, Bucket
from app.domain.archive_pages import ArchivePage
from app.domain.feed import Feed
from app.domain.follow_up import FollowUp
from app.domain.markets import Market
from app.domain.player import Player
from app.domain.quarantine import Quarantine
from app.domain.shards import BetPage, Shard
from app.domain.statement import StatementPage
from app.domain.withdrawals import FollowedPayout, PublicWithdrawalStatus
from app.services import settlement
from app.services.markets import feed, markets, pages, quarantine
from app.services.payments import follow_up, withdrawal_follow_up, withdrawals
from app.services.player import archive, document, statements
from app.services.shell.wire import Json


class _Component(Protocol):
    @property
    def name(self) -> str: ...


class Scalar(Serde[Any]):
    """A single value of a type that is no model, as the SDK stores it: JSON."""

    def __init__(self, kind: Any) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def deserialize(self, buf: bytes) -> Any:
        """Read a value; None for an empty buffer."""
        return self._adapter.validate_json(buf) if buf else None

    def serialize(self, obj: Any) -> bytes:
        """Write a value."""
        return b"" if obj is None else self._adapter.dump_json(obj)


@dataclass(frozen=True)
class Stored:
    """A kind of document."""

    service: str
    name: str
    """The key of its state."""
    serde: Serde[Any]
    keys: str = ".*"
    """The keys of the objects that have it, as a pattern. No two kinds of one service and name share a key."""

    @property
    def model(self) -> type[BaseModel] | None:
        """The model that reads it, if one does."""
        return self.serde.model if isinstance(self.serde, Json) else None


def _of(component: _Component, name: str, serde: Serde[Any], keys: str = ".*") -> Stored:
    return Stored(component.name, name, serde, keys)


_ARCHIVE_PAGES = r".*:archive-\d+"

STORED: Sequence[Stored] = (
    _of(settlement.settlement_workflow, settlement.PROGRESS, Json(settlement.Progress)),
    _of(settlement.settlement_run, settlement.PROGRESS, Json(settlement.Progress)),
    _of(follow_up.deposit_follow_up, follow_up.STATE, Json(FollowUp)),
    _of(withdrawal_follow_up.withdrawal_follow_up, withdrawal_follow_up.STATE, Json(FollowedPayout)),
    _of(withdrawals.withdrawal_workflow, withdrawals.STATUS, Scalar(PublicWithdrawalStatus)),
    _of(document.player, document.STATE, Json(Player)),
    _of(document.player, archive.INDEX, Json(ArchiveIndex)),
    _of(document.player, archive.FILTER, archive.Packed()),
    _of(archive.archive_bucket, archive.BUCKET, Json(Bucket)),
    _of(statements.statements, statements.PAGE, Json(ArchivePage), _ARCHIVE_PAGES),
    _of(statements.statements, statements.PAGE, Json(StatementPage), rf"(?!{_ARCHIVE_PAGES}$).*"),
    _of(quarantine.market_quarantine, quarantine.STATE, Json(Quarantine)),
    _of(feed.market_feed, feed.STATE, Json(Feed)),
    _of(markets.market, markets.STATE, Json(Market)),
    _of(markets.market_book, markets.SHARD, Json(Shard)),
    _of(pages.bet_pages, pages.PAGE, Json(BetPage)),
)
"""Everything that is stored. Tests hold it against each `ctx.get` and `ctx.set` of the services."""

SERVICES = frozenset(kind.service for kind in STORED)


def stored_as(service: str, key: str, name: str) -> Stored | None:
    """The kind of this document of this object; None if the service keeps no such document."""
    for kind in STORED:
        if (kind.service, kind.name) == (service, name) and re.fullmatch(kind.keys, key, re.DOTALL):
            return kind
    return None
