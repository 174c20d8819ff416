"""Rounds of telling: price changes that wait for a market's shards together, and what each of them may rely on."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.services.markets.markets import SHARDS_WORTH_A_ROUND
from tests.bench.planting import SHARDS
from tests.helpers.bets import ask, crowd, refused
from tests.running import System
from tests.services.crash_matrix import was_stopped

CHANGES = 8
SELECTIONS = [f"s-{number}" for number in range(CHANGES)]
MANY_TRIES = 8
OLD, NEW = "2.50", "3.00"
Answer = Future[httpx.Response]


class Busy:
    """A market with several shards in use, a customer or two at each, and a selection for each change."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.market_id = f"m-{uuid4().hex}"
        offered = [{"selectionId": name, "name": name, "price": OLD} for name in SELECTIONS]
        ask(system, "MarketService", self.market_id, "open", {"name": "A race", "selections": offered})
        self.customers = crowd(system, SHARDS)
        with ThreadPoolExecutor(SHARDS) as pool:
            list(pool.map(lambda one: one.bets(self.leg(SELECTIONS[0]), stake=1), self.customers))
        self.shards = [f"{self.market_id}:{number}" for number in sorted(map(int, self.market["leases"]))]
        assert len(self.shards) > SHARDS_WORTH_A_ROUND

    def leg(self, selection: str) -> str:
        return f"{self.market_id} {selection} {OLD}"

    @property
    def market(self) -> dict[str, Any]:
        stored: dict[str, Any] = json.loads(self.system.state("MarketService", self.market_id)["market"])
        return stored

    @property
    def rounds(self) -> int:
        """How many rounds have begun."""
        return int(self.market.get("rounds", 0))

    def changes(self, selection: str) -> httpx.Response:
        return self.system.call("MarketService", "setPrices", {"prices": {selection: NEW}}, self.market_id)

    def terms(self) -> list[dict[str, Any]]:
        """What each shard knows that is not held up."""
        sql = f"select value from state where service_name = 'MarketBook' and service_key like '{self.market_id}:%'"
        stored = [json.loads(bytes.fromhex(row["value"])) for row in self.system.query(sql)]
        return [one["terms"] for one in stored if one]

    def is_known(self, selection: str) -> bool:
        """Whether every shard has the new price."""
        prices = [one["prices"][selection] for one in self.terms()]
        return prices == [NEW] * len(self.shards)

    def keeps_its_promise(self, selection: str) -> bool:
        """Whether all shards have the new price, and customers at several are refused the older one."""
        told = self.is_known(selection)
        answers = [one.bets(self.leg(selection), stake=1, status=409) for one in self.customers[:3]]
        return told and {refused(answer) for answer in answers} == {"price_changed"}

    def working(self, handler: str, key: str = "%", at_least: int = 0) -> list[str]:
        """The invocations of a handler of the market that have not ended, after so many tries, oldest first."""
        where = f"target_service_key like '{self.market_id}{key}' and target_handler_name = '{handler}'"
        where += f" and coalesce(retry_count, 0) >= {at_least}"
        sql = f"select id from sys_invocation where status <> 'completed' and {where} order by created_at"
        return [row["id"] for row in self.system.query(sql)]

    def waiting(self) -> int:
        """How many changes wait for a round: they have called the market, and then the teller."""
        where = f"target_service_key = '{self.market_id}' and target_handler_name = 'setPrices'"
        sql = f"select journal_commands_size as steps from sys_invocation where status <> 'completed' and {where}"
        return sum(row["steps"] >= len(("Input", "Call", "Call")) for row in self.system.query(sql))

    def tries(self) -> int:
        """How often a shard that is held up was told in vain."""
        where = f"target_service_key like '{self.market_id}:%' and target_handler_name = 'hear'"
        sql = f"select retry_count from sys_invocation where status <> 'completed' and {where}"
        return max((row.get("retry_count", 0) for row in self.system.query(sql)), default=0)

    def stop(self, invocation: str, how: str) -> None:
        httpx.patch(f"{self.system.admin}/invocations/{invocation}/{how}", timeout=30).raise_for_status()

    def heard(self) -> float:
        """How often any shard heard terms."""
        return self.system.metrics("betting_handler_attempts_total").get(("hear", "done", "MarketBook"), 0)


@contextmanager
def held_up(busy: Busy) -> Iterator[None]:
    """The first shard hears nothing meanwhile, because its document cannot be read."""
    shard = busy.shards[0]
    stored = busy.system.state("MarketBook", shard)
    busy.system.plant("MarketBook", shard, {"book": b"{}"})
    try:
        yield
    finally:
        busy.system.put("MarketBook", shard, stored)
        number = shard.removeprefix(busy.market_id)

        def is_mended() -> bool:  # it waits for its turn behind those who cannot hear; they try again
            if b"terms" in busy.system.state("MarketBook", shard)["book"]:
                return True
            for stuck in busy.working("hear", number, at_least=2):  # one that hears what is mended needs no second
                httpx.patch(f"{busy.system.admin}/invocations/{stuck}/kill", timeout=30)
            return False

        busy.system.eventually(is_mended)


@contextmanager
def gathered(busy: Busy) -> Iterator[list[Answer]]:
    """One change for each selection: the first round is held up, and all changes but the first wait for the next."""
    with ThreadPoolExecutor(CHANGES) as pool, held_up(busy):
        answers = [pool.submit(busy.changes, SELECTIONS[0])]
        busy.system.eventually(lambda: busy.rounds == 1)
        answers += [pool.submit(busy.changes, selection) for selection in SELECTIONS[1:]]
        busy.system.eventually(lambda: busy.waiting() == CHANGES)
        yield answers


def test_a_change_that_is_answered_is_known_to_every_shard_whoever_else_changes_prices(betting: System) -> None:
    busy = Busy(betting)

    def changed(selection: str) -> tuple[int, bool]:
        return busy.changes(selection).status_code, busy.keeps_its_promise(selection)

    with ThreadPoolExecutor(CHANGES) as pool:
        answers = list(pool.map(changed, SELECTIONS))

    assert answers == [(200, True)] * CHANGES


def test_changes_that_wait_for_a_shard_are_told_by_one_round(betting: System) -> None:
    busy = Busy(betting)
    before = busy.heard()

    with gathered(busy) as answers:
        assert not any(answer.done() for answer in answers)

    assert [answer.result().status_code for answer in answers] == [200] * CHANGES
    assert all(map(busy.keeps_its_promise, SELECTIONS))
    assert busy.rounds == 2
    assert busy.heard() - before == 2 * len(busy.shards)


@pytest.mark.parametrize("how", ["cancel", "kill"])
@pytest.mark.parametrize("whose", [0, -1], ids=["of the round that runs", "of the round that waits"])
@pytest.mark.parametrize("handler", ["setPrices", "tell"])
def test_who_is_stopped_stops_nobody_else_who_waits(system: System, handler: str, whose: int, how: str) -> None:
    busy = Busy(system)

    with gathered(busy) as answers:
        busy.stop(busy.working(handler)[whose], how)
        if handler == "setPrices":
            system.eventually(lambda: any(answer.done() for answer in answers))

    ended = [answer.result() for answer in answers]
    stopped = [answer for answer in ended if was_stopped(answer)]
    assert len(stopped) == (1 if handler == "setPrices" else 0)
    assert [answer.status_code for answer in ended if answer not in stopped] == [200] * (CHANGES - len(stopped))
    assert all(map(busy.keeps_its_promise, SELECTIONS))


def test_a_change_that_is_cancelled_is_told_all_the_same(system: System) -> None:
    busy = Busy(system)

    with ThreadPoolExecutor(1) as pool, held_up(busy):
        answer = pool.submit(busy.changes, SELECTIONS[0])
        system.eventually(lambda: busy.rounds == 1)
        busy.stop(busy.working("setPrices")[0], "cancel")
        assert was_stopped(answer.result())

    system.eventually(lambda: busy.is_known(SELECTIONS[0]))


def test_a_round_that_did_not_tell_a_change_is_not_believed(system: System) -> None:
    """A version that knows no rounds does not count them: a change then finds a round that has read the market."""
    busy = Busy(system)

    with ThreadPoolExecutor(2) as pool, held_up(busy):
        first = pool.submit(busy.changes, SELECTIONS[0])
        system.eventually(lambda: busy.rounds == 1)
        uncounted = {name: value for name, value in busy.market.items() if name != "rounds"}
        system.plant("MarketService", busy.market_id, {"market": json.dumps(uncounted).encode()})
        second = pool.submit(busy.changes, SELECTIONS[1])
        system.eventually(lambda: busy.waiting() == 2)

    assert [first.result().status_code, second.result().status_code] == [200, 200]
    assert all(map(busy.is_known, SELECTIONS[:2]))
    assert busy.rounds == 0


def test_a_suspension_waits_for_its_shards_and_for_no_round(system: System) -> None:
    busy = Busy(system)
    others = len(busy.shards) - 1

    with ThreadPoolExecutor(1) as pool, held_up(busy):
        changed = pool.submit(busy.changes, SELECTIONS[0])
        system.eventually(lambda: busy.rounds == 1)
        system.call("MarketService", "suspend/send", None, busy.market_id)

        def told() -> bool:
            return [one["status"] for one in busy.terms()] == ["suspended"] * others

        system.eventually(lambda: told() or busy.tries() >= MANY_TRIES)
        was_told, suspending = told(), busy.working("suspend")

    assert was_told, "it waits for a round, or shards wait for one that is stuck"
    assert suspending, "it is answered before every shard knows it"
    assert changed.result().status_code == 200


def test_with_few_shards_in_use_no_round_is_needed(system: System) -> None:
    market_id = f"m-{uuid4().hex}"
    offer = {"name": "A game", "selections": [{"selectionId": "home", "name": "Home", "price": OLD}]}
    ask(system, "MarketService", market_id, "open", offer)
    [customer] = crowd(system, 1)
    customer.bets(f"{market_id} home {OLD}", stake=1)

    ask(system, "MarketService", market_id, "setPrices", {"prices": {"home": NEW}})

    assert "rounds" not in json.loads(system.state("MarketService", market_id)["market"])
    assert refused(customer.bets(f"{market_id} home {OLD}", stake=1, status=409)) == "price_changed"
