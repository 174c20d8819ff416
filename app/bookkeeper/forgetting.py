"""How the bookkeeper has the follow-ups of old deposits cleared: some after each look, until all had a turn."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from app.bookkeeper import queries
from app.domain.model import iso

PAGE = 100
"""How many deposits one request names: as many as the service takes."""
PAGES_A_LOOK = 20
"""What deposits at some 60 a second leave behind from look to look."""


class Told(Protocol):
    """The interface of a running system that has deposits forgotten."""

    async def query(self, sql: str) -> Sequence[queries.Row]:
        """Run an SQL query in Restate and return its rows."""

    async def send_on(self, path: str, body: object) -> None:
        """Send a request to the ingress. An older version may not take it, which is an error."""


class Forgetting:
    """Has deposits forgotten whose reservation is older than `after`. The money of a deposit is not here.

    Each sweep goes on behind the one before, so that what is kept for a reason keeps nothing else from its turn.
    """

    def __init__(self, after: timedelta) -> None:
        self._after = after
        self._place = ""

    async def sweep(self, told: Told, now: datetime) -> int:
        """Ask for the next of them to be forgotten, and return how many."""
        before, most = iso(now - self._after), PAGE * PAGES_A_LOOK
        rows = await told.query(queries.OLD_FOLLOW_UPS.format(after=self._place, before=before, most=most))
        ids = [str(row["id"]) for row in rows]
        for start in range(0, len(ids), PAGE):
            body = {"depositIds": ids[start : start + PAGE], "reservedBefore": before}
            await told.send_on("RepairService/forget", body)
        self._place = ids[-1] if len(ids) == most else ""
        return len(ids)
