import os
from collections.abc import Iterator

import pytest
from confluent_kafka.cimpl import NewTopic

from tests.helpers.topics import Topic
from tests.kafka.broker import Broker, broker
from tests.kafka.traffic import producer
from tests.running import System, running

WANTED = "BETTING_TEST_KAFKA"
PARTITIONS = 4


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real broker, which whoever asks for it gets: it takes Java, and minutes."""
    if os.environ.get(WANTED, "") in ("", "0"):
        pytest.skip("NO REAL KAFKA: a stand-in is what is tested, make kafka tests a real broker")
    with broker(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.fixture(scope="session")
def reading(kafka: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that reads of this broker alone: reads of a dead one would slow the others' tests."""
    with running(tmp_path_factory.mktemp("reading")) as system:
        yield system


@pytest.fixture
def topic(kafka: Broker, reading: System) -> Topic:
    """A topic of several partitions that nobody has written to or read."""
    made = Topic(reading, kafka.servers, producer(kafka))
    kafka.admin.create_topics([NewTopic(made.name, PARTITIONS, 1)])[made.name].result()
    return made
