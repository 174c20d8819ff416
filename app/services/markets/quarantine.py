"""MarketQuarantine: keeps records that could not be applied to their market, for operators to retry or discard."""

from typing import Annotated

import restate
from pydantic import StringConstraints

from app.domain import quarantine as rules
from app.domain.access import Role, headers_of, may
from app.domain.model import PublicRequest, Wire
from app.domain.quarantine import NO_MARKET, Parked, Quarantine, QuarantineView
from app.domain.refusals import Refusal, Refused
from app.services.markets import feed as market_feed
from app.services.markets.feed import QUARANTINE, RecordRetry
from app.services.shell.access import actor
from app.services.shell.observed import observed
from app.services.shell.requests import EmptyRequest, key_is, takes
from app.services.shell.shield import all_ended, insist
from app.services.shell.wire import FORGET_AT_ONCE, Document, SparseBody, refuse

market_quarantine = restate.VirtualObject(
    QUARANTINE,
    journal_retention=FORGET_AT_ONCE,
    invocation_context_managers=[observed, key_is("marketId", NO_MARKET)],
)

STATE = "quarantine"
_QUARANTINE = Document(Quarantine)


class WhichRecordRequest(PublicRequest):
    """A record, named by the id that `list` shows."""

    record_id: Annotated[str, StringConstraints(strict=True, pattern=r"^[1-9][0-9]{0,17}$")]


class Retried(Wire):
    """Whether the record was applied and has left the quarantine; if not, the reason why it stays."""

    record_id: str
    applied: bool
    reason: str | None = None
    message: str | None = None


class Discarded(Wire):
    """A record that has left the quarantine."""

    record_id: str


@market_quarantine.handler(
    name="list", kind="shared", **takes(EmptyRequest, may(Role.TRADER, Role.AUDITOR), reads=True)
)
async def list_records(ctx: restate.ObjectSharedContext, request: EmptyRequest) -> QuarantineView:
    """List all parked records, in the order of arrival."""
    return rules.quarantine_view(await _load(ctx))


@market_quarantine.handler(
    name="retry",
    output_serde=SparseBody(Retried),
    **takes(WhichRecordRequest, may(Role.TRADER), Refusal.UNKNOWN_RECORD, repeatable=True),
)
async def retry(ctx: restate.ObjectContext, request: WhichRecordRequest) -> Retried:
    """Retry a record, after the records of its market that are already waiting in the feed."""
    before, record_id = await _load(ctx), request.record_id
    record = _found(before, record_id)
    rejection = rules.cannot_be_tried(record)
    if rejection is None:
        by = actor()
        headers = None if by is None else headers_of(by.caller)
        asked = ctx.object_call(market_feed.try_again, ctx.key(), _retry(record), headers=headers)
        await all_ended(asked)  # a cancel must not leave an applied record in the quarantine
        rejection = (await asked).rejection
    ctx.set(STATE, rules.tried(before, record_id, rejection), serde=_QUARANTINE)
    if rejection is None:
        return Retried(record_id=record_id, applied=True)
    return Retried(record_id=record_id, applied=False, reason=rejection.reason, message=rejection.message)


@market_quarantine.handler(
    name="discard", **takes(WhichRecordRequest, may(Role.TRADER), Refusal.UNKNOWN_RECORD, repeatable=True)
)
async def discard(ctx: restate.ObjectContext, request: WhichRecordRequest) -> Discarded:
    """Discard a record for good. Refuses an unknown record."""
    before = await _load(ctx)
    _found(before, request.record_id)
    ctx.set(STATE, rules.discard(before, request.record_id), serde=_QUARANTINE)
    return Discarded(record_id=request.record_id)


@market_quarantine.handler(name="park", ingress_private=True)
async def park(ctx: restate.ObjectContext, record: Parked) -> None:
    """Park a record that the feed could not apply. A cancel does not lose it."""
    before = await insist(lambda: ctx.get(STATE, serde=_QUARANTINE)) or Quarantine()
    after = rules.park(before, record)
    if after is not before:
        ctx.set(STATE, after, serde=_QUARANTINE)


async def _load(ctx: restate.ObjectContext | restate.ObjectSharedContext) -> Quarantine:
    return await ctx.get(STATE, serde=_QUARANTINE) or Quarantine()


def _found(quarantine: Quarantine, record_id: str) -> Parked:
    record = rules.find(quarantine, record_id)
    if isinstance(record, Refused):
        refuse(record)
    return record


def _retry(record: Parked) -> RecordRetry:
    return RecordRetry(text=record.text, number=record.number)
