"""Something in Restate's place that gives its answers in turn."""

from typing import Any

from tests.helpers.serving import whole

UNKNOWN = (404, "ingress", b"""{"code":404,"message":"service 'MarketService' not found","source":"ingress"}""")
"""What a node of Restate answers that does not know yet what is registered."""


class Scripted:
    """An ASGI application: answers in turn, the last one again and again. Each has a status, a source and a body."""

    def __init__(self, *answers: tuple[int, str | None, bytes]) -> None:
        self.asked = 0
        self._answers = answers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            return
        await whole(receive)
        status, source, content = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        if source:
            headers.append((b"x-restate-error-source", source.encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
