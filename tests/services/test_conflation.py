"""New prices that wait in a market's feed are one change: the newest of each selection, in the order of the records.

They are made to wait by a service that stands still while Restate reads them from Kafka.
"""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.helpers.bets import ask
from tests.helpers.feed import Feed, left_waiting, offer
from tests.helpers.topics import Topic, played
from tests.running import System

CHANGE = ("setPrices", "MarketService")


def prices(**of_selections: str) -> dict[str, object]:
    return {"type": "setPrices", "content": {"prices": of_selections}}


@contextmanager
def standing_still(betting: System) -> Iterator[None]:
    """Nothing is applied meanwhile."""
    service = betting.facts()["pids"]["service"]
    os.kill(service, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service, signal.SIGCONT)


def queued(feed: Feed) -> int:
    """How many records of the market Restate has."""
    sql = f"""select count(*) as records from sys_invocation
      where target_service_name = 'MarketFeed' and target_service_key = '{feed.market_id}' and status <> 'completed'"""
    return int(feed.betting.query(sql)[0]["records"])


def is_waiting(feed: Feed) -> bool:
    """Whether any record of the market waits."""
    stored = feed.betting.state("MarketFeed", feed.market_id)
    return bool(stored) and "waiting" in json.loads(stored["feed"])


def bring_at_once(feed: Feed, records: Sequence[object]) -> Topic:
    """Let these records wait for each other, and wait until the feed has taken all of them."""
    topic = played(feed.betting)
    for record in records:
        topic.tells(feed.market_id, record)
    with standing_still(feed.betting), topic.subscribed():
        feed.betting.eventually(lambda: queued(feed) == len(records))
    # A record has been taken before its message, which applies it, is queued.
    feed.betting.eventually(lambda: queued(feed) == 0 and not is_waiting(feed))
    return topic


def changes_of_prices(betting: System) -> float:
    """How many changes of prices markets were asked for."""
    attempts = betting.metrics("betting_handler_attempts_total")
    handler, service = CHANGE
    return sum(attempts.get((handler, outcome, service), 0) for outcome in ("done", "refused"))


def records_by_outcome(betting: System) -> dict[str, float]:
    return {outcome: count for (outcome,), count in betting.metrics("betting_feed_records_total").items()}


def test_a_burst_of_prices_is_a_few_changes(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("open", offer())
    changes, before = changes_of_prices(betting), records_by_outcome(betting)

    bring_at_once(feed, [prices(home=f"3.{number:03d}") for number in range(99)] + [prices(away="2.00")])

    assert feed.market["prices"] == {"home": "3.098", "away": "2.00"}
    assert changes_of_prices(betting) - changes == 4
    grown = {outcome: count - before[outcome] for outcome, count in records_by_outcome(betting).items()}
    assert grown == {"applied": 4, "conflated": 96, "parked": 0, "repeated": 0}
    assert feed.parked(0) == []


def test_one_record_alone_is_one_change(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("open", offer())
    changes = changes_of_prices(betting)

    bring_at_once(feed, [prices(home="3.00")])

    assert feed.market["prices"] == {"home": "3.00", "away": "1.80"}
    assert changes_of_prices(betting) - changes == 1


def test_other_records_come_after_the_prices_that_waited(betting: System) -> None:
    feed = Feed(betting)

    bring_at_once(
        feed,
        [
            {"type": "open", "content": offer()},
            prices(home="3.00"),
            prices(home="3.50"),
            {"type": "close"},
            prices(home="9.00"),
        ],
    )

    assert (feed.market["status"], feed.market["prices"]["home"]) == ("closed", "3.50")
    (late,) = feed.parked(1)
    assert (late["reason"], late["origin"]["offset"]) == ("market_not_open", 4)


def test_of_prices_that_wait_together_only_the_bad_ones_are_parked(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("open", offer())
    records = [
        prices(home="3.00"),
        prices(ghost="2.00", home="8.00"),
        prices(away="1.50"),
        {"type": "setPrices", "content": {"prices": {"home": "1"}}},
        prices(home="3.20"),
        prices(nobody="2.00"),
        prices(away="1.60"),
    ]

    topic = bring_at_once(feed, records)

    assert feed.market["prices"] == {"home": "3.20", "away": "1.60"}
    parked = feed.parked(3)
    assert [(one["origin"]["topic"], one["origin"]["offset"]) for one in parked] == [
        (topic.name, offset) for offset in (1, 3, 5)
    ]
    assert [json.loads(one["text"]) for one in parked] == [records[offset] for offset in (1, 3, 5)]
    assert [(one["reason"], one["message"].split(":")[0]) for one in parked] == [
        ("unknown_selection", "selectionId"),
        ("invalid_request", "content.prices.home"),
        ("unknown_selection", "selectionId"),
    ]
    assert [one["message"].rsplit(" ", 1)[1] for one in parked if one["reason"] == "unknown_selection"] == [
        "ghost",
        "nobody",
    ]
    assert [feed.quarantine("retry", one["recordId"])["reason"] for one in parked] == [
        "overtaken",
        "invalid_request",
        "unknown_selection",
    ]


def test_prices_whose_message_was_killed_are_applied_by_the_next_record(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("open", offer())
    left_waiting(feed, prices(home="3.00"), prices(ghost="2.00"), prices(home="3.50"))

    assert feed.brings("close") == {"status": "applied"}

    assert (feed.market["status"], feed.market["prices"]["home"]) == ("closed", "3.50")
    assert [one["reason"] for one in feed.parked(1)] == ["unknown_selection"]
    assert b"waiting" not in betting.state("MarketFeed", feed.market_id)["feed"]


def test_prices_that_waited_over_a_rollback_overwrite_no_newer_ones(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("open", offer())
    feed.brings("setPrices", {"prices": {"home": "4.00"}})
    left_waiting(feed, prices(home="3.00", away="1.50"), prices(home="3.50"), newest={"price/home": 8})

    bring_at_once(feed, [prices(away="1.60")])

    assert feed.market["prices"] == {"home": "4.00", "away": "1.60"}
    assert feed.parked(0) == []


def test_a_parked_record_that_is_tried_again_does_not_overtake_the_prices_that_wait(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("setPrices", {"prices": {"home": "2.10", "away": "2.20"}})
    (record,) = feed.parked(1)
    ask(betting, "MarketService", feed.market_id, "open", offer())
    left_waiting(feed, prices(home="3.00"))

    again = feed.quarantine("retry", record["recordId"])

    assert (again["applied"], again["message"]) == (False, "a newer record has been applied to price/home")
    assert feed.market["prices"] == {"home": "3.00", "away": "1.80"}
