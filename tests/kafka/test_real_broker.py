"""What the pages promise of markets from Kafka, on a real broker: `make kafka`."""

import httpx
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.cimpl import NewPartitions
from prometheus_client.parser import text_string_to_metric_families

from tests.helpers.bets import ask
from tests.helpers.feed import offer
from tests.helpers.topics import Topic
from tests.kafka.broker import Broker
from tests.kafka.traffic import Match, Traffic
from tests.running import System

PER_SECOND = 50
READ = "restate_kafka_ingress_requests_total"
SOON = {"topic_metadata_refresh_interval_ms": "500"}
"""A consumer looks for new partitions every five minutes, unless it is told otherwise."""


def opened(system: System, topic: Topic, count: int) -> list[Match]:
    """Markets that Restate knows of."""
    matches = [Match(system, topic) for _ in range(count)]
    for match in matches:
        match.opens()
    system.eventually(lambda: all(match.seen for match in matches))
    return matches


def all_arrive(topic: Topic, traffic: Traffic) -> None:
    """Each record that the broker acknowledged is applied, once, and none is late."""
    topic.flushes()
    assert topic.acknowledged == traffic.sent
    for match in traffic.matches:
        topic.system.eventually(match.is_up_to_date)
    assert [match.counted for match in traffic.matches] == [match.sent for match in traffic.matches]
    assert [match.feed.parked(0) for match in traffic.matches] == [[] for _ in traffic.matches]


def all_arrive_in_order(topic: Topic, traffic: Traffic) -> None:
    """Nor did a price that somebody saw ever go back."""
    all_arrive(topic, traffic)
    assert [looks for looks in traffic.looks if looks != sorted(looks)] == []
    assert all(len(set(looks)) > 1 for looks in traffic.looks)


def sent_since(system: System, traffic: Traffic, count: int) -> None:
    """Wait until so many more records are sent."""
    before = traffic.sent
    system.eventually(lambda: traffic.sent >= before + count)


def shared_by(kafka: Broker, group: str) -> list[int]:
    """How many partitions each consumer of a group reads."""
    (found,) = kafka.admin.describe_consumer_groups([group]).values()
    return sorted(len(member.assignment.topic_partitions) for member in found.result().members)


def read(topic: Topic) -> dict[str, float]:
    """How many records Restate says it has read of each partition: what the alert BettingFeedSilent watches."""
    text = httpx.get(f"{topic.system.ports.url('node')}/metrics", trust_env=False).raise_for_status().text
    lines = [line for line in text.splitlines() if line.startswith(READ) or line == f"# TYPE {READ} counter"]
    return {
        sample.labels["partition"]: sample.value
        for family in text_string_to_metric_families("\n".join(lines) + "\n")
        for sample in family.samples
        if sample.labels["topic"] == topic.name
    }


def test_records_of_a_market_are_applied_in_their_order(reading: System, topic: Topic) -> None:
    matches = [Match(reading, topic) for _ in range(5)]
    for match in matches:
        match.opens()
    for match in matches * 100:
        match.goes_on()
    traffic = Traffic(matches, PER_SECOND)

    with topic.subscribed(group_id="in-order"):
        with traffic.flowing():
            sent_since(reading, traffic, 200)
        for match in matches:
            match.closes()
        all_arrive_in_order(topic, traffic)


def test_a_broker_that_is_killed_loses_and_repeats_nothing(kafka: Broker, reading: System, topic: Topic) -> None:
    with topic.subscribed(group_id="killed"):
        traffic = Traffic(opened(reading, topic, 5), PER_SECOND)
        with traffic.flowing():
            sent_since(reading, traffic, 200)
            kafka.kill()
            acknowledged = topic.acknowledged
            sent_since(reading, traffic, 200)
            assert topic.acknowledged - acknowledged < 200
            kafka.start()
            sent_since(reading, traffic, 200)
        all_arrive_in_order(topic, traffic)


def test_a_bad_record_is_parked_and_the_rest_go_on(reading: System, topic: Topic) -> None:
    with topic.subscribed():
        good, bad = opened(reading, topic, 2)
        topic.sends(bad.feed.market_id, b"\xff not JSON")
        topic.sends(bad.feed.market_id, {"type": "shout"})
        topic.sends(bad.feed.market_id, {"type": "open", "content": offer("9.00")})
        topic.sends(bad.feed.market_id, None)
        for match in (good, bad):
            match.goes_on()
        topic.flushes()

        parked = bad.feed.parked(4)
        reading.eventually(lambda: (good.seen, bad.seen) == ((2.001, "open"), (2.001, "open")))
        assert sum(read(topic).values()) == good.sent + bad.sent + len(parked)

    assert [record["reason"] for record in parked] == [
        "invalid_request",
        "invalid_request",
        "id_reused",
        "invalid_request",
    ]
    assert ask(reading, "MarketQuarantine", good.feed.market_id, "list")["records"] == []


def test_partitions_that_move_between_consumers_lose_and_repeat_nothing(
    kafka: Broker, reading: System, topic: Topic
) -> None:
    first = topic.subscribe(group_id="moving")
    traffic = Traffic(opened(reading, topic, 5), PER_SECOND)
    with traffic.flowing():
        sent_since(reading, traffic, 100)
        with topic.subscribed(group_id="moving"):
            reading.eventually(lambda: shared_by(kafka, "moving") == [2, 2])
            sent_since(reading, traffic, 100)
            topic.unsubscribe(first)
            reading.eventually(lambda: shared_by(kafka, "moving") == [4])
            sent_since(reading, traffic, 100)
            first = topic.subscribe(group_id="moving")
            reading.eventually(lambda: shared_by(kafka, "moving") == [2, 2])
        reading.eventually(lambda: shared_by(kafka, "moving") == [4])
        sent_since(reading, traffic, 100)
    all_arrive_in_order(topic, traffic)
    topic.unsubscribe(first)


def test_a_topic_that_is_read_again_brings_back_no_old_price(reading: System, topic: Topic) -> None:
    with topic.subscribed(group_id="first"):
        matches = opened(reading, topic, 3)
        for match in matches * 20:
            match.goes_on()
        for match in matches:
            reading.eventually(match.is_up_to_date)
    for match in matches:
        ask(reading, "MarketService", match.feed.market_id, "setPrices", {"prices": {"home": "9.000"}})
    for match in matches:
        topic.sends(match.feed.market_id, {"type": "close"})

    with topic.subscribed(group_id="second"):
        reading.eventually(lambda: all(match.seen == (9.0, "closed") for match in matches))

    assert [match.counted for match in matches] == [match.sent + 1 for match in matches]
    assert [match.feed.parked(0) for match in matches] == [[], [], []]


def test_partitions_that_are_added_under_traffic_are_read(kafka: Broker, reading: System, topic: Topic) -> None:
    with topic.subscribed(group_id="more", **SOON):
        traffic = Traffic(opened(reading, topic, 5), PER_SECOND)
        with traffic.flowing():
            sent_since(reading, traffic, 100)
            kafka.admin.create_partitions([NewPartitions(topic.name, 12)])[topic.name].result()
            sent_since(reading, traffic, 100)
            reading.eventually(lambda: shared_by(kafka, "more") == [12])
            sent_since(reading, traffic, 100)
        all_arrive(topic, traffic)


def test_a_subscription_that_a_key_has_stopped_goes_on_behind_it(kafka: Broker, reading: System, topic: Topic) -> None:
    topic.partition = 0
    stopped = topic.subscribe(group_id="stopped")
    (match,) = opened(reading, topic, 1)
    unreadable = match.sent
    topic.tells(b"\xff", {"type": "close"})
    match.goes_on()
    log = reading.folder / "state" / "logs" / "restate.log"
    reading.eventually(lambda: "The Kafka record key must be valid UTF-8" in log.read_text())
    assert match.counted < match.sent

    topic.unsubscribe(stopped)
    reading.eventually(lambda: shared_by(kafka, "stopped") == [])
    behind = TopicPartition(topic.name, 0, unreadable + 1)
    (moved,) = kafka.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions("stopped", [behind])]).values()
    moved.result()

    with topic.subscribed(group_id="stopped"):
        reading.eventually(match.is_up_to_date)
    assert match.counted == match.sent
    assert match.feed.parked(0) == []
