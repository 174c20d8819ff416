"""The replay gate over a real restate-server: live journals, candidates, and the money that none of them moves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import httpx
import pytest

from app.release.gates import replay
from app.release.gates.bounds import ReplayBounds
from app.release.gates.findings import BEYOND_SAMPLE, Checked, Gate, Outcome
from app.release.gates.gates import Asked, run
from app.release.gates.replay import Replayed, Work, decide
from app.release.restate_admin import RestateAdmin
from tests.helpers.rehearsing import rehearsing
from tests.helpers.waiting import eventually
from tests.running import System, running

BOUNDS = ReplayBounds()
SETTINGS = {
    "BETTING_REVIEW_THRESHOLD": "5000",
    "BETTING_REVIEW_TIMEOUT_SECONDS": "600",
    "BETTING_PROVIDER_TIMEOUT_SECONDS": "600",
    "BETTING_CHARGE_WAIT_SECONDS": "600",
    "BETTING_BOOKS_SECONDS": "600",
}
"""Of the system, and of each candidate: what rules read has to be the same. No audit comes between."""


@pytest.fixture(scope="module")
def betting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A withdrawal waits for its review; two deposits, one without an id, for a provider that says nothing for long."""
    with ThreadPoolExecutor() as pool, running(tmp_path_factory.mktemp("replayed"), environment=SETTINGS) as system:
        system.books_were_seen()
        deposit(system, "ann", 9_000, "creditCard")
        body = {"walletId": "ann", "userId": "ann", "amount": 6_000, "destination": "bank", "withdrawalId": "w1"}
        assert system.call("PaymentService", "withdraw", body).json()["status"] == "inReview"
        pool.submit(deposit, system, "ben", 100, "timeoutCharged")  # it ends with the system
        pool.submit(deposit, system, "cat", 100, "timeoutCharged", depositId=None)
        eventually(lambda: [work.where for work in in_flight(system)].count("PaymentService/deposit") == 2)
        yield system
        assert system.call("WithdrawalWorkflow", "approve", {"operator": "pat"}, "w1").is_success
        eventually(lambda: len(system.payouts("w1")) == 1)


def deposit(system: System, player: str, amount: int, method: str, **changed: None) -> httpx.Response:
    body = {"walletId": player, "userId": player, "email": f"{player}@example.com", "depositId": player}
    return system.call("PaymentService", "deposit", body | {"amount": amount, "paymentMethod": method} | changed)


def in_flight(system: System) -> list[Work]:
    with RestateAdmin(system.admin) as restate:
        return list(replay.live(restate, BOUNDS)[1])


def checked(system: System, mistake: str) -> Checked:
    with rehearsing(mistake, SETTINGS) as url, RestateAdmin(system.admin) as restate:
        return replay.check(restate, url, BOUNDS)


def test_the_same_code_goes_on_with_all_that_is_in_flight(betting: System) -> None:
    live = {work.where for work in in_flight(betting)}

    answer = checked(betting, "none")

    assert {"WithdrawalWorkflow/run", "PaymentService/deposit"} <= live
    assert not answer.findings, answer.findings
    assert answer.outcome is Outcome.PASSED
    assert answer.looked_at >= 2
    assert answer.skipped == {replay.BY_CHANCE: 1}, "the deposit without an id"


def test_a_candidate_that_takes_another_step_is_found_with_handler_and_step(betting: System) -> None:
    answer = checked(betting, "another step")

    [finding] = answer.findings
    assert answer.outcome is Outcome.FAILED
    assert finding.name == "WithdrawalWorkflow/run: does not go on with work in flight"
    assert "takes other steps" in finding.after
    assert "complete promise" in finding.after, "what the journal has"


def test_a_candidate_without_the_handler_is_found(betting: System) -> None:
    answer = checked(betting, "no handler")

    assert {finding.where: finding.after for finding in answer.findings} == {
        "WithdrawalWorkflow/run": "the candidate has no such handler"
    }


def test_a_candidate_that_fails_otherwise_each_time_is_found(betting: System) -> None:
    answer = checked(betting, "fails")

    assert [finding.where for finding in answer.findings] == ["WithdrawalWorkflow/run"]


def test_a_candidate_that_hangs_on_one_handler_is_not_checked(betting: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "REPLAY_SECONDS", 2)

    answer = checked(betting, "hangs")

    assert answer.outcome is Outcome.NOT_CHECKED
    assert "WithdrawalWorkflow/run" in answer.because or not answer.looked_at


def test_a_candidate_that_would_pay_and_charge_moves_nothing_and_changes_nothing(betting: System) -> None:
    def everything() -> tuple[object, ...]:
        journals = betting.query("select id, index, entry_type from sys_journal order by id, index")
        return betting.payouts("w1"), betting.charges("ben"), betting.charges("ann"), journals

    before = everything()

    answer = checked(betting, "pays at once")

    assert answer.looked_at == 1, "the deposit charges anew, and is refused"
    assert answer.skipped == {replay.OUTSIDE_STEP: 1, replay.BY_CHANCE: 1}, "the withdrawal wanted to pay"
    assert everything() == before


def test_all_gates_let_the_same_code_pass(betting: System) -> None:
    with rehearsing("none", SETTINGS) as url, RestateAdmin(betting.admin) as restate:
        rehearsal = nullcontext(url)
        checked = run(Asked(restate, lambda: "", lambda: rehearsal, url), [Gate.CONTRACT, Gate.STATE, Gate.REPLAY])

    assert {each.gate: (each.outcome, each.findings, each.because) for each in checked} == dict.fromkeys(
        (Gate.CONTRACT, Gate.STATE, Gate.REPLAY), (Outcome.PASSED, (), "")
    )
    assert all(each.looked_at for each in checked)


def work(id: str, handler: str = "run") -> Work:
    return Work(id, "Withdrawal", "w", handler, 6)


@pytest.mark.parametrize(
    ("answers", "outcome", "findings"),
    [
        ({}, Outcome.PASSED, 0),
        ({work("a"): Replayed()}, Outcome.PASSED, 0),
        ({work("a"): Replayed(skipped=replay.NO_ANSWER)}, Outcome.NOT_CHECKED, 0),
        ({work("a"): Replayed(skipped=replay.BY_CHANCE)}, Outcome.PASSED, 0),
        ({work("a"): Replayed(), work("b"): Replayed(skipped=replay.NO_ANSWER)}, Outcome.PASSED, 0),
        ({work("a"): Replayed("fails"), work("b"): Replayed("fails")}, Outcome.FAILED, 1),
        ({work("a"): Replayed("fails"), work("b", "owner"): Replayed("fails")}, Outcome.FAILED, 2),
    ],
    ids=[
        "nothing in flight",
        "goes on",
        "nothing could be said",
        "nothing can be said",
        "one skipped",
        "one handler",
        "two handlers",
    ],
)
def test_the_answers_decide(answers: dict[Work, Replayed], outcome: Outcome, findings: int) -> None:
    answer = decide(answers, beyond=3)

    assert (answer.outcome, len(answer.findings)) == (outcome, findings)
    assert answer.skipped.get(BEYOND_SAMPLE) == 3


def test_what_is_accepted_by_its_name_lets_the_candidate_pass() -> None:
    accepts = ["Withdrawal/run: does not go on with work in flight"]

    assert decide({work("a"): Replayed("fails")}, 0, accepts).outcome is Outcome.PASSED


def test_without_a_rehearsal_nothing_is_checked(betting: System) -> None:
    with RestateAdmin(betting.admin) as restate:
        assert replay.check(restate, None, BOUNDS).outcome is Outcome.NOT_CHECKED
