"""A settlement of many bets in which everything is killed once, on a system of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.bets import Customer, Game, crowd
from tests.running import Process, System, running

BETS = 1_600
CLIENTS = 16
KILLED: tuple[Process, ...] = ("service", "restate")


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


def test_a_settlement_goes_on_after_kills_and_settles_every_bet_once(own_system: System) -> None:
    betting, game = own_system, Game(own_system)
    customers = crowd(betting, BETS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda customer: customer.bets(game.home()), customers))
        outcomes = {"home": {"result": "won"}, "away": {"result": "lost"}}
        run = Run(betting, game.does("settle", {"version": 1, "outcomes": outcomes})["settlementId"])

        settled = 0
        for process in KILLED:
            settled = run.reaches(settled + 1)["settled"]
            assert settled < BETS, "this is not the middle any more"
            betting.kill(process)

        assert run.ends() == {"bets": BETS, "settled": BETS, "paid": BETS * 2_500, "done": True}
        assert set(pool.map(_ended, customers)) == {(("deposit", "stakeHeld", "betSettled"), (11_500, 0))}
    assert game.does("get")["bets"] == BETS


def _ended(customer: Customer) -> tuple[tuple[str, ...], tuple[int, int]]:
    """The kinds of a player's movements, and the money after an audit."""
    entries = customer.does("getStatement")["entries"]
    return tuple(entry["kind"] for entry in entries), customer.money
