"""The payment provider, as the services see it."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Protocol, Self, get_args
from urllib.parse import quote, urlencode

import aiohttp
from pydantic import StrictInt
from yarl import URL

from app.domain.model import Wire, iso
from app.domain.payments import (
    OF_CHARGES,
    OF_PAYOUTS,
    ChargeRequest,
    MovementKind,
    MovementPage,
    PaymentEvent,
    PaymentOutcome,
    PaymentStatus,
    PayoutRequest,
)
from app.domain.provider_events import UnknownEvent
from app.domain.refusals import Refused
from app.providers.webhooks import Signatures


class PaymentProvider(Protocol):
    """Moves real money. Except for listings, every outcome is a returned value; only a bug raises."""

    async def charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Take money once per reference: DONE, DECLINED, ACTION_REQUIRED, CONFLICT or UNKNOWN."""

    async def find_charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Return the status of a charge: DONE, DECLINED, ACTION_REQUIRED, CONFLICT, NEVER_SEEN or UNKNOWN."""

    async def pay_out(self, request: PayoutRequest) -> PaymentOutcome:
        """Send money once per reference: DONE, DECLINED, ACTION_REQUIRED, CONFLICT or UNKNOWN."""

    async def find_payout(self, request: PayoutRequest) -> PaymentOutcome:
        """Return the status of a payout: DONE, DECLINED, ACTION_REQUIRED, CONFLICT, NEVER_SEEN or UNKNOWN."""

    async def void_charge(self, request: ChargeRequest) -> PaymentOutcome:
        """End a charge that waits for its customer: DECLINED once it is void, DONE where it was too late."""

    async def refund_charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Give the money of a charge back, once: DONE, DECLINED, NEVER_SEEN or UNKNOWN."""

    def read_event(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> PaymentEvent | UnknownEvent | Refused:
        """What the provider tells by a request to us, if it is the provider who does."""

    async def charges_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        """What charges moved since a moment, by the provider's clock, page by page; raises `ListingError`."""

    async def payouts_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        """What payouts moved since a moment, by the provider's clock, page by page; raises `ListingError`."""


class ListingError(Exception):
    """The provider did not list its movements, so no conclusion may be drawn about them."""


MAX_CONNECTIONS = 500
"""The most concurrent requests to the provider. A request that gets no connection in time is UNKNOWN."""

KEEP_SECONDS = 4.0
"""How long an idle connection is kept: less than the 5 s after which many servers close it. A charge that goes out on
one that is just being closed is UNKNOWN."""

_CONFIRMED = {"reference", "user_id", "wallet_id", "amount", "currency"}
"""The fields that a reply must repeat before we accept that it concerns our payment."""

_Status = Literal["charged", "paid", "declined", "actionRequired"]
_STATUSES: Mapping[_Status, PaymentStatus] = {
    "charged": PaymentStatus.DONE,
    "paid": PaymentStatus.DONE,
    "declined": PaymentStatus.DECLINED,
    "actionRequired": PaymentStatus.ACTION_REQUIRED,
}
assert _STATUSES.keys() == set(get_args(_Status))


class _Order(Wire):
    reference: str
    user_id: str
    wallet_id: str
    amount: int
    currency: str


class _Charge(_Order):
    payment_method: str


class _Payout(_Order):
    destination: str


class _Told(Wire):
    reference: str
    user_id: str
    wallet_id: str
    amount: StrictInt
    currency: str


class _Answer(_Told):
    status: _Status
    redirect_url: str | None = None


class _Refunded(_Told):
    status: Literal["refunded"]


class _NeverSeen(Wire):
    reference: str


class _Conflict(Wire):
    conflict: str = ""
    error: str = ""


BEARER = "Authorization"
NOBODY = Signatures()
"""For who asks the provider, and is told nothing by it."""


def credentials(key: str, header: str = BEARER) -> dict[str, str]:
    """The header that tells the provider who we are: a bearer token, or the key as it is in a header of its own."""
    return {header: f"Bearer {key}" if header.lower() == BEARER.lower() else key} if key else {}


@dataclass(frozen=True)
class _Response:
    """A reply that was read whole."""

    status_code: int
    content: bytes

    @property
    def text(self) -> str:
        """The content for people."""
        return self.content.decode(errors="replace")


class HttpPaymentProvider:
    """The provider's HTTP API. Without a clear, matching reply in time, the outcome is UNKNOWN."""

    def __init__(
        self,
        base_url: str,
        timeout_seconds: float,
        credentials: Mapping[str, str] | None = None,
        signatures: Signatures = NOBODY,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._credentials = dict(credentials or {})
        self._signatures = signatures
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_SECONDS),
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            headers=self._credentials,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # only the composition root reads the environment
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()

    async def charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Take money once per reference."""
        return await self._move("/charges", request)

    async def find_charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Return the status of a charge."""
        return await self._find("/charges", request)

    async def pay_out(self, request: PayoutRequest) -> PaymentOutcome:
        """Send money once per reference."""
        return await self._move("/payouts", request)

    async def find_payout(self, request: PayoutRequest) -> PaymentOutcome:
        """Return the status of a payout."""
        return await self._find("/payouts", request)

    async def void_charge(self, request: ChargeRequest) -> PaymentOutcome:
        """End a charge that waits for its customer."""
        path = f"/charges/{_segment(request.reference)}/void"
        return await self._ask("POST", path, lambda response: _read_look_up(response, request))

    async def refund_charge(self, request: ChargeRequest) -> PaymentOutcome:
        """Give the money of a charge back."""
        return await self._ask(
            "POST",
            f"/charges/{_segment(request.reference)}/refund",
            lambda response: _read_refund(response, request),
            headers={"Idempotency-Key": f"refund.{request.reference}"},
        )

    def read_event(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> PaymentEvent | UnknownEvent | Refused:
        """What the provider tells by a webhook, signed."""
        return self._signatures.read_event(headers, body, now)

    async def charges_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        """What charges moved since a moment."""
        return await self._list("charges", OF_CHARGES, moment, cursor)

    async def payouts_since(self, moment: datetime, cursor: str | None = None) -> MovementPage:
        """What payouts moved since a moment."""
        return await self._list("payouts", OF_PAYOUTS, moment, cursor)

    async def _list(self, of: str, kinds: Set[MovementKind], moment: datetime, cursor: str | None) -> MovementPage:
        query = {"of": of, "since": iso(moment)} | ({} if cursor is None else {"after": cursor})
        try:
            response = await self._send("GET", f"/movements?{urlencode(query)}")
            if response.status_code != HTTPStatus.OK:
                raise ValueError(_said(response))
            page = MovementPage.model_validate_json(response.content)
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise ListingError(f"{type(error).__name__}: {error}"[:500]) from error
        if any(movement.kind not in kinds for movement in page.movements):
            raise ListingError(f"told of something else than {of}")
        if page.next is not None and (page.next == cursor or not page.movements):
            raise ListingError("the pages lead nowhere")
        return page

    async def _move(self, path: str, request: ChargeRequest | PayoutRequest) -> PaymentOutcome:
        return await self._ask(
            "POST",
            path,
            lambda response: _read_movement(response, request),
            body=_order(request).model_dump_json().encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": request.reference},
        )

    async def _find(self, path: str, request: ChargeRequest | PayoutRequest) -> PaymentOutcome:
        path = f"{path}/{_segment(request.reference)}"
        return await self._ask("GET", path, lambda response: _read_look_up(response, request))

    async def _ask(
        self,
        method: str,
        path: str,
        read: Callable[[_Response], PaymentOutcome],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> PaymentOutcome:
        try:
            return read(await self._send(method, path, body, headers))
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            return _unknown(f"{type(error).__name__}: {error}")

    async def _send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> _Response:
        """Ask the provider once. A redirect is not followed: it could repeat a charge somewhere else."""
        assert self._client is not None, "asked before it was entered"
        url = URL(self._base_url + path, encoded=True)
        async with self._client.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            return _Response(response.status, await response.read())


def _order(request: ChargeRequest | PayoutRequest) -> _Order:
    """What the provider is asked for, in its own words."""
    order = _Charge if isinstance(request, ChargeRequest) else _Payout
    return order(**request.model_dump(by_alias=False))


def _segment(reference: str) -> str:
    """A reference as a part of a path. A dot is quoted as well: ".." would otherwise leave the folder."""
    return quote(reference, safe="").replace(".", "%2E")


def _read_movement(response: _Response, request: ChargeRequest | PayoutRequest) -> PaymentOutcome:
    """What the provider did with a charge or payout; 422 is the only error that says no money ever moves."""
    match response.status_code:
        case 200:
            return _outcome(_Answer.model_validate_json(response.content), request)
        case 409 if _is_other_content(response):
            return PaymentOutcome(status=PaymentStatus.CONFLICT, detail=_said(response))
        case 422:
            return PaymentOutcome(status=PaymentStatus.DECLINED, detail=_said(response))
        case _:
            return _unknown(_said(response))


def _is_other_content(response: _Response) -> bool:
    """Whether a 409 says that the reference has other content; it may as well mean that our own request still runs."""
    try:
        said = _Conflict.model_validate_json(response.content)
    except ValueError:
        return False
    return said.conflict == "otherContent" or "other content" in said.error


def _read_refund(response: _Response, request: ChargeRequest) -> PaymentOutcome:
    """Whether the money of a charge went back."""
    match response.status_code:
        case 200:
            answer = _Refunded.model_validate_json(response.content)
            ours = answer.model_dump(include=_CONFIRMED) == request.model_dump(include=_CONFIRMED)
            return PaymentOutcome(status=PaymentStatus.DONE) if ours else _unknown(_said(response))
        case 404 if _NeverSeen.model_validate_json(response.content).reference == request.reference:
            return PaymentOutcome(status=PaymentStatus.NEVER_SEEN)
        case 422:
            return PaymentOutcome(status=PaymentStatus.DECLINED, detail=_said(response))
        case _:
            return _unknown(_said(response))


def _read_look_up(response: _Response, request: ChargeRequest | PayoutRequest) -> PaymentOutcome:
    """Where a payment stands; a 404 counts only if it names our reference, for a wrong address answers 404 too."""
    match response.status_code:
        case 200:
            answer = _Answer.model_validate_json(response.content)
            return _outcome(answer, request) if answer.reference == request.reference else _unknown(_said(response))
        case 404 if _NeverSeen.model_validate_json(response.content).reference == request.reference:
            return PaymentOutcome(status=PaymentStatus.NEVER_SEEN)
        case _:
            return _unknown(_said(response))


def _outcome(answer: _Answer, request: ChargeRequest | PayoutRequest) -> PaymentOutcome:
    """What the answer means for our money; about somebody else's under the same reference, it is a conflict."""
    if answer.model_dump(include=_CONFIRMED) != request.model_dump(include=_CONFIRMED):
        return PaymentOutcome(status=PaymentStatus.CONFLICT, detail=f"answered for other content: {answer}")
    return PaymentOutcome(status=_STATUSES[answer.status], redirect_url=answer.redirect_url)


def _unknown(detail: str) -> PaymentOutcome:
    return PaymentOutcome(status=PaymentStatus.UNKNOWN, detail=detail[:500])


def _said(response: _Response) -> str:
    return f"{response.status_code}: {response.text[:400]}"
