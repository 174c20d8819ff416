"""A settlement of many bets in which everything is killed once, on a system of its own."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.domain.shards import shard_of
from tests.bench.planting import SHARDS
from tests.helpers.bets import Customer, Game, crowd
from tests.running import Process, System, running

BETS = 1_600
CLIENTS = 16
KILLED: tuple[Process, ...] = ("service", "restate")
UNREADABLE = b'"nobody"'


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[System]:
    with running(tmp_path) as system:
        yield system


@dataclass
class Run:
    """A settlement under way, of which nobody can tell while everything starts again."""

    betting: System
    settlement_id: str

    def progress(self) -> dict[str, int]:
        """What it tells, and nothing when nobody answers."""
        answer = self.betting.call("SettlementWorkflow", "progress", key=self.settlement_id)
        return answer.json() if answer.status_code == 200 else {}

    def reaches(self, settled: int) -> dict[str, int]:
        """The first progress that has settled so many bets."""
        return self.betting.eventually(
            lambda: progress if (progress := self.progress()).get("settled", 0) >= settled else {}
        )

    def ends(self) -> dict[str, int]:
        """The progress in the end."""
        return self.betting.eventually(lambda: progress if (progress := self.progress()).get("done") else {})


class Obstacle:
    """A player whose document cannot be read for a while: no settlement gets past their bet."""

    def __init__(self, betting: System, user_id: str) -> None:
        self.betting = betting
        self.user_id = user_id
        self.stored = betting.state("PlayerService", user_id)
        betting.plant("PlayerService", user_id, {"player": UNREADABLE})

    def is_lifted(self) -> None:
        """Put back what was stored, and wait until it is there."""
        self.betting.eventually(self._can_be_seen)
        self.betting.put("PlayerService", self.user_id, self.stored)
        self.betting.eventually(self._is_mended)

    def _can_be_seen(self) -> bool:
        """Whether Restate can read its own tables, which it cannot for a moment after its start."""
        with suppress(httpx.HTTPStatusError):
            return bool(self.betting.state("PlayerService", self.user_id))
        return False

    def _is_mended(self) -> bool:
        """It waits for its turn behind what cannot read the document, which the settlement asks for again."""
        if self.betting.state("PlayerService", self.user_id)["player"] != UNREADABLE:
            return True
        sql = f"""select id from sys_invocation where target_service_key = '{self.user_id}'
          and target_handler_name = 'applyResult' and status = 'backing-off'"""
        for row in self.betting.query(sql):
            httpx.patch(f"{self.betting.admin}/invocations/{row['id']}/kill", timeout=30, trust_env=False)
        return False


def test_a_settlement_goes_on_after_kills_and_settles_every_bet_once(own_system: System) -> None:
    betting, game = own_system, Game(own_system)
    customers = crowd(betting, BETS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda customer: customer.bets(game.home()), customers))
        in_order = _in_order(betting)
        obstacles = [Obstacle(betting, in_order[number]) for number in (BETS // 2, BETS - 1)]
        outcomes = {"home": {"result": "won"}, "away": {"result": "lost"}}
        run = Run(betting, game.does("settle", {"version": 1, "outcomes": outcomes})["settlementId"])

        settled = 0
        for process, obstacle in zip(KILLED, obstacles, strict=True):
            settled = run.reaches(settled + 1)["settled"]
            assert settled < BETS, "this is not the middle any more"
            betting.kill(process)
            obstacle.is_lifted()

        assert run.ends() == {"bets": BETS, "settled": BETS, "paid": BETS * 2_500, "done": True}
        assert set(pool.map(_ended, customers)) == {(("deposit", "stakeHeld", "betSettled"), (11_500, 0))}
    assert game.does("get")["bets"] == BETS


def _in_order(betting: System) -> list[str]:
    """The players as they are settled: by the shard and the page on which the market keeps their bets."""
    pages = {}
    for row in betting.query("select service_key, value_utf8 from state where service_name = 'PlayerService'"):
        user_id = row["service_key"]
        (bet,) = json.loads(row["value_utf8"])["bets"].values()
        (leg,) = bet["legs"]
        pages[user_id] = shard_of(user_id, SHARDS), leg["page"]
    assert len(pages) == BETS
    return sorted(pages, key=pages.__getitem__)


def _ended(customer: Customer) -> tuple[tuple[str, ...], tuple[int, int]]:
    """The kinds of a player's movements, and the money after an audit."""
    entries = customer.does("getStatement")["entries"]
    return tuple(entry["kind"] for entry in entries), customer.money
