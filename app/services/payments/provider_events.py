"""Verifies and reads the signed events of the payment provider."""

import logging

import restate

from app.domain.model import Wire
from app.domain.payments import PaymentEvent
from app.domain.provider_events import UnknownEvent
from app.domain.refusals import Refused
from app.services.shell.clock import clock
from app.services.shell.dependencies import dependencies
from app.services.shell.wire import refuse
from app.telemetry import metrics

logger = logging.getLogger(__name__)


class Received(Wire):
    """The acknowledgement of an event: the provider need not send it again."""

    received: bool = True


async def verified(ctx: restate.Context, body: bytes) -> PaymentEvent | None:
    """Return the provider's event, or None if its kind is unknown. Refuses a bad signature or an unreadable body."""
    now = await clock(ctx)
    event = dependencies().provider.read_event(ctx.request().headers, body, now)
    if isinstance(event, Refused):
        refuse(event)
    if isinstance(event, UnknownEvent):
        metrics.PROVIDER_EVENTS.labels("unknown").inc()
        logger.warning("the provider sent an event of an unknown kind: %r", event.kind[:100])
        return None
    metrics.PROVIDER_EVENTS.labels("known").inc()
    return event
