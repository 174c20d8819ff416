"""A payment provider that answers as told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.domain.payments import ChargeRequest

CHARGE = ChargeRequest(
    reference="d-1", user_id="u-1", wallet_id="w-1", amount=100, currency="EUR", payment_method="creditCard"
)


def charge_of(reference: str) -> ChargeRequest:
    return CHARGE.model_copy(update={"reference": reference})


@asynccontextmanager
async def answering(*pieces: bytes, pause: float = 0) -> AsyncIterator[str]:
    """A server that says the same to everybody, piece by piece, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            if not reader.at_eof():
                writer.write(piece)
                await asyncio.sleep(pause)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def response(status: int, body: object) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(content)) + content
