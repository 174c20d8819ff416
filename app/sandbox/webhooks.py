"""How the sandbox tells the service what became of a charge."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx

from app.domain.payments import EITHER, EventKind, EventStatus, PaymentEvent
from app.providers.webhooks import HEADER, sign
from app.sandbox.orders import Order
from app.sandbox.store import Store, Webhook

PAUSES_SECONDS = (0.2, 0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8)
"""How long the sender waits after each failure; about a minute in all, then it gives up."""

TIMEOUT_SECONDS = 10
CONNECT_SECONDS = 3
"""For a connection. To an address whose pod has just gone there never is one; the next try may go to another."""

WEBHOOKS = 2
"""How often each event is sent: providers promise at least once, so the sandbox never sends just one."""

_log = logging.getLogger(__name__)


class WebhookSender:
    """Sends each webhook again and again until the service has heard it, over restarts of the sandbox too."""

    def __init__(self, store: Store, base: str, secret: str) -> None:
        self._store = store
        self._base = base.rstrip("/")
        self._secret = secret
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS), trust_env=False
        )
        self._deliveries: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.send(self._store.webhooks())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for delivery in self._deliveries:
            delivery.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        await self._client.aclose()

    def send(self, webhooks: Iterable[Webhook]) -> None:
        """Start to deliver webhooks that are in the outbox, all at once."""
        for webhook in webhooks:
            delivery = asyncio.create_task(self._deliver(webhook))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)

    def tell(self, order: Order, status: EventStatus, event_id: str | None = None) -> None:
        """Tell the service what became of a payment."""
        event = PaymentEvent(
            reference=order.reference,
            status=status,
            user_id=order.user_id,
            wallet_id=order.wallet_id,
            amount=order.amount,
            currency=order.currency,
            kind=None if status in EITHER else EventKind(order.kind),
            event_id=event_id,
        )
        self.send(self._store.add_webhooks(event, WEBHOOKS))

    async def _deliver(self, webhook: Webhook) -> None:
        for pause in PAUSES_SECONDS:
            if await self._heard(webhook):
                break
            await asyncio.sleep(pause)
        else:
            _log.warning("gave up on a webhook for %s", webhook.reference)
        self._store.forget(webhook)

    async def _heard(self, webhook: Webhook) -> bool:
        body = webhook.body.encode()
        signature = sign(self._secret, body, datetime.now(UTC))
        try:
            response = await self._client.post(
                f"{self._base}/{_address(webhook)}",
                content=body,
                headers={"Content-Type": "application/json", HEADER: signature},
            )
        except httpx.HTTPError:
            return False
        return response.is_success


def _address(webhook: Webhook) -> str:
    """Where an event goes: how a charge ended, to the deposit itself; all else, to the address for everything."""
    if PaymentEvent.model_validate_json(webhook.body).status in EITHER:
        return f"DepositFollowUp/{quote(webhook.reference, safe='')}/webhook"
    return "PaymentService/webhook"
