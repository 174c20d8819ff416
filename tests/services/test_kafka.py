"""Records as Restate really brings them, from a Kafka that librdkafka plays in this process, over the real protocol."""

from tests.helpers.bets import ask
from tests.helpers.feed import NO_MARKET, Feed, offer
from tests.helpers.topics import played
from tests.running import System


def test_a_topic_is_taken_in_order_and_changes_nothing_when_it_is_read_again(system: System) -> None:
    topic, feed = played(system), Feed(system)
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
