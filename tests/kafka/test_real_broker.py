"""What the pages promise of markets from Kafka, on a real broker: `make kafka`."""

from tests.helpers.bets import ask
from tests.helpers.feed import offer
from tests.helpers.topics import Topic
from tests.kafka.broker import Broker
from tests.kafka.traffic import Match, Traffic
from tests.running import System

PER_SECOND = 50


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
    assert [looks for looks in traffic.looks if looks != sorted(looks)] == []
    assert all(len(set(looks)) > 1 for looks in traffic.looks)


def sent_since(system: System, traffic: Traffic, count: int) -> None:
    """Wait until so many more records are sent."""
    before = traffic.sent
    system.eventually(lambda: traffic.sent >= before + count)


def test_records_of_a_market_are_applied_in_their_order(reading: System, topic: Topic) -> None:
    with topic.subscribed(group_id="in-order"):
        traffic = Traffic(opened(reading, topic, 5), PER_SECOND)
        with traffic.flowing():
            sent_since(reading, traffic, 500)
        for match in traffic.matches:
            match.closes()
        all_arrive(topic, traffic)


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
        all_arrive(topic, traffic)


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

    assert [record["reason"] for record in parked] == [
        "invalid_request",
        "invalid_request",
        "id_reused",
        "invalid_request",
    ]
    assert ask(reading, "MarketQuarantine", good.feed.market_id, "list")["records"] == []
