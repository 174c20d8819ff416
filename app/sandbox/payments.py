"""The sandbox's payment API: charges and payouts, once per reference."""

import asyncio
from collections.abc import Sequence

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.domain.payments import PaymentStatus
from app.sandbox.orders import FLAKY, FLAKY_FAILURES, TIMEOUT_CHARGED, TIMEOUT_LOST, Order, decide
from app.sandbox.store import Payment, Store

_CONFIRMED = {"reference", "amount", "currency", "user_id", "wallet_id"}


class Desk:
    """Takes orders of one kind, charges or payouts, and tells what became of them."""

    def __init__(self, store: Store, kind: type[Order], stop: asyncio.Event) -> None:
        self._store = store
        self._kind = kind
        self._stop = stop

    def routes(self) -> Sequence[Route]:
        """Where the desk is found: /charges or /payouts."""
        path = f"/{self._kind.kind}s"
        return [
            Route(path, self.moved, methods=["GET"]),
            Route(path, self.take, methods=["POST"]),
            Route(f"{path}/{{reference}}", self.find, methods=["GET"]),
        ]

    async def take(self, request: Request) -> Response:
        """Take an order once; asking again gives the same answer, asking for something else is a conflict."""
        order = await self._read(request)
        known = self._store.find(order.kind, order.reference)
        if known is not None and known.order != order:
            raise HTTPException(409, f"reference {order.reference} was used with other content")
        if order.scenario == TIMEOUT_LOST:
            return await self._never_answer(request)
        if known is None:
            if order.scenario == FLAKY and self._store.count_attempt(order.kind, order.reference) <= FLAKY_FAILURES:
                raise HTTPException(503, "out of order, try again")
            known = self._store.record(order, decide(order))
        if order.scenario == TIMEOUT_CHARGED:
            return await self._never_answer(request)
        return JSONResponse(answer(known, request))

    async def find(self, request: Request) -> Response:
        """Where one order stands."""
        reference = request.path_params["reference"]
        if (payment := self._store.find(self._kind.kind, reference)) is None:
            return JSONResponse({"error": f"never seen: {reference}", "reference": reference}, 404)
        return JSONResponse(answer(payment, request))

    async def moved(self, request: Request) -> Response:
        """What really moved, under one reference or under all."""
        payments = self._store.moved(self._kind.kind, request.query_params.get("reference"))
        return JSONResponse([payment.order.model_dump() | {"at": payment.moved_at} for payment in payments])

    async def _read(self, request: Request) -> Order:
        try:
            order = self._kind.model_validate_json(await request.body())
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()]
            raise HTTPException(422, "; ".join(faults)) from error
        if request.headers.get("Idempotency-Key") != order.reference:
            raise HTTPException(422, "Idempotency-Key: has to be the reference")
        return order

    async def _never_answer(self, request: Request) -> Response:
        """Keep the caller waiting until it hangs up or the sandbox stops."""
        waits = [asyncio.ensure_future(request.receive()), asyncio.ensure_future(self._stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        raise HTTPException(503, "the sandbox stops")


def answer(payment: Payment, request: Request) -> dict[str, object]:
    """What the provider says about a payment."""
    order = payment.order
    done = payment.status is PaymentStatus.DONE
    said = order.model_dump(include=_CONFIRMED) | {"status": order.done if done else payment.status.value}
    if payment.status is PaymentStatus.ACTION_REQUIRED:
        said["redirectUrl"] = str(request.url_for("three_d_secure", reference=order.reference))
    return said
