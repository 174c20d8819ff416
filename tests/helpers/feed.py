"""A market's records from the feed, and what its operator does with those that were parked."""

import json
from collections.abc import Mapping
from uuid import uuid4

from tests.helpers.bets import ask
from tests.running import System

NO_MARKET = "~"


class Feed:
    """A market's records from Kafka, and what its operator does with those that were parked."""

    def __init__(self, betting: System, market_id: str | None = None) -> None:
        self.betting = betting
        self.market_id = market_id or f"m-{uuid4().hex}"

    def brings(self, kind: str, content: object = None, offset: int | None = None) -> dict:  # type: ignore[type-arg]
        """A record; with an offset, as if it were in Kafka there."""
        record = {"type": kind} if content is None else {"type": kind, "content": content}
        return self.brings_raw(json.dumps(record).encode(), offset)

    def brings_raw(self, body: bytes, offset: int | None = None) -> dict:  # type: ignore[type-arg]
        place = {"topic": "markets", "partition": "3", "offset": str(offset), "timestamp": "1767225600000"}
        headers = {} if offset is None else {f"kafka.{name}": value for name, value in place.items()}
        response = self.betting.call("MarketFeed", "take", body, key=self.market_id, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()  # type: ignore[no-any-return]

    def quarantine(self, handler: str, record_id: str, status: int = 200) -> dict:  # type: ignore[type-arg]
        return ask(self.betting, "MarketQuarantine", self.market_id, handler, {"recordId": record_id}, status)

    def parked(self, count: int) -> list[dict]:  # type: ignore[type-arg]
        """The parked records, once there are so many: the feed does not wait for the quarantine."""

        def listed() -> list[dict]:  # type: ignore[type-arg]
            return ask(self.betting, "MarketQuarantine", self.market_id, "list")["records"]  # type: ignore[no-any-return]

        self.betting.eventually(lambda: len(listed()) == count)
        return listed()

    @property
    def market(self) -> dict:  # type: ignore[type-arg]
        return ask(self.betting, "MarketService", self.market_id, "get")


def offer(price: str = "2.50") -> dict[str, object]:
    prices = {"home": price, "away": "1.80"}
    selections = [{"selectionId": name, "name": name, "price": price} for name, price in prices.items()]
    return {"name": "A game", "selections": selections}


def left_waiting(feed: Feed, *records: Mapping[str, object], newest: Mapping[str, int] | None = None) -> None:
    """The feed as it is when the messages of waiting records were killed, or an earlier version has dropped them."""
    numbered = [{"number": number, "text": json.dumps(record)} for number, record in enumerate(records, start=2)]
    document = {"records": 9, "newest": newest or {}, "places": {}, "waiting": numbered}
    feed.betting.plant("MarketFeed", feed.market_id, {"feed": json.dumps(document).encode()})
