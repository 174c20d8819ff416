"""What the sandbox's money did after a payment, and the list of all that moved, to compare books with."""

import secrets
from collections.abc import Sequence
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.domain.model import iso
from app.domain.payments import OF_CHARGES, OF_PAYOUTS, EventStatus, MovementKind, PaymentStatus
from app.sandbox.orders import Order
from app.sandbox.payments import answer
from app.sandbox.store import Moved, Payment, Store
from app.sandbox.webhooks import WebhookSender

PAGE = 100
"""Movements on a page, unless asked for fewer or more."""
MAX_PAGE = 1000

_OF = {"charges": OF_CHARGES, "payouts": OF_PAYOUTS, "": OF_CHARGES | OF_PAYOUTS}


class Movements:
    """Refunds, chargebacks and payouts that come back, each told to the service; and everything that moved."""

    def __init__(self, store: Store, sender: WebhookSender) -> None:
        self._store = store
        self._sender = sender

    def routes(self) -> Sequence[Route]:
        """Where money is moved back, and where all of it is listed."""
        charge, payout = "/charges/{reference}", "/payouts/{reference}"
        return [
            Route("/movements", self.moved, methods=["GET"]),
            Route(f"{charge}/void", self.void, methods=["POST"]),
            Route(f"{charge}/refund", self.refund, methods=["POST"]),
            Route(f"{charge}/chargeback", self.charge_back, methods=["POST"]),
            Route(f"{charge}/chargebackReversed", self.reverse, methods=["POST"]),
            Route(f"{payout}/sendBack", self.send_back, methods=["POST"]),
            Route(f"{payout}/tell", self.tell, methods=["POST"]),
        ]

    async def moved(self, request: Request) -> Response:
        """A page of what moved since a moment (`since`), after a cursor (`after`), of charges or payouts (`of`)."""
        query = request.query_params
        try:
            kinds = _OF[query.get("of", "")]
            since = iso(datetime.fromisoformat(query["since"])) if "since" in query else ""
            after, limit = int(query.get("after", 0)), min(int(query.get("limit", PAGE)), MAX_PAGE)
        except (KeyError, ValueError) as error:
            raise HTTPException(422, f"of, since, after, limit: cannot be read: {error}") from error
        found = self._store.movements(kinds, since, after, limit + 1)
        page, more = found[:limit], len(found) > limit
        return JSONResponse({"movements": [_said(moved) for moved in page], "next": str(page[-1].id) if more else None})

    async def void(self, request: Request) -> Response:
        """End a charge that waits for its customer; what has ended is answered as it stands."""
        reference = request.path_params["reference"]
        if (payment := self._store.void(reference)) is None:
            return _never_seen(reference)
        return JSONResponse(answer(payment, request))

    async def refund(self, request: Request) -> Response:
        """Give the money of a charge back, once."""
        return self._back(request, "charge", MovementKind.REFUND, EventStatus.REFUNDED)

    async def charge_back(self, request: Request) -> Response:
        """The customer's bank takes the money back: again only after a reversal."""
        reference = request.path_params["reference"]
        number = self._store.times_moved(reference, MovementKind.CHARGEBACK_REVERSED) + 1
        return self._back(request, "charge", MovementKind.CHARGEBACK, EventStatus.CHARGEBACK, number)

    async def reverse(self, request: Request) -> Response:
        """The bank gives it to us again: as often as it took it."""
        reference = request.path_params["reference"]
        number = self._store.times_moved(reference, MovementKind.CHARGEBACK)
        if number == 0:
            raise HTTPException(422, f"{reference} was not charged back")
        return self._back(request, "charge", MovementKind.CHARGEBACK_REVERSED, EventStatus.CHARGEBACK_REVERSED, number)

    async def send_back(self, request: Request) -> Response:
        """A payout's money comes back to the house, once."""
        return self._back(request, "payout", MovementKind.SENT_BACK, EventStatus.SENT_BACK)

    async def tell(self, request: Request) -> Response:
        """Tell the service how a payout ended."""
        payment = self._find(request, "payout")
        statuses = {PaymentStatus.DONE: EventStatus.PAID, PaymentStatus.DECLINED: EventStatus.REFUSED}
        if payment is None or payment.status not in statuses:
            raise HTTPException(422, "this payout has not ended")
        self._sender.tell(payment.order, statuses[payment.status], _event_id())
        return JSONResponse(answer(payment, request))

    def _back(self, request: Request, of: str, kind: MovementKind, status: EventStatus, number: int = 1) -> Response:
        if (payment := self._find(request, of)) is None:
            return _never_seen(request.path_params["reference"])
        if payment.status is not PaymentStatus.DONE:
            raise HTTPException(422, "no money of this payment moved")
        self._store.move_back(payment.order.reference, kind, number)
        self._sender.tell(payment.order, status, f"{kind}.{number}.{payment.order.reference}"[:200])
        return JSONResponse(answer(payment, request) | {"status": status})

    def _find(self, request: Request, of: str) -> Payment | None:
        return self._store.find(of, request.path_params["reference"])


def _event_id() -> str:
    return f"e-{secrets.token_hex(8)}"


def _never_seen(reference: str) -> Response:
    return JSONResponse({"error": f"never seen: {reference}", "reference": reference}, 404)


def _said(moved: Moved) -> dict[str, object]:
    order: Order = moved.order
    told = order.model_dump(include={"reference", "user_id", "wallet_id", "amount", "currency"})
    return {"kind": moved.kind, **told, "at": moved.at}
