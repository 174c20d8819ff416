"""The crash matrix: whatever is killed, at whichever step, the end is the same.

Each row of the printed table is a flow, a step and what was killed there: the service before a handler's first entry,
after every entry, and between an effect outside and the entry of its result; restate-server at a few of them.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from rich.table import Table

from tests.running import FAST, System, clean_environment, free_port_base, running
from tests.services.test_deposits import moved, request, subjects
from tests.services.test_withdrawals import balance, paid_out, status

PATIENCE_SECONDS = 60


@dataclass
class Crashing:
    """A running system whose service can be killed at a point."""

    system: System
    folder: Path

    def plan(self, moment: str, pid: int, point: str) -> None:
        (self.folder / "plan").write_text(f"{moment} {pid} {point}")

    def was_killed(self) -> bool:
        return not (self.folder / "plan").exists()

    def points(self) -> list[str]:
        """The points that passed since the last call, once each."""
        seen = self.folder / "seen"
        points = list(dict.fromkeys(seen.read_text().splitlines()))
        seen.write_text("")
        return points


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashing]:
    folder = tmp_path_factory.mktemp("crashes")
    (folder / "seen").touch()
    with running(folder) as system:
        port = free_port_base() + 1080
        environment = clean_environment() | FAST | system.outside()
        command = [sys.executable, "-m", "tests.services.crashing", str(port), str(folder)]
        with (folder / "service.log").open("w") as log:
            service = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            system.eventually(lambda: _is_up(url))
            answer = httpx.post(f"{system.admin}/deployments", json={"uri": url, "force": True}, timeout=30)
            assert answer.is_success, answer.text
            yield Crashing(system, folder)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(10)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False


def insisting(betting: System, service: str, handler: str, body: dict[str, object]) -> dict:  # type: ignore[type-arg]
    """Ask again with the same business id until there is an answer, as a client would."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            response = betting.call(service, handler, body)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if response.status_code < 500 and not _is_starting(response):
            assert response.status_code == 200, response.text
            return response.json()  # type: ignore[no-any-return]
    raise AssertionError(f"no answer from {service}/{handler} in {PATIENCE_SECONDS} s")


def _is_starting(response: httpx.Response) -> bool:
    """Whether a restate-server that has just started does not know yet what is registered with it."""
    return response.status_code == 404 and response.json()["source"] == "ingress"


def make_deposit(betting: System) -> None:
    """A deposit ends with one charge, one credit, one message and a balanced book."""
    body = request()

    answer = insisting(betting, "PaymentService", "deposit", body)

    assert answer["status"] == "credited"
    assert subjects(betting, body, 1) == ["Your deposit has arrived"]
    assert balance(betting, body) == (100, 0)
    assert moved(betting, body) == [100]


def make_withdrawal(betting: System) -> None:
    """A withdrawal ends with one payout, the rest in the wallet, one message and a balanced book."""
    body = request()
    insisting(betting, "PaymentService", "deposit", body)
    name = f"x-{body['depositId']}"
    withdrawal = {"walletId": body["walletId"], "userId": body["userId"], "amount": 60, "destination": "bank"}

    insisting(betting, "PaymentService", "withdraw", {**withdrawal, "withdrawalId": name})

    betting.eventually(lambda: status(betting, name) == "paid")
    assert sorted(subjects(betting, body, 2)) == ["Your deposit has arrived", "Your withdrawal is paid"]
    assert balance(betting, body) == (40, 0)
    assert paid_out(betting, name) == [60]


FLOWS = {"deposit": make_deposit, "withdrawal": make_withdrawal}
OTHERS = ("getAccount", "audit", "status", "depositStatus")
"""Handlers that the tests call to look; they write nothing but their answer."""
RESTATE_TOO = ("PaymentService/deposit 1 ", "PaymentService/deposit 6 ", "PlayerService/creditDeposit 3 ",
               "PaymentService/withdraw 5 ", "WithdrawalWorkflow/run 5 ", "PlayerService/payWithdrawal 3 ")  # fmt: skip
"""Entries after which restate-server is killed instead, at least one in each component of the flow."""


def steps_of(crashing: Crashing, run: Callable[[System], None]) -> list[str]:
    """The points that a flow passes each time; what a retry of something earlier passed is none of them."""
    crashing.points()
    runs = []
    for _ in range(2):
        run(crashing.system)
        runs.append(crashing.points())
    return [point for point in runs[0] if point in runs[1] and not point.split(" ")[0].endswith(OTHERS)]


@pytest.mark.parametrize("flow", FLOWS)
def test_a_kill_at_any_step_changes_nothing_about_the_end(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], flow: str
) -> None:
    run, system = FLOWS[flow], crashing.system
    points = steps_of(crashing, run)
    if flow == "withdrawal":  # the deposit before it has a matrix of its own
        points = [point for point in points if "Withdraw" in point or "withdraw" in point or "Comms" in point]
    assert len(points) > 15, points

    table = Table("flow", "step", "killed", "moment", "end", title=f"crash matrix: {flow}")
    for point in points:
        _, number, entry = point.split(" ")
        moments = ["before", "after"] if number == "1" or entry == "RunResult" else ["after"]
        kills = [("service", 0, moment) for moment in moments]
        if point.startswith(RESTATE_TOO):
            kills.append(("restate-server", system.facts()["pids"]["restate"], "after"))
        for killed, pid, moment in kills:
            crashing.plan(moment, pid, point)
            run(system)
            assert crashing.was_killed(), f"{point} was not reached again"
            table.add_row(flow, point, killed, moment, "same")
    with capsys.disabled():
        Console(width=110).print(table)
