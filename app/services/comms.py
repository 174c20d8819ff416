"""CommsService: customer messages by e-mail. One a message id, however often sending it is repeated."""

import logging

import restate
from opentelemetry.trace import SpanKind

from app.domain.messages import Message
from app.providers.messages import UndeliverableError
from app.services.shell.dependencies import dependencies
from app.services.shell.observed import observed
from app.services.shell.requests import requests_checked
from app.services.shell.shield import all_ended
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
    """Hand a message to the mail server. A crash in between repeats it under the same Message-ID.

    A cancel does not stop it: nobody would send the message again. To give one up, kill it.
    """
    handed_over = ctx.run_typed("hand over to the mail server", _hand_over, restate.RunOptions(), message)
    await all_ended(handed_over)
    await handed_over


async def _hand_over(message: Message) -> str:
    try:
        with traces.span("hand over to the mail server", SpanKind.CLIENT):
            await dependencies().mailer.send(message)
    except UndeliverableError as error:  # for good: trying again would hold this up for ever and help nobody
        metrics.MESSAGES.labels("undeliverable").inc()
        logger.warning("undeliverable: %s", error)
        return f"undeliverable: {error}"
    metrics.MESSAGES.labels("sent").inc()
    return "handed over"
