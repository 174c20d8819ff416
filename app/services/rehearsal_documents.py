"""`POST /documents`: says of stored documents whether this code reads them and writes them back whole. Changes nothing.

The request is a JSON list of `{service, key, name, value}`, where `value` is the document in base64. The answer is a
list, one of each, in the same order: `{"verdict": ..., "problems": [...]}`. The verdicts are in `Verdict`; each problem
is a sentence. Neither has a value of a document, nor the key of its object.

400 for what is no such list; 413 for more than MAX_DOCUMENTS or MAX_BYTES.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.services.read_back import read_back
from app.services.stored import SERVICES, stored_as

MAX_DOCUMENTS = 200
MAX_BYTES = 48 * 1024 * 1024
"""Of one request: a document of 32 MB, the most that Restate takes by default, as base64 and with what is around it."""


class Verdict(StrEnum):
    """What became of a document. The names stand between versions: they are never changed."""

    WHOLE = "whole"
    UNREADABLE = "unreadable"
    LOST = "lost"  # a problem is the path of a field of which nothing is written back
    CHANGED = "changed"  # a problem is the path of a field that is written back with another value
    UNKNOWN_SERVICE = "unknownService"
    UNKNOWN_NAME = "unknownName"  # the service keeps no document of this name


class Document(BaseModel):
    """A document as Restate has it."""

    model_config = ConfigDict(extra="ignore")

    service: str
    key: str
    name: str
    value: Annotated[str, Field(repr=False)]


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DOCUMENTS: TypeAdapter[list[Document]] = TypeAdapter(list[Document])


class _TooMuchError(Exception):
    pass


def judged(document: Document) -> list[dict[str, Any]]:
    """Say of one document what this code makes of it; one item for each verdict. ValueError for what is not base64."""
    value = base64.b64decode(document.value, validate=True)
    if document.service not in SERVICES:
        return [_item(Verdict.UNKNOWN_SERVICE)]
    kind = stored_as(document.service, document.key, document.name)
    if kind is None:
        return [_item(Verdict.UNKNOWN_NAME)]
    return list(_judged(read_back(kind, value))) or [_item(Verdict.WHOLE)]


def _judged(result: Any) -> Iterator[dict[str, Any]]:
    for verdict, problems in (
        (Verdict.UNREADABLE, result.unreadable),
        (Verdict.LOST, result.lost),
        (Verdict.CHANGED, result.changed),
    ):
        if problems:
            yield _item(verdict, *problems)


def _item(verdict: Verdict, *problems: str) -> dict[str, Any]:
    return {"verdict": verdict, "problems": list(problems)}


def answer(body: bytes) -> tuple[int, object]:
    """The status and the JSON for a request's body."""
    try:
        documents = _DOCUMENTS.validate_json(body)
        if len(documents) > MAX_DOCUMENTS:
            return 413, {"message": f"more than {MAX_DOCUMENTS} documents"}
        return 200, [judged(document) for document in documents]
    except ValidationError as error:
        return 400, {"message": f"no list of documents: {error.errors()[0]['type']}"}
    except ValueError:
        return 400, {"message": "a value is not base64"}


async def documents_app(scope: Message, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] != "http":
        return
    status, said = (405, {"message": "POST only"}) if scope["method"] != "POST" else await _answered(receive)
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    body = json.dumps(said).encode()
    await send({"type": "http.response.body", "body": body})


async def _answered(receive: Receive) -> tuple[int, object]:
    try:
        body = await _body(receive)
    except _TooMuchError:
        return 413, {"message": f"more than {MAX_BYTES} bytes"}
    return await asyncio.to_thread(answer, body)


async def _body(receive: Receive) -> bytes:
    read, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        read += message.get("body", b"")
        if len(read) > MAX_BYTES:
            raise _TooMuchError
        more = message.get("more_body", False)
    return bytes(read)
