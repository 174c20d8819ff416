"""What of a player cannot be read: it is a finding about that player, and keeps no look from all the others."""

from datetime import datetime
from http import HTTPStatus

import httpx

REASON = "unreadable_document"
"""The reason of a reader's 500 where the document is none that its version can read."""


def is_unreadable(answer: httpx.Response) -> bool:
    """Whether this says that what is stored cannot be read: an answer, which would be the same if asked again."""
    if answer.status_code != HTTPStatus.INTERNAL_SERVER_ERROR:
        return False
    try:
        told = answer.json()["metadata"]["reason"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(told == REASON)


def moment_of(text: object) -> datetime | None:
    """The moment that a document has there, with its zone; None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
