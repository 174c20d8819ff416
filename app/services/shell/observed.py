"""Observes every attempt of a handler: its metrics, log line and trace are recorded when the attempt finishes."""

import logging
from asyncio import CancelledError
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from restate.exceptions import SuspendedException, TerminalError
from restate.extensions import current_context
from restate.server_context import DisconnectedException, ServerInvocationContext, restate_context_is_replaying

from app.domain.activity import Event, Happened
from app.domain.refusals import Refusal
from app.services.shell.access import is_part_of_a_read
from app.services.shell.dependencies import dependencies
from app.services.shell.wire import UNREADABLE, UnreadableError
from app.telemetry import metrics, traces
from app.telemetry.attempts import Attempt, count, current
from app.telemetry.counts import Count, Counter

logger = logging.getLogger(__name__)

_REFUSED = {
    "PaymentService/deposit": metrics.DEPOSITS,
    "PaymentService/withdraw": metrics.WITHDRAWALS,
    "PlayerService/placeBet": metrics.BETS,
}
"""The handlers whose refusals are counted. A declined deposit is not one of them: its own decision counts it."""

_COUNTED: dict[Event, tuple[Counter, str, Counter | None]] = {
    Event.DEPOSIT_CREDITED: (metrics.DEPOSITS, "credited", metrics.DEPOSITED),
    Event.DEPOSIT_DECLINED: (metrics.DEPOSITS, "declined", None),
    Event.DEPOSIT_FAILED: (metrics.DEPOSITS, "failed", None),
    Event.DEPOSIT_CANCELLED: (metrics.DEPOSITS, "cancelled", None),
    Event.DEPOSIT_REFUNDED: (metrics.DEPOSITS, "refunded", metrics.DEPOSITS_TAKEN_BACK),
    Event.DEPOSIT_CHARGED_BACK: (metrics.DEPOSITS, "chargedBack", metrics.DEPOSITS_TAKEN_BACK),
    Event.CHARGEBACK_REVERSED: (metrics.DEPOSITS, "chargebackReversed", metrics.DEPOSITS_REGAINED),
    Event.WITHDRAWAL_HELD: (metrics.WITHDRAWALS, "held", None),
    Event.WITHDRAWAL_PAID: (metrics.WITHDRAWALS, "paid", metrics.WITHDRAWN),
    Event.WITHDRAWAL_RETURNED: (metrics.WITHDRAWALS, "returned", None),
    Event.PAYOUT_SENT_BACK: (metrics.WITHDRAWALS, "sentBack", metrics.SENT_BACK),
    Event.BET_ACCEPTED: (metrics.BETS, "accepted", metrics.STAKED),
    Event.BET_REFUSED: (metrics.BETS, "refused", None),
    Event.BET_CASHED_OUT: (metrics.BETS, "cashedOut", metrics.RETURNED),
    Event.BET_WON: (metrics.SETTLED, "won", metrics.RETURNED),
    Event.BET_LOST: (metrics.SETTLED, "lost", None),
    Event.BET_CORRECTED: (metrics.SETTLED, "corrected", metrics.RETURNED),
}
assert _COUNTED.keys() == set(Event)


@asynccontextmanager
async def observed() -> AsyncIterator[None]:
    """Observe an attempt. Must be the outermost context manager of the handler."""
    context = current_context()
    assert isinstance(context, ServerInvocationContext)
    request = context.request()
    attempt = Attempt(request.id, context.handler.service_tag.name, context.handler.name)
    traces.place(attempt, request.attempt_headers)
    current.set(attempt)
    try:
        with _unreadable_told(context):
            yield
    except TerminalError as error:
        reason = (error.metadata or {}).get("reason", "")
        _finish(attempt, "refused" if reason and reason != UNREADABLE else "failed", reason, error)
        raise
    except SuspendedException:
        _count_attempt(attempt, "suspended")
        raise
    except (DisconnectedException, CancelledError):
        # Restate went away, and tries again when it is back. Nothing is wrong with the code: a watch takes no version
        # back for it. What hangs until Restate hangs up is found by its work, which fails or is paused.
        _count_attempt(attempt, "disconnected")
        raise
    except BaseException:
        _count_attempt(attempt, "failed")
        raise
    else:
        _finish(attempt, "done")


@contextmanager
def _unreadable_told(context: ServerInvocationContext) -> Iterator[None]:
    """Tell operators which object has a document that cannot be read. Who only reads is told too, at once.

    That is so through other components, too: the error of a call is the error of its caller, with reason and message.
    All else is retried, then paused, and goes on when the document is mended: a final error would leave work half done.
    """
    try:
        yield
    except UnreadableError as error:
        restate_context_is_replaying.set(False)  # it is logged even where a replay reads the document
        service, key = context.handler.service_tag.name, context.key()
        metrics.unreadable(service, key)
        logger.error("%s/%s: %s", service, key, error)
        if not is_part_of_a_read():
            raise
        message = f"what is stored of {service}/{key} cannot be read; an operator has to mend it"
        raise TerminalError(message, status_code=500, metadata={"reason": UNREADABLE}) from None


def count_activity(happened: list[Happened]) -> None:
    """Count the events of a decision. They reach the counters only when the attempt finishes."""
    for one in happened:
        counter, outcome, amounts = _COUNTED[one.event]
        labels = (outcome,) if counter is metrics.SETTLED else (outcome, one.reason or "")
        count(Count(counter, labels))
        if amounts is not None:
            amounts = metrics.TAKEN_BACK if one.amount < 0 else amounts
            count(Count(amounts, (one.currency,), abs(one.amount)))


def _finish(attempt: Attempt, outcome: str, reason: str = "", error: TerminalError | None = None) -> None:
    restate_context_is_replaying.set(False)  # the end of an attempt is never a replay: log it
    refusing = _REFUSED.get(f"{attempt.service}/{attempt.handler}")
    if refusing is not None and reason and reason != Refusal.PAYMENT_DECLINED:
        count(Count(refusing, ("refused", reason)))
    if attempt.counts:
        dependencies().counts.add(attempt.invocation, attempt.counts)
    _count_attempt(attempt, outcome)
    metrics.DURATION.labels(attempt.service, attempt.handler).observe(attempt.seconds)
    traces.finish(attempt, outcome, reason)
    if outcome == "refused":
        logger.info("refused: %s", reason)
    elif error is not None:
        logger.warning("failed: %s", error.message)


def _count_attempt(attempt: Attempt, outcome: str) -> None:
    metrics.ATTEMPTS.labels(attempt.service, attempt.handler, outcome).inc()
