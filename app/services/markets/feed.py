"""MarketFeed: applies the records of one market, in the order in which Kafka delivers them.

It is exclusive, which keeps the records in order. It may wait for its market, because the market never calls it. A
record that cannot be applied is sent to the market's quarantine, and the feed moves on to the next one. A transient
failure, such as a market that does not answer, is an error that Restate retries.

New prices from Kafka wait in the feed's document. With each, a message goes to this feed itself, which arrives after
the records that are queued by then and applies all that waits as one change. So does any other record, because it must
not overtake them. The message is one that an earlier version understands: to it, it is a record to be tried again.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Any

import restate
from pydantic import Field
from restate.exceptions import TerminalError
from restate.serde import BytesSerde

from app.domain import feed as rules
from app.domain.access import Actor, Role, headers_of, may
from app.domain.feed import CANCELLED, Feed, Origin, Record, RecordType, Rejection, Requests
from app.domain.model import Moment, PublicRequest, Wire, is_empty, is_id
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
from app.telemetry.attempts import count
from app.telemetry.counts import Count
from app.telemetry.metrics import FEED_RECORDS

market_feed = restate.VirtualObject(
    "MarketFeed",
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, requests_checked],
)

QUARANTINE = "MarketQuarantine"
"""A component in a higher layer, addressed by name because it cannot be imported here."""
STATE = "feed"
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
    waiting: bool = Field(False, exclude_if=is_empty)
    """Whether it is a record that waits in the feed, and is to be applied with all that do. Earlier versions do not
    know this field, and try the record by itself."""


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
    taken = await _take(ctx, body, None, prices_wait=False)
    assert taken is not None, "its caller waits for what becomes of the record"
    return taken


@market_feed.handler(
    name="takeFromKafka", accept=ANY, ingress_private=True, input_serde=BytesSerde(), output_serde=SparseBody(Taken)
)
async def take_from_kafka(ctx: restate.ObjectContext, body: bytes) -> Taken | None:
    """Apply a record of a subscription, unless it was delivered before. None for new prices, which wait for others.

    The handler is private, so the Kafka headers can be trusted.
    """
    return await _take(ctx, body, rules.origin_of(ctx.request().headers), prices_wait=actor() is None)


@market_feed.handler(name="tryAgain", ingress_private=True)
async def try_again(ctx: restate.ObjectContext, retry: RecordRetry) -> Tried:
    """Apply a parked record, unless newer records have overtaken it. Or apply what waits, if it still does."""
    before = await _load(ctx)
    if retry.waiting and not rules.is_waiting(before, retry.number):
        return Tried()
    after, parked = await _apply_waiting(ctx, before)
    rejection = None
    if not retry.waiting:
        record = rules.read_record(retry.text.encode(), REQUESTS)
        after, rejection = await _apply(ctx, after, record, retry.number)
    if after is not before:
        _store(ctx, after, parked)
    return Tried(rejection=rejection)


async def _take(ctx: restate.ObjectContext, body: bytes, origin: Origin | None, *, prices_wait: bool) -> Taken | None:
    """Apply a record, park it, or let it wait. A cancel does not interrupt this: Kafka would not deliver it again."""
    if not is_id(ctx.key()):
        no_market = Rejection(reason=Refusal.INVALID_REQUEST.value, message="key: is not the id of a market")
        return _park(ctx, record_to_park(ctx.key(), body, 0, no_market, origin, await _now(ctx)))
    before = await _load(ctx)
    if rules.was_read(before, origin):
        _count("repeated")
        return Taken(status=TakenStatus.REPEATED)
    counted = rules.arrived(before, origin)
    record = rules.read_record(body, REQUESTS)
    waits = prices_wait and rules.can_wait(record)
    has_room = waits and rules.has_room(counted, body)
    flushed, parked = (counted, []) if has_room else await _apply_waiting(ctx, counted)
    if waits:
        _wait(ctx, flushed, body, origin, parked)
        return None
    after, rejection = await _apply(ctx, flushed, record, counted.records)
    if rejection is None:
        _store(ctx, after, parked)
        return Taken(status=TakenStatus.APPLIED)
    to_park = record_to_park(ctx.key(), body, counted.records, rejection, origin, await _now(ctx))
    _store(ctx, after, parked)  # nothing may wait from here on
    return _park(ctx, to_park)


async def _load(ctx: restate.ObjectContext) -> Feed:
    return await insist(lambda: ctx.get(STATE, serde=_FEED)) or Feed()


def _store(ctx: restate.ObjectContext, feed: Feed, parked: Iterable[Parked]) -> None:
    """Park what waited and was not applied, then store the feed, where it waits no more.

    A kill in between loses nothing: what is parked a second time is recognised by its place in Kafka.
    """
    for one in parked:
        _park(ctx, one)
    ctx.set(STATE, feed, serde=_FEED)


def _wait(ctx: restate.ObjectContext, feed: Feed, body: bytes, origin: Origin | None, parked: Iterable[Parked]) -> None:
    """Let a record wait. Its message to this feed comes after it is stored: without it, the message does nothing."""
    _store(ctx, rules.wait(feed, body, origin), parked)
    ctx.object_send(try_again, ctx.key(), RecordRetry(text=body.decode(), number=feed.records, waiting=True))


async def _apply_waiting(ctx: restate.ObjectContext, feed: Feed) -> tuple[Feed, list[Parked]]:
    """Apply what waits as one change. Returns the feed where nothing waits, and the records that are to be parked."""
    applying = rules.apply_waiting(feed, REQUESTS)
    while (change := applying.change) is not None:
        applying = applying.answered(await _ask_market(ctx, change, _FEED_ITSELF))
    _count("applied", applying.changes)
    _count("conflated", applying.taken - applying.changes)
    if not applying.rejected:
        return applying.feed, []
    now = await _now(ctx)
    return applying.feed, [
        record_to_park(ctx.key(), one.text.encode(), one.number, rejection, one.origin, now)
        for one, rejection in applying.rejected
    ]


async def _apply(
    ctx: restate.ObjectContext, feed: Feed, record: Record | Refused, number: int
) -> tuple[Feed, Rejection | None]:
    if isinstance(record, Refused):
        return feed, _rejection(record)
    if (refused := rules.refuse_overtaken(feed, record, number)) is not None:
        return feed, _rejection(refused)
    if (rejection := await _ask_market(ctx, record, actor() or _FEED_ITSELF)) is not None:
        return feed, rejection
    _count("applied")
    return rules.applied(feed, record, number), None


async def _ask_market(ctx: restate.ObjectContext, record: Record, by: Actor) -> Rejection | None:
    _, handler = _HANDLERS[record.type]
    try:
        await ctx.object_call(handler, ctx.key(), record.request, headers=headers_of(by.caller))
    except TerminalError as error:
        return Rejection(reason=(error.metadata or {}).get("reason", CANCELLED), message=error.message)
    return None


async def _now(ctx: restate.ObjectContext) -> Moment:
    return moment(await insist(lambda: journaled_clock(ctx)))


def _park(ctx: restate.ObjectContext, parked: Parked) -> Taken:
    _count("parked")
    where = NO_MARKET if parked.number == 0 else ctx.key()
    ctx.generic_send(QUARANTINE, "park", parked.model_dump_json().encode(), key=where)
    return Taken(status=TakenStatus.PARKED, reason=parked.reason, message=parked.message)


def _count(outcome: str, records: int = 1) -> None:
    if records:
        count(Count(FEED_RECORDS, (outcome,), records))


def _rejection(refused: Refused) -> Rejection:
    return Rejection(reason=refused.reason.value, message=refused.message)
