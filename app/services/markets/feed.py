"""MarketFeed: applies the records of one market, in the order in which Kafka delivers them.

It is exclusive, which keeps the records in order. It may wait for its market, because the market never calls it. A
record that cannot be applied is sent to the market's quarantine, and the feed moves on to the next one. A transient
failure, such as a market that does not answer, is an error that Restate retries.
"""

import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

import restate
from restate.exceptions import TerminalError
from restate.serde import BytesSerde

from app.domain import feed as rules
from app.domain.access import Actor, Role, headers_of, may
from app.domain.feed import Feed, Origin, Record, RecordType, Rejection, Requests
from app.domain.model import PublicRequest, Wire, is_id
from app.domain.quarantine import NO_MARKET, Parked, record_to_park
from app.domain.refusals import Refusal, Refused
from app.services.markets import markets
from app.services.markets.records import FeedRecord
from app.services.shell.access import actor
from app.services.shell.clock import journaled_clock, moment
from app.services.shell.observed import observed
from app.services.shell.requests import ANY, EmptyRequest, requests_checked, takes_bytes
from app.services.shell.shield import insist
from app.services.shell.wire import FORGET_AT_ONCE, Document, SparseBody

market_feed = restate.VirtualObject(
    "MarketFeed",
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, requests_checked],
)

QUARANTINE = "MarketQuarantine"
"""A component in a higher layer, addressed by name because it cannot be imported here."""
STATE = "feed"
CANCELLED = "cancelled"
_FEED_ITSELF = Actor(user="feed", role=Role.FEED)
"""The actor of every change that a record from Kafka makes: who produced it is known to the broker alone."""
_FEED = Document(Feed)
_log = logging.getLogger(__name__)

_HANDLERS: dict[RecordType, tuple[type[PublicRequest], Callable[[Any, Any], Awaitable[Any]]]] = {
    RecordType.OPEN: (markets.OpenRequest, markets.open_market),
    RecordType.SET_PRICES: (markets.PricesRequest, markets.set_prices),
    RecordType.SUSPEND: (EmptyRequest, markets.suspend_by_feed),
    RecordType.RESUME: (EmptyRequest, markets.resume_by_feed),
    RecordType.CLOSE: (EmptyRequest, markets.close),
    RecordType.WITHDRAW: (markets.WithdrawSelectionRequest, markets.withdraw),
    RecordType.SETTLE: (markets.SettleRequest, markets.settle),
}
assert _HANDLERS.keys() == set(RecordType)
REQUESTS: Requests = {kind: request for kind, (request, _) in _HANDLERS.items()}
"""The request model for each type of record."""


class TakenStatus(StrEnum):
    """The outcome of a record."""

    APPLIED = "applied"
    PARKED = "parked"
    REPEATED = "repeated"
    """The record was delivered before."""


class Taken(Wire):
    """The outcome of a record and, if it was parked, the reason."""

    status: TakenStatus
    reason: str | None = None
    message: str | None = None


class RecordRetry(Wire):
    """A parked record to try again. `number` is its position among the market's records, from 1."""

    text: str
    number: int


class Tried(Wire):
    """The outcome of a retry: no rejection if the record is now applied."""

    rejection: Rejection | None = None


@market_feed.handler(
    name="take", output_serde=SparseBody(Taken), **takes_bytes(FeedRecord, may(Role.FEED, Role.TRADER))
)
async def take(ctx: restate.ObjectContext, body: bytes) -> Taken:
    """Apply a record to its market, or park it. Neither is an error.

    A caller can set any header, so the Kafka headers are ignored: a forged position would make real records look
    repeated.
    """
    if rules.origin_of(ctx.request().headers) is not None:
        _log.warning("MarketFeed/take received a record with Kafka headers: subscribe MarketFeed/takeFromKafka instead")
    return await _take(ctx, body, None)


@market_feed.handler(
    name="takeFromKafka", accept=ANY, ingress_private=True, input_serde=BytesSerde(), output_serde=SparseBody(Taken)
)
async def take_from_kafka(ctx: restate.ObjectContext, body: bytes) -> Taken:
    """Apply a record of a subscription, unless it was delivered before.

    The handler is private, so the Kafka headers can be trusted.
    """
    return await _take(ctx, body, rules.origin_of(ctx.request().headers))


@market_feed.handler(name="tryAgain", ingress_private=True)
async def try_again(ctx: restate.ObjectContext, retry: RecordRetry) -> Tried:
    """Apply a parked record, unless newer records have overtaken it."""
    before = await _load(ctx)
    after, rejection = await _apply(ctx, before, retry.text.encode(), retry.number)
    if after is not before:
        ctx.set(STATE, after, serde=_FEED)
    return Tried(rejection=rejection)


async def _take(ctx: restate.ObjectContext, body: bytes, origin: Origin | None) -> Taken:
    """Apply a record or park it. A cancel does not interrupt this, because Kafka would not deliver the record again."""
    if not is_id(ctx.key()):
        no_market = Rejection(reason=Refusal.INVALID_REQUEST.value, message="key: is not the id of a market")
        return _park(ctx, await _to_park(ctx, body, 0, no_market, origin))
    before = await _load(ctx)
    if rules.was_read(before, origin):
        return Taken(status=TakenStatus.REPEATED)
    counted = rules.arrived(before, origin)
    number = counted.records
    after, rejection = await _apply(ctx, counted, body, number)
    if rejection is None:
        ctx.set(STATE, after, serde=_FEED)
        return Taken(status=TakenStatus.APPLIED)
    to_park = await _to_park(ctx, body, number, rejection, origin)
    ctx.set(STATE, after, serde=_FEED)  # nothing may wait from here on
    return _park(ctx, to_park)


async def _load(ctx: restate.ObjectContext) -> Feed:
    return await insist(lambda: ctx.get(STATE, serde=_FEED)) or Feed()


async def _apply(ctx: restate.ObjectContext, feed: Feed, body: bytes, number: int) -> tuple[Feed, Rejection | None]:
    record = rules.read_record(body, REQUESTS)
    if isinstance(record, Refused):
        return feed, _rejection(record)
    if (refused := rules.refuse_overtaken(feed, record, number)) is not None:
        return feed, _rejection(refused)
    if (rejection := await _ask_market(ctx, record)) is not None:
        return feed, rejection
    return rules.applied(feed, record, number), None


async def _ask_market(ctx: restate.ObjectContext, record: Record) -> Rejection | None:
    _, handler = _HANDLERS[record.type]
    by = actor() or _FEED_ITSELF
    try:
        await ctx.object_call(handler, ctx.key(), record.request, headers=headers_of(by.caller))
    except TerminalError as error:
        return Rejection(reason=(error.metadata or {}).get("reason", CANCELLED), message=error.message)
    return None


async def _to_park(
    ctx: restate.ObjectContext, body: bytes, number: int, rejection: Rejection, origin: Origin | None
) -> Parked:
    now = moment(await insist(lambda: journaled_clock(ctx)))
    return record_to_park(ctx.key(), body, number, rejection, origin, now)


def _park(ctx: restate.ObjectContext, parked: Parked) -> Taken:
    where = NO_MARKET if parked.number == 0 else ctx.key()
    ctx.generic_send(QUARANTINE, "park", parked.model_dump_json().encode(), key=where)
    return Taken(status=TakenStatus.PARKED, reason=parked.reason, message=parked.message)


def _rejection(refused: Refused) -> Rejection:
    return Rejection(reason=refused.reason.value, message=refused.message)
