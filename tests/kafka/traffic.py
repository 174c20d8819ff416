"""What a provider writes in a match, and what a punter sees of it."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Producer

from tests.helpers.feed import Feed, offer
from tests.helpers.topics import Topic
from tests.kafka.broker import Broker
from tests.running import System

STATUS_EVERY = 10
"""After so many prices of a market, its status changes."""


def producer(kafka: Broker) -> Producer:
    """A producer as operators are asked to configure theirs."""
    told = {"bootstrap.servers": kafka.servers, "enable.idempotence": True, "topic.metadata.refresh.interval.ms": 500}
    return Producer({**told, "log_level": 0})


class Match:
    """A market whose price only ever rises, and whose status changes now and then."""

    def __init__(self, system: System, topic: Topic) -> None:
        self.feed = Feed(system)
        self.sent = 0
        self.thousandths = 2_000
        self.status = "open"
        self._topic = topic

    def opens(self) -> None:
        """Offer the market."""
        self._sends("open", offer("2.000"))

    def goes_on(self) -> None:
        """A new price, or another status."""
        if self.sent % STATUS_EVERY == 0:
            kind, self.status = ("resume", "open") if self.status == "suspended" else ("suspend", "suspended")
            self._sends(kind)
        else:
            self.rises()

    def rises(self) -> None:
        """A new price."""
        self.thousandths += 1
        self._sends("setPrices", {"prices": {"home": self.price}})

    def closes(self) -> None:
        """The end: a price that comes later is refused."""
        self.status = "closed"
        self._sends("close")

    @property
    def price(self) -> str:
        """The last price that was sent."""
        return f"{self.thousandths // 1_000}.{self.thousandths % 1_000:03}"

    @property
    def seen(self) -> tuple[float, str] | None:
        """The price and the status, as anybody can see them; none before the market is open."""
        answer = self.feed.betting.call("MarketService", "prices", key=self.feed.market_id)
        if answer.status_code != 200:
            return None
        market = answer.json()
        return float(market["prices"]["home"]), market["status"]

    @property
    def counted(self) -> int:
        """How many records the market's feed has counted."""
        stored = self.feed.betting.state("MarketFeed", self.feed.market_id).get("feed", b"{}")
        return int(json.loads(stored).get("records", 0))

    def is_up_to_date(self) -> bool:
        """Whether all that was sent has arrived."""
        return self.seen == (float(self.price), self.status) and self.counted >= self.sent

    def _sends(self, kind: str, content: object = None) -> None:
        self._topic.sends(self.feed.market_id, {"type": kind} | ({} if content is None else {"content": content}))
        self.sent += 1


class Traffic:
    """Matches at once, so many records a second, from another thread for as long as the block goes on."""

    def __init__(self, matches: Sequence[Match], per_second: int) -> None:
        self.matches = matches
        self.looks: list[list[float]] = [[] for _ in matches]
        """The prices of each match that were seen, in the order in which they were."""
        self._pause = 1 / per_second
        self._stopped = threading.Event()

    @property
    def sent(self) -> int:
        """Records so far."""
        return sum(match.sent for match in self.matches)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Produce and look, meanwhile."""
        threads = [threading.Thread(target=work) for work in (self._produce, self._look)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def _produce(self) -> None:
        while not self._stopped.is_set():
            for match in self.matches:
                match.goes_on()
                time.sleep(self._pause)

    def _look(self) -> None:
        while not self._stopped.is_set():
            for match, looks in zip(self.matches, self.looks, strict=True):
                if (seen := match.seen) is not None:
                    looks.append(seen[0])
