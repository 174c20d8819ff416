"""Records of a feed: applied to their market in order, or parked, looked at, tried again, discarded.

These come by HTTP, where anybody can set `kafka.*` headers; tests/services/test_kafka.py has those that Restate brings.
"""

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import httpx
import pytest

from tests.helpers.bets import Customer, Game, ask
from tests.helpers.feed import NO_MARKET, Feed, offer
from tests.running import System

JSON = {"content-type": "application/json"}
WON = {"home": {"result": "won"}, "away": {"result": "lost"}}


def test_a_market_lives_by_its_records(betting: System) -> None:
    feed, customer = Feed(betting), Customer(betting)

    assert feed.brings("open", offer()) == {"status": "applied"}
    feed.brings("suspend")
    assert feed.market["status"] == "suspended"
    feed.brings("setPrices", {"prices": {"home": "3.00"}})
    feed.brings("resume")
    assert (feed.market["status"], feed.market["prices"]) == ("open", {"home": "3.00", "away": "1.80"})
    customer.bets(f"{feed.market_id} home 3.00")
    feed.brings("close")
    assert feed.market["status"] == "closed"
    feed.brings("settle", {"version": 1, "outcomes": WON})

    betting.eventually(lambda: customer.money == (12_000, 0))
    assert feed.market["status"] == "settled"
    assert feed.parked(0) == []


BAD: dict[str, tuple[bytes, str, str]] = {
    "no JSON": (b"{", "invalid_request", "body: Invalid JSON"),
    "nothing": (b" ", "invalid_request", "body: Invalid JSON"),
    "no text": (b"\xff\xfe", "invalid_request", "body: Invalid JSON"),
    "an unknown type": (b'{"type": "delete"}', "invalid_request", "type: Input should be"),
    "an invalid content": (
        b'{"type": "setPrices", "content": {"prices": {"home": "1"}}}',
        "invalid_request",
        "content.pr",
    ),
    "an unknown selection": (
        b'{"type": "setPrices", "content": {"prices": {"draw": "3.00"}}}',
        "unknown_selection",
        "selectionId: there is no selection draw",
    ),
    "another opening": (json.dumps({"type": "open", "content": offer("2.60")}).encode(), "id_reused", "marketId: "),
    "an incomplete result": (
        b'{"type": "settle", "content": {"version": 1, "outcomes": {"home": {"result": "won"}}}}',
        "invalid_request",
        "outcomes: away not named",
    ),
}


def test_bad_records_are_parked_as_they_came_and_the_feed_goes_on(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("open", offer(), offset=0)

    for offset, (body, reason, message) in enumerate(BAD.values(), start=1):
        answer = feed.brings_raw(body, offset)
        assert (answer["status"], answer["reason"]) == ("parked", reason)
        assert answer["message"].startswith(message)

    assert feed.brings("setPrices", {"prices": {"home": "4.00"}}, offset=99) == {"status": "applied"}
    assert feed.market["prices"]["home"] == "4.00"
    records = feed.parked(len(BAD))
    assert [record["recordId"] for record in records] == [str(number) for number in range(1, len(BAD) + 1)]
    for record, (body, reason, message) in zip(records, BAD.values(), strict=True):
        assert (record["text"], record["reason"]) == (body.decode(errors="replace"), reason)
        assert record["message"].startswith(message)
        assert record["key"] == feed.market_id
        assert record["origin"] is None, "only Restate's own subscriptions tell where a record is from"


def test_headers_of_a_stranger_make_no_record_look_repeated(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("open", offer(), offset=10**9)

    for offset, price in enumerate(("3.00", "4.00", "5.00")):
        assert feed.brings("setPrices", {"prices": {"home": price}}, offset) == {"status": "applied"}

    assert feed.market["prices"]["home"] == "5.00"
    assert b"places" not in betting.state("MarketFeed", feed.market_id)["feed"].replace(b'"places":{}', b"")


def test_a_record_that_can_be_applied_at_last_leaves_the_quarantine(betting: System) -> None:
    feed, customer = Feed(betting), Customer(betting)
    assert feed.brings("settle", {"version": 1, "outcomes": WON})["reason"] == "unknown_market"
    (record,) = feed.parked(1)
    again = feed.quarantine("retry", record["recordId"])
    assert (again["applied"], again["reason"]) == (False, "unknown_market")
    assert [(one["recordId"], one["tries"]) for one in feed.parked(1)] == [("1", 2)]

    feed.brings("open", offer())
    customer.bets(f"{feed.market_id} home 2.50")

    assert feed.quarantine("retry", record["recordId"]) == {"recordId": "1", "applied": True}
    assert feed.parked(0) == []
    betting.eventually(lambda: customer.money == (11_500, 0))
    assert feed.quarantine("retry", "1", 404)["metadata"] == {"reason": "unknown_record"}


def test_an_old_price_never_overwrites_a_newer_one(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("setPrices", {"prices": {"home": "3.00"}})
    feed.brings("setPrices", {"prices": {"away": "2.00"}})
    feed.brings("resume")
    feed.brings("open", offer())
    feed.brings("setPrices", {"prices": {"home": "4.00"}})
    feed.brings("suspend")
    feed.parked(3)

    home, away, resume = (feed.quarantine("retry", record_id) for record_id in ("1", "2", "3"))

    assert (home["reason"], home["message"]) == ("overtaken", "a newer record has been applied to price/home")
    assert (resume["reason"], resume["message"]) == ("overtaken", "a newer record has been applied to status")
    assert away == {"recordId": "2", "applied": True}
    assert (feed.market["status"], feed.market["prices"]) == ("suspended", {"home": "4.00", "away": "2.00"})
    assert [(record["recordId"], record["reason"]) for record in feed.parked(2)] == [
        ("1", "overtaken"),
        ("3", "overtaken"),
    ]


def test_parked_prices_tried_again_in_the_wrong_order_end_at_the_newest(betting: System) -> None:
    feed = Feed(betting)
    feed.brings("setPrices", {"prices": {"home": "3.00"}})
    feed.brings("setPrices", {"prices": {"home": "3.50"}})
    feed.brings("open", offer())
    feed.parked(2)

    newer, older = feed.quarantine("retry", "2"), feed.quarantine("retry", "1")

    assert newer["applied"] is True
    assert older["applied"] is False
    assert older["reason"] == "overtaken"
    assert feed.market["prices"]["home"] == "3.50"


def test_a_discarded_record_is_gone(betting: System) -> None:
    feed = Feed(betting)
    feed.brings_raw(b"{")
    (record,) = feed.parked(1)

    assert feed.quarantine("discard", record["recordId"]) == {"recordId": "1"}

    assert feed.parked(0) == []
    assert feed.quarantine("discard", "1", 404)["metadata"] == {"reason": "unknown_record"}
    assert feed.quarantine("retry", "0", 400)["metadata"] == {"reason": "invalid_request"}


@pytest.mark.parametrize("key", ["a market", "m/1", "ü", "x" * 65])
def test_a_record_for_no_market_is_parked_where_those_are(betting: System, key: str) -> None:
    body = json.dumps({"type": "close", "content": {"test": uuid4().hex}}).encode()
    nowhere = Feed(betting, NO_MARKET)

    answer = Feed(betting, key).brings_raw(body)

    assert (answer["status"], answer["reason"]) == ("parked", "invalid_request")

    def parked() -> list[dict]:  # type: ignore[type-arg]
        records = ask(betting, "MarketQuarantine", NO_MARKET, "list")["records"]
        return [record for record in records if record["text"] == body.decode()]

    (record,) = betting.eventually(parked)
    assert (record["key"], record["message"]) == (key, "key: is not the id of a market")
    again = nowhere.quarantine("retry", record["recordId"])
    assert (again["applied"], again["message"]) == (False, "this record is for no market")
    nowhere.quarantine("discard", record["recordId"])
    assert parked() == []


def test_a_market_of_operators_and_feed_is_one(betting: System) -> None:
    game = Game(betting)
    feed = Feed(betting, game.market_id)

    assert feed.brings("open", game.offer) == {"status": "applied"}
    game.does("close")
    assert feed.brings("resume")["reason"] == "market_not_open"


def sent_while_the_service_stands_still(feed: Feed, meanwhile: Callable[[str], None]) -> None:
    """Bring an opening while nothing can be applied, and let something happen to its run."""
    service = feed.betting.facts()["pids"]["service"]
    os.kill(service, signal.SIGSTOP)
    try:
        path = f"MarketFeed/{feed.market_id}/take/send"
        run = feed.betting.post_raw(path, json.dumps({"type": "open", "content": offer()}).encode(), JSON)
        meanwhile(run.json()["invocationId"])
    finally:
        with suppress(ProcessLookupError):  # it may have been killed meanwhile
            os.kill(service, signal.SIGCONT)


def test_a_record_whose_run_somebody_cancels_is_parked(system: System) -> None:
    feed = Feed(system)

    def cancel(run: str) -> None:
        httpx.patch(f"{system.admin}/invocations/{run}/cancel", timeout=30).raise_for_status()

    sent_while_the_service_stands_still(feed, cancel)

    (parked,) = feed.parked(1)
    assert parked["reason"] == "cancelled"
    assert feed.quarantine("retry", parked["recordId"])["applied"] is True
    assert feed.market["status"] == "open"


def test_a_record_whose_run_fails_is_tried_again_and_not_parked(system: System) -> None:
    feed = Feed(system)
    service = system.facts()["pids"]["service"]

    sent_while_the_service_stands_still(feed, lambda _: os.kill(service, signal.SIGKILL))

    system.eventually(lambda: system.facts()["pids"]["service"] != service)
    system.eventually(lambda: system.call("MarketService", "get", key=feed.market_id).status_code == 200)
    assert feed.brings("suspend") == {"status": "applied"}
    assert feed.parked(0) == []


def test_only_operators_handlers_are_public(system: System) -> None:
    for path in ("MarketFeed/m-1/tryAgain", "MarketFeed/m-1/takeFromKafka", "MarketQuarantine/m-1/park"):
        response = system.post_raw(path, b"{}", JSON)

        assert response.status_code == 400
        assert response.json()["message"] == "the invoked service is not public"


@pytest.mark.parametrize("key", ["a%20b", "%C3%A4", "x" * 65])
def test_a_quarantine_of_no_market_is_refused(system: System, key: str) -> None:
    response = system.post_raw(f"MarketQuarantine/{key}/list", b"{}", JSON)

    assert response.status_code == 400
    assert response.json()["message"].startswith("marketId:")
