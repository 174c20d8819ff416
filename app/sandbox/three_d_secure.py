"""3-D Secure in the sandbox: the customer proves who pays, then the provider tells the service."""

from collections.abc import Sequence
from html import escape

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from app.domain.payments import EITHER, EventStatus, PaymentStatus
from app.sandbox.orders import Charge
from app.sandbox.payments import answer
from app.sandbox.store import Store
from app.sandbox.webhooks import WebhookSender

_OUTCOMES = {"charged": PaymentStatus.DONE, "paid": PaymentStatus.DONE, "declined": PaymentStatus.DECLINED}

_PAGE = """<!doctype html>
<title>3-D Secure</title>
<h1>Is it you who pays {reference}?</h1>
<form method="post" action="{reference}/complete"><button>Yes</button></form>
<form method="post" action="{reference}/complete?outcome=declined"><button>No</button></form>
"""


class ThreeDSecure:
    """The bank's page, and what happens when the customer is done with it."""

    def __init__(self, store: Store, sender: WebhookSender) -> None:
        self._store = store
        self._sender = sender

    def routes(self) -> Sequence[Route]:
        """Where the customer is sent, and what the page's buttons do."""
        path = "/threeDSecure/{reference}"
        return [
            Route(path, self.page, methods=["GET"], name="three_d_secure"),
            Route(f"{path}/complete", self.complete, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """Ask the customer."""
        return HTMLResponse(_PAGE.format(reference=escape(request.path_params["reference"])))

    async def complete(self, request: Request) -> Response:
        """End a payment that waits for its customer; completing again changes nothing and sends the webhooks again."""
        reference = request.path_params["reference"]
        outcome = await _outcome(request)
        if outcome not in _OUTCOMES:
            raise HTTPException(422, f"outcome: one of {', '.join(_OUTCOMES)}")
        if (payment := self._store.complete(reference, _OUTCOMES[outcome])) is None:
            raise HTTPException(404, f"never seen: {reference}")
        status = EventStatus(payment.status)
        self._sender.tell(payment.order, status if isinstance(payment.order, Charge) else EITHER[status])
        return JSONResponse(answer(payment, request))


async def _outcome(request: Request) -> object:
    if "outcome" in request.query_params or not request.headers.get("Content-Type", "").startswith("application/json"):
        return request.query_params.get("outcome", "charged")
    try:
        body = await request.json() if await request.body() else {}
    except ValueError as error:
        raise HTTPException(422, "body: not JSON") from error
    return body.get("outcome", "charged") if isinstance(body, dict) else None
