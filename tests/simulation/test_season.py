"""A small season on a real system, with and without forced replay; and one that does not add up."""

import json
import subprocess
import sys

import pytest

from app.simulation import model
from app.simulation.plan import Size
from app.simulation.run import Target, simulate
from tests.running import System, clean_environment

SMALL = Size(players=12, markets=6, bets=80, deposit_limit=10_000)
TERMS = model.Terms(margin_percent=5, max_payout=100_000_000)


def betting_simulate(betting: System, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    where = [f"--ingress={betting.ingress}", f"--sandbox={betting.sandbox}"]
    command = [sys.executable, "-m", "app", "simulate", *where, *options]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=300, check=False)


def test_a_season_ends_balanced(betting: System) -> None:
    size = ["--players=12", "--markets=6", "--bets=80", "--clients=8", "--seed=435"]

    done = betting_simulate(betting, *size, "--output=json")

    report = json.loads(done.stdout)
    assert (done.returncode, report["balanced"], report["disagreements"]) == (0, True, [])
    assert report["checks"] > 200
    assert "playing" in done.stderr
    bets = [report["deeds"][kind]["asked"] for kind in ("single", "multiple", "system")]
    assert sum(bets) == 80
    assert set(report["others"]) == {"JPY"}
    assert {"refund", "chargeback", "chargebackReversed", "sendBack", "withdraw"} <= report["deeds"].keys()
    assert report["deeds"]["deposit"]["refused"].get("currency_not_accepted") is None


async def test_a_model_that_pays_a_penny_more_does_not_agree(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    right = model.bet_return
    monkeypatch.setattr(model, "bet_return", lambda *given: right(*given) + 1)

    report = await simulate(Target(system.ingress, system.sandbox, TERMS), SMALL, seed=3, clients=8)

    assert not report.balanced
    assert report.verdict().startswith("NOT balanced")
    assert any("the house has" in line for line in report.disagreements)


def test_a_system_that_is_not_there_is_named_with_the_cure() -> None:
    where = ["--ingress=http://127.0.0.1:1", "--sandbox=http://127.0.0.1:1"]
    command = [sys.executable, "-m", "app", "simulate", *where]

    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "http://127.0.0.1:1/" in done.stderr
    assert "betting dev" in done.stderr
