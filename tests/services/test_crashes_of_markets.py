"""The crash matrix of markets: whatever is cancelled or killed, a result is carried out, and no record is lost."""

import asyncio
from collections.abc import Iterator
from functools import cache
from uuid import uuid4

import pytest
from rich.console import Console

from tests.bench.planting import PRICE, SHARDS, market_with_bets, plant
from tests.helpers.bets import Customer, ask, crowd, refused
from tests.helpers.feed import Feed, left_waiting, offer
from tests.helpers.flows import a_correction, a_settlement, a_suspension
from tests.helpers.topics import Topic, played
from tests.running import System
from tests.services.crash_matrix import COLUMNS, PROCESSES, Crashing, Flow, matrix


def a_record_of_the_feed(betting: System) -> Iterator[None]:
    feed, customer = Feed(betting), Customer(betting)
    feed.brings("open", offer())
    customer.bets(f"{feed.market_id} home 2.50", stake=10)
    yield

    answer = feed.brings("setPrices", {"prices": {"home": "3.00"}})

    if answer["status"] == "parked":
        assert answer["reason"] == "cancelled"
        (record,) = feed.parked(1)
        assert feed.quarantine("retry", record["recordId"])["applied"]
    assert feed.market["prices"]["home"] == "3.00"
    betting.eventually(lambda: is_told(betting, feed, "3.00"))


def is_told(betting: System, feed: Feed, price: str) -> bool:
    """Whether every book in use has the price."""
    sql = f"""select count(*) as old from state where service_name = 'MarketBook' and key = 'book'
      and service_key like '{feed.market_id}:%' and value_utf8 not like '%"home":"{price}"%'"""
    return betting.query(sql)[0]["old"] == 0  # type: ignore[no-any-return]


@cache
def subscribed_topic(betting: System) -> Topic:
    """A topic that Restate reads until the system ends."""
    topic = played(betting)
    topic.subscribe()
    return topic


def a_burst_of_new_prices(betting: System) -> Iterator[None]:
    """A record that is killed before it is stored is lost, so the same prices are brought twice."""
    feed, customer, topic = Feed(betting), Customer(betting), subscribed_topic(betting)
    feed.brings("open", offer())
    customer.bets(f"{feed.market_id} home 2.50", stake=10)
    left_waiting(feed, {"type": "setPrices", "content": {"prices": {"home": "3.50"}}})
    yield

    for _ in range(2):
        topic.tells(feed.market_id, {"type": "setPrices", "content": {"prices": {"away": "1.60"}}})

    def are_applied() -> bool:
        for record in ask(betting, "MarketQuarantine", feed.market_id, "list")["records"]:
            assert record["reason"] == "cancelled"
            betting.call("MarketQuarantine", "retry", {"recordId": record["recordId"]}, key=feed.market_id)
        prices: dict[str, str] = feed.market["prices"]
        return prices == {"home": "3.50", "away": "1.60"}

    betting.eventually(are_applied)
    betting.eventually(lambda: is_told(betting, feed, "3.50"))
    betting.eventually(lambda: b"waiting" not in betting.state("MarketFeed", feed.market_id)["feed"])


def a_price_change(betting: System) -> Iterator[None]:
    market_id, customers = f"m-{uuid4().hex}", crowd(betting, 3)
    asyncio.run(plant(betting.admin, market_with_bets(market_id, [])))
    betting.eventually(lambda: betting.state("MarketBook", f"{market_id}:{SHARDS - 1}"))
    yield

    summary = ask(betting, "MarketService", market_id, "setPrices", {"prices": {"home": "3.00"}})

    assert summary["prices"]["home"] == "3.00"
    for customer in customers:
        assert refused(customer.bets(f"{market_id} home {PRICE}", stake=10, status=409)) == "price_changed"
        customer.bets(f"{market_id} home 3.00", stake=10)
    assert ask(betting, "MarketService", market_id, "liability")["liability"]["home"] == 3 * 20


def a_retry_of_a_parked_record(betting: System) -> Iterator[None]:
    feed = Feed(betting)
    feed.brings("setPrices", {"prices": {"home": "3.00"}})
    (record,) = feed.parked(1)
    ask(betting, "MarketService", feed.market_id, "open", offer())
    yield

    def is_applied() -> bool:
        answer = betting.call("MarketQuarantine", "retry", {"recordId": record["recordId"]}, key=feed.market_id)
        return answer.status_code == 404 or answer.json()["applied"]

    betting.eventually(is_applied)
    assert feed.market["prices"]["home"] == "3.00"
    assert feed.parked(0) == []


FLOWS: dict[Flow, tuple[str, ...]] = {
    a_suspension: ("MarketService/suspend", "MarketService/change", "MarketBook/hear"),
    a_price_change: ("MarketService/setPrices", "MarketTeller/tell ([129]|1[78]) "),
    a_settlement: (
        "MarketService/settle",
        "SettlementWorkflow/",
        "SettlementRun/carryOut",
        "SettlementService/",
        "PlayerService/applyResult",
    ),
    a_correction: ("MarketService/settle", "SettlementRun/carryOut .* (Call|SetState)"),
    a_record_of_the_feed: ("MarketFeed/take", "MarketService/setPrices"),
    a_retry_of_a_parked_record: ("MarketQuarantine/retry", "MarketFeed/tryAgain"),
}


def test_whatever_ends_at_any_step_of_new_prices_that_wait_the_newest_are_applied(
    crashing: Crashing, capsys: pytest.CaptureFixture[str]
) -> None:
    of = ("MarketFeed/takeFromKafka", "MarketFeed/tryAgain", "MarketService/setPrices")
    table, ends = matrix(crashing, a_burst_of_new_prices, of, COLUMNS)

    assert ends > len(of)
    with capsys.disabled():
        Console(width=150).print(table)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_a_cancel_or_a_kill_at_any_step_changes_nothing_about_the_end(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], flow: Flow
) -> None:
    table, ends = matrix(crashing, flow, FLOWS[flow], ("cancel", "kill"))

    assert ends > len(FLOWS[flow])
    with capsys.disabled():
        Console(width=150).print(table)


def test_the_end_of_a_process_at_any_step_of_a_round_changes_nothing_about_the_end(
    crashing: Crashing, capsys: pytest.CaptureFixture[str]
) -> None:
    table, ends = matrix(crashing, a_price_change, FLOWS[a_price_change], PROCESSES)

    assert ends > len(FLOWS[a_price_change])
    with capsys.disabled():
        Console(width=150).print(table)
