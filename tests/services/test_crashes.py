"""Payments, and the crash matrix: whatever is killed, at whichever step, the end is the same.

Each row of the printed table is a flow, a step and what was killed there.
"""

from collections.abc import Iterator

import pytest
from rich.console import Console

from tests.helpers.deposits import deposit, moved, request, subjects
from tests.helpers.withdrawals import balance, paid_out, status, withdraw
from tests.running import System
from tests.services.crash_matrix import Crashing, Flow, customer_knows, matrix


def a_deposit(betting: System) -> Iterator[None]:
    """A deposit ends with one charge, one credit, one message and a balanced book."""
    body = request()
    yield

    assert deposit(betting, body)["status"] in ("pending", "credited")

    betting.eventually(lambda: deposit(betting, body)["status"] == "credited")
    assert subjects(betting, body, 1) == ["Your deposit has arrived"]
    assert balance(betting, body) == (100, 0)
    assert moved(betting, body) == [100]


def a_deposit_with_a_silent_provider(betting: System) -> Iterator[None]:
    """A deposit whose provider never answers ends with the charge that it made credited, once."""
    body = request("timeoutCharged")
    yield

    assert deposit(betting, body)["status"] in ("pending", "credited")

    betting.eventually(lambda: deposit(betting, body)["status"] == "credited")
    customer_knows(betting, body, "Your deposit has arrived")
    assert balance(betting, body) == (100, 0)
    assert moved(betting, body) == [100]


def a_deposit_with_three_d_secure(betting: System) -> Iterator[None]:
    """A deposit that its webhooks complete is credited once."""
    body = request("threeDSecure")
    yield

    assert deposit(betting, body)["status"] in ("pending", "actionRequired", "credited")
    betting.eventually(lambda: betting.complete_three_d_secure(str(body["depositId"])).is_success)

    betting.eventually(lambda: deposit(betting, body)["status"] == "credited")
    assert balance(betting, body) == (100, 0)
    assert moved(betting, body) == [100]


def a_withdrawal(betting: System) -> Iterator[None]:
    """A withdrawal ends with one payout, the rest in the wallet, one message and a balanced book."""
    body = request()
    deposit(betting, body)
    subjects(betting, body, 1)
    name = f"x-{body['depositId']}"
    yield

    withdraw(betting, body, amount=60, withdrawalId=name)

    betting.eventually(lambda: status(betting, name) == "paid")
    assert sorted(subjects(betting, body, 2)) == ["Your deposit has arrived", "Your withdrawal is paid"]
    assert balance(betting, body) == (40, 0)
    assert paid_out(betting, name) == [60]


@pytest.mark.parametrize("flow", [a_deposit, a_withdrawal])
def test_a_kill_at_any_step_changes_nothing_about_the_end(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], flow: Flow
) -> None:
    table, ends = matrix(crashing, flow)

    assert ends > 25
    with capsys.disabled():
        Console(width=150).print(table)


def a_deposit_of_money_alone(betting: System) -> Iterator[None]:
    """A deposit ends with one charge and one credit; a kill right after the credit may lose its message."""
    body = request()
    yield

    assert deposit(betting, body)["status"] in ("pending", "credited")

    betting.eventually(lambda: deposit(betting, body)["status"] == "credited")
    assert balance(betting, body) == (100, 0)
    assert moved(betting, body) == [100]


FOLLOWED = ("DepositFollowUp/(goOn|lookUp|hear|webhook)", "PaymentService/deposit . (Run|RunResult|Call|OneWayCall)")
"""Where a deposit that is followed up differs from one that is not."""


@pytest.mark.parametrize("flow", [a_deposit_with_a_silent_provider, a_deposit_with_three_d_secure])
def test_a_deposit_that_is_followed_up_ends_the_same_whatever_is_killed(
    crashing: Crashing, capsys: pytest.CaptureFixture[str], flow: Flow
) -> None:
    table, ends = matrix(crashing, flow, FOLLOWED, ("cancel", "kill"))

    assert ends > 10
    with capsys.disabled():
        Console(width=150).print(table)


def test_a_deposit_that_is_cancelled_or_killed_at_any_step_ends_the_same(
    crashing: Crashing, capsys: pytest.CaptureFixture[str]
) -> None:
    table, ends = matrix(crashing, a_deposit_of_money_alone, columns=("cancel", "kill"))

    assert ends > 20
    with capsys.disabled():
        Console(width=150).print(table)


def test_a_message_that_is_cancelled_is_sent_all_the_same(
    crashing: Crashing, capsys: pytest.CaptureFixture[str]
) -> None:
    table, ends = matrix(crashing, a_deposit, ["CommsService/send"], ["cancel"])

    assert ends == 1, "handing over is all that it does"
    with capsys.disabled():
        Console(width=150).print(table)
