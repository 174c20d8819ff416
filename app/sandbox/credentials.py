"""The sandbox's payment API for those alone who have its key, as a real provider's is."""

import hmac
import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.providers.payments import BEARER, credentials

_API = re.compile(r"/movements|/(charges|payouts)/[^/]+(/void|/refund)?")
"""What the service asks. What people look at and try (/mails, /charges, 3-D Secure, chargebacks) stays open."""
_ORDERS = re.compile(r"/(charges|payouts)")


class Demanding:
    """Answers 401 to whoever asks the payment API without the key; without a key, it asks nobody."""

    def __init__(self, app: ASGIApp, key: str | None, header: str = BEARER) -> None:
        self._app = app
        self._expected = credentials(key or "", header)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and self._is_api(scope) and not self._is_known(scope):
            answer = JSONResponse({"error": "who are you? the key is missing or wrong"}, 401)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    @staticmethod
    def _is_api(scope: Scope) -> bool:
        ordered = scope["method"] == "POST" and _ORDERS.fullmatch(scope["path"]) is not None
        return ordered or _API.fullmatch(scope["path"]) is not None

    def _is_known(self, scope: Scope) -> bool:
        given = {name.decode("latin-1"): value for name, value in scope["headers"]}
        return all(
            hmac.compare_digest(given.get(name.lower(), b""), value.encode()) for name, value in self._expected.items()
        )
