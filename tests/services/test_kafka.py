"""Records as Restate really brings them, from a Kafka that librdkafka plays in this process, over the real protocol."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
from confluent_kafka import Producer

from tests.helpers.bets import ask
from tests.helpers.feed import NO_MARKET, Feed, offer
from tests.running import System

PARTITION = 0


class Topic:
    """A topic of one partition that a market's provider writes to."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.name = f"markets-{uuid4().hex}"
        self.producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self.producer.list_topics(timeout=10).brokers.values()
        cluster = {"name": self.name, "properties": {"bootstrap.servers": f"{broker.host}:{broker.port}"}}
        self._admin("POST", "kafka-clusters", cluster)

    def tells(self, key: str | None, record: object) -> None:
        """Produce a record; none stands for a tombstone."""
        value = None if record is None else json.dumps(record).encode()
        self.producer.produce(self.name, key=key, value=value, partition=PARTITION)
        assert self.producer.flush(10) == 0

    @contextmanager
    def subscribed(self) -> Iterator[None]:
        """Have Restate read it, from its beginning."""
        source, options = f"kafka://{self.name}/{self.name}", {"auto.offset.reset": "earliest"}
        subscription = {"source": source, "sink": "service://MarketFeed/takeFromKafka", "options": options}
        name = self._admin("POST", "subscriptions", subscription).json()["id"]
        yield
        self._admin("DELETE", f"subscriptions/{name}")

    def _admin(self, method: str, path: str, body: object = None) -> httpx.Response:
        with httpx.Client(base_url=self.system.admin, trust_env=False, timeout=30) as client:
            return client.request(method, path, json=body).raise_for_status()


def test_a_topic_is_taken_in_order_and_changes_nothing_when_it_is_read_again(system: System) -> None:
    topic, feed = Topic(system), Feed(system)
    for price in ("3.00", "3.50", "4.00"):
        topic.tells(feed.market_id, {"type": "setPrices", "content": {"prices": {"home": price}}})
    topic.tells(feed.market_id, {"type": "open", "content": offer()})
    for price in ("5.00", "6.00"):
        topic.tells(feed.market_id, {"type": "setPrices", "content": {"prices": {"home": price}}})
    topic.tells(feed.market_id, None)
    topic.tells(None, {"type": "close"})
    topic.tells(feed.market_id, {"type": "suspend"})

    with topic.subscribed():
        parked = feed.parked(4)
        system.eventually(lambda: feed.market["status"] == "suspended")

    assert [(record["reason"], record["text"][:20]) for record in parked] == [
        *[("unknown_market", '{"type": "setPrices"')] * 3,
        ("invalid_request", ""),
    ]
    assert [record["origin"]["offset"] for record in parked] == [0, 1, 2, 6]
    assert {record["origin"]["topic"] for record in parked} == {topic.name}
    assert feed.market["prices"]["home"] == "6.00"

    def without_key() -> list[dict]:  # type: ignore[type-arg]
        records = ask(system, "MarketQuarantine", NO_MARKET, "list")["records"]
        return [record for record in records if record["origin"] and record["origin"]["topic"] == topic.name]

    (keyless,) = system.eventually(without_key)
    assert (keyless["key"], keyless["origin"]["offset"]) == ("", 7)

    ask(system, "MarketService", feed.market_id, "setPrices", {"prices": {"home": "7.00"}})
    topic.tells(feed.market_id, {"type": "resume"})
    topic.tells(feed.market_id, {"type": "setPrices", "content": {"prices": {"away": "2.00"}}})
    with topic.subscribed():
        system.eventually(lambda: feed.market["prices"]["away"] == "2.00")

    assert (feed.market["status"], feed.market["prices"]["home"]) == ("open", "7.00")
    assert feed.parked(4) == parked
    assert without_key() == [keyless]
