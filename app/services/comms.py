"""CommsService: sends e-mail to customers, one e-mail per message id, however often the send is repeated."""

import logging

import restate
from opentelemetry.trace import SpanKind

from app.domain.messages import Message
from app.providers.messages import UndeliverableError
from app.services.shell.dependencies import dependencies
from app.services.shell.observed import observed
from app.services.shell.requests import requests_checked
from app.services.shell.wire import FORGET_AT_ONCE
from app.telemetry import metrics, traces

logger = logging.getLogger(__name__)

comms = restate.Service(
    "CommsService",
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, requests_checked],
)


@comms.handler(name="send")
async def send(ctx: restate.Context, message: Message) -> None:
    """Hand a message to the mail server; after a crash it may be sent again, under the same Message-ID.

    The handler does nothing else, so its end is all that the journal needs to know. A step of its own would cost two
    entries and be as little proof: the crash may come between the mail server's answer and the entry.

    A cancel is ignored, because nothing would send the message again. To give a message up, kill the invocation.
    """
    try:
        with traces.span("hand over to the mail server", SpanKind.CLIENT):
            await dependencies().mailer.send(message)
    except UndeliverableError as error:  # permanent: a retry would never succeed
        metrics.MESSAGES.labels("undeliverable").inc()
        logger.warning("undeliverable: %s", error)
    else:
        metrics.MESSAGES.labels("sent").inc()
