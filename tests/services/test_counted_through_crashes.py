"""After a season in which everything was killed, what was counted is what the books and the provider say."""

import json
import subprocess
import sys
from pathlib import Path

from tests.running import Process, System, clean_environment, running

KILLS: tuple[Process, ...] = ("service", "service", "restate", "service", "service")
SIZE = ("--players=30", "--markets=10", "--bets=1000", "--clients=16", "--seed=7")

CASH_FLOWS = ("deposited", "deposits_taken_back", "deposits_regained", "withdrawn", "sent_back")


def total(betting: System, name: str, *outcome: str) -> float:
    return sum(value for labels, value in betting.metrics(name).items() if not outcome or labels[0] in outcome)


def accounts(betting: System) -> dict[str, int]:
    """Every account, summed over all wallets of all players as they are stored."""
    query = "select value_utf8 from state where service_name = 'PlayerService' and key = 'player'"
    sums: dict[str, int] = {}
    for row in betting.query(query):
        for wallet in json.loads(row["value_utf8"])["wallets"].values():
            for account, amount in wallet["accounts"].items():
                sums[account] = sums.get(account, 0) + amount
    return sums


def test_what_was_counted_is_what_the_books_say_whatever_was_killed(tmp_path: Path) -> None:
    with running(tmp_path) as betting:
        where = [f"--ingress={betting.ingress}", f"--sandbox={betting.sandbox}"]
        season = subprocess.Popen(
            [sys.executable, "-m", "app", "simulate", *where, *SIZE, "--output=json"],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for number, process in enumerate(KILLS, start=1):
            betting.eventually(lambda number=number: total(betting, "betting_bets_total", "accepted") > 20 * number)  # type: ignore[misc]
            assert season.poll() is None, "the season was over before the last kill"
            betting.kill(process)
        report = json.loads(season.communicate(timeout=300)[0])
        assert report["balanced"], report["disagreements"]

        books = accounts(betting)
        money = {
            name: total(betting, f"betting_{name}_minor_units_total")
            for name in (*CASH_FLOWS, "staked", "returned", "taken_back")
        }
        charged = money["deposited"] - money["deposits_taken_back"] + money["deposits_regained"]
        assert charged - money["withdrawn"] + money["sent_back"] == -books["provider"]
        assert money["staked"] - money["returned"] + money["taken_back"] == books["house"] + books.get("locked", 0)
        done = {name: deed["done"] for name, deed in report["deeds"].items()}
        changed_by_a_delay = report["deeds"]["bet after its delay"]["refused"]
        refused_in_play = report["deeds"].get("cash-out after its delay", {"refused": {}})["refused"]
        placed = done["single"] + done["multiple"] + done["system"] - sum(changed_by_a_delay.values())
        assert total(betting, "betting_bets_total", "accepted") == placed
        assert total(betting, "betting_bets_total", "cashedOut") == done["cash-out"] - sum(refused_in_play.values())
        assert total(betting, "betting_withdrawals_total", "held") == done["withdrawal"]
        assert total(betting, "betting_deposits_total", "credited") == done["deposit"]
        for outcome, deed in (("refunded", "refund"), ("chargedBack", "chargeback")):
            assert total(betting, "betting_deposits_total", outcome) == done[deed]
        assert total(betting, "betting_deposits_total", "chargebackReversed") == done["chargebackReversed"]
        assert total(betting, "betting_withdrawals_total", "sentBack") == done["sendBack"]
