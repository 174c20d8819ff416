"""The crash matrix of withdrawals: whatever is cancelled or killed, the money is out once, or back where it was."""

import time

import pytest
from rich.console import Console

from tests.helpers.deposits import deposit, request, subjects
from tests.helpers.withdrawals import at_the_provider, balance, paid_out, status, stop, withdraw
from tests.running import System
from tests.services.crash_matrix import BACK, PROCESSES, Crashing, Flow, Steps, customer_knows, matrix

ENDS = {"paid", "failed", "rejected", "timedOut"}
REPEAT_SECONDS = 2
EVERYTHING_BUT_MAILS = "(?!CommsService)"


def end_of(betting: System, body: dict[str, object], amount: int, name: str, **fields: object) -> str:
    """How a withdrawal ends whose player asks again now and then."""
    asked = time.monotonic()

    def look() -> str | None:
        nonlocal asked
        if time.monotonic() - asked > REPEAT_SECONDS:
            withdraw(betting, body, 200, amount=amount, withdrawalId=name, **fields)
            asked = time.monotonic()
        known = status(betting, name)
        return known if known in ENDS else None

    ended = betting.eventually(look)
    assert ended is not None
    return ended


def money_is_right(betting: System, body: dict[str, object], amount: int, name: str, **fields: object) -> bool:
    """Whether the money is out, once; else it is back, and in either case the customer knows."""
    is_paid = end_of(betting, body, amount, name, **fields) == "paid"
    assert balance(betting, body) == ((100 - amount, 0) if is_paid else (100, 0))
    assert paid_out(betting, name) == ([amount] if is_paid else [])
    told = "Your withdrawal is paid" if is_paid else "Your withdrawal was given back"
    customer_knows(betting, body, "Your deposit has arrived", told)
    return is_paid


def prepared(betting: System) -> tuple[dict[str, object], str]:
    """A player with money, and the id of a withdrawal."""
    body = request()
    deposit(betting, body)
    subjects(betting, body, 1)
    return body, f"x-{body['depositId']}"


def a_withdrawal(betting: System) -> Steps:
    """One that is not reviewed."""
    body, name = prepared(betting)
    yield

    withdraw(betting, body, amount=60, withdrawalId=name)

    return None if money_is_right(betting, body, 60, name) else BACK


def a_withdrawal_that_is_approved(betting: System) -> Steps:
    """A review ends in a yes."""
    body, name = prepared(betting)
    yield

    withdraw(betting, body, amount=90, withdrawalId=name)
    betting.call("WithdrawalWorkflow", "approve", {"operator": "ann"}, key=name)

    return None if money_is_right(betting, body, 90, name) else BACK


def a_withdrawal_that_is_rejected(betting: System) -> Steps:
    """A review ends in a no."""
    body, name = prepared(betting)
    yield

    withdraw(betting, body, amount=90, withdrawalId=name)
    betting.call("WithdrawalWorkflow", "reject", {"operator": "ann", "reason": "no papers"}, key=name)

    assert not money_is_right(betting, body, 90, name)
    return None if status(betting, name) == "rejected" else BACK


def a_withdrawal_that_is_taken_over(betting: System) -> Steps:
    """The run is cancelled while its payout waits, and another goes on."""
    body, name = prepared(betting)
    withdraw(betting, body, amount=60, withdrawalId=name, destination="threeDSecure")
    betting.eventually(lambda: status(betting, name) == "payingOut")
    yield

    stop(betting, "cancel", name)
    betting.eventually(lambda: betting.complete_three_d_secure(name).status_code == 200)

    assert money_is_right(betting, body, 60, name, destination="threeDSecure")
    return None


def a_payout_that_is_sent_back(betting: System) -> Steps:
    """The provider tells twice, days later, that the money came back."""
    body, name = prepared(betting)
    withdraw(betting, body, amount=60, withdrawalId=name)
    assert money_is_right(betting, body, 60, name)
    yield

    at_the_provider(betting, name, "sendBack")

    betting.eventually(lambda: status(betting, name) == "sentBack")
    assert balance(betting, body) == (100, 0)
    customer_knows(
        betting, body, "Your deposit has arrived", "Your withdrawal is paid", "Your withdrawal was sent back"
    )
    return None


@pytest.mark.parametrize("column", ["cancel", "kill"])
def test_a_payout_that_is_sent_back_is_back_whatever_is_stopped(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], column: str
) -> None:
    handlers = "(PaymentService/webhook|WithdrawalFollowUp/.*|PlayerService/sendBackWithdrawal)"
    table, ends = matrix(crashing, a_payout_that_is_sent_back, [handlers], [column])

    assert ends > 10
    with capsys.disabled():
        Console(width=150).print(table)


@pytest.mark.parametrize("column", ["cancel", "kill"])
def test_a_withdrawal_that_is_taken_over_ends_whatever_is_stopped(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], column: str
) -> None:
    handlers = "(WithdrawalFollowUp/.*|WithdrawalWorkflow/.*|PlayerService/payWithdrawal)"
    table, ends = matrix(crashing, a_withdrawal_that_is_taken_over, [handlers], [column])

    assert ends > 10
    with capsys.disabled():
        Console(width=150).print(table)


@pytest.mark.parametrize("flow", [a_withdrawal, a_withdrawal_that_is_approved, a_withdrawal_that_is_rejected])
@pytest.mark.parametrize("column", ["cancel", "kill"])
def test_money_of_a_withdrawal_is_out_or_back_whatever_invocation_is_stopped(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], flow: Flow, column: str
) -> None:
    table, ends = matrix(crashing, flow, [EVERYTHING_BUT_MAILS], [column])

    assert ends > 15
    with capsys.disabled():
        Console(width=150).print(table)


@pytest.mark.parametrize("flow", [a_withdrawal_that_is_approved, a_withdrawal_that_is_rejected])
def test_a_kill_at_any_step_of_a_review_changes_nothing_about_the_end(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], flow: Flow
) -> None:
    table, ends = matrix(crashing, flow, ["WithdrawalWorkflow", "PaymentService"], PROCESSES)

    assert ends > 15
    with capsys.disabled():
        Console(width=150).print(table)
