"""Topics that a provider writes a market's records to, and the subscriptions by which Restate reads them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import httpx
from confluent_kafka import KafkaError, Message, Producer

from tests.running import System

ANY_PARTITION = -1
"""The one that the key hashes to, as librdkafka counts."""
FROM_THE_BEGINNING = {"auto.offset.reset": "earliest"}
BROKER_SECONDS = 60


class Topic:
    """A topic of a cluster that Restate knows."""

    def __init__(self, system: System, servers: str, producer: Producer, partition: int = ANY_PARTITION) -> None:
        self.system = system
        self.name = f"markets-{uuid4().hex}"
        self.producer = producer
        self.acknowledged = 0
        self.partition = partition
        self._admin("POST", "kafka-clusters", {"name": self.name, "properties": {"bootstrap.servers": servers}})

    def sends(self, key: str | bytes | None, record: object) -> None:
        """Produce a record without waiting for the broker; none stands for a tombstone, bytes for themselves."""
        value = record if isinstance(record, bytes | None) else json.dumps(record).encode()
        self.producer.produce(self.name, key=key, value=value, partition=self.partition, on_delivery=self._acknowledge)
        self.producer.poll(0)

    def flushes(self) -> None:
        """Wait until the broker has all that was sent."""
        assert self.producer.flush(BROKER_SECONDS) == 0

    def tells(self, key: str | bytes | None, record: object) -> None:
        """Produce a record that the broker has."""
        self.sends(key, record)
        self.flushes()

    def subscribe(self, **options: str) -> str:
        """Have Restate read it, by default from its beginning; tells the subscription's id."""
        named = {name.replace("_", "."): value for name, value in options.items()}
        subscription = {
            "source": f"kafka://{self.name}/{self.name}",
            "sink": "service://MarketFeed/takeFromKafka",
            "options": {**FROM_THE_BEGINNING, **named},
        }
        name: str = self._admin("POST", "subscriptions", subscription).json()["id"]
        return name

    def unsubscribe(self, subscription: str) -> None:
        """Have Restate read it no more."""
        self._admin("DELETE", f"subscriptions/{subscription}")

    @contextmanager
    def subscribed(self, **options: str) -> Iterator[None]:
        """Have Restate read it for a while."""
        subscription = self.subscribe(**options)
        yield
        self.unsubscribe(subscription)

    def _acknowledge(self, error: KafkaError | None, _message: Message) -> None:
        assert error is None, error
        self.acknowledged += 1

    def _admin(self, method: str, path: str, body: Mapping[str, object] | None = None) -> httpx.Response:
        with httpx.Client(base_url=self.system.admin, trust_env=False, timeout=30) as client:
            return client.request(method, path, json=body).raise_for_status()


def played(system: System) -> Topic:
    """A topic of one partition at a broker that its own producer plays."""
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = producer.list_topics(timeout=BROKER_SECONDS).brokers.values()
    return Topic(system, f"{broker.host}:{broker.port}", producer, partition=0)
