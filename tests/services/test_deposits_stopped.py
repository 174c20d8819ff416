"""Deposits whose invocation is cancelled or killed: nothing is lost, and the same request finishes them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from restate.exceptions import TerminalError

from app.services.shell.shield import was_stopped
from tests.helpers.deposits import cash, deposit, moved, request, status
from tests.running import System


def unfinished(betting: System, service: str, handler: str) -> list[str]:
    sql = (
        f"select id from sys_invocation where target_service_name = '{service}'"
        f" and target_handler_name = '{handler}' and status <> 'completed'"
    )
    return [row["id"] for row in betting.query(sql)]


@contextmanager
def asked(betting: System, body: dict[str, object]) -> Iterator[None]:
    """Ask for a deposit in the background."""
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(betting.call("PaymentService", "deposit", body)))
    asking.start()
    try:
        yield
    finally:
        asking.join()


def end(betting: System, how: str, invocation: str) -> bool:
    """Whether it was there to be ended: it may just have ended by itself."""
    answer = httpx.patch(f"{betting.admin}/invocations/{invocation}/{how}")
    assert answer.is_success or answer.status_code == httpx.codes.NOT_FOUND, answer.text
    return answer.is_success


@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_a_deposit_that_is_stopped_while_the_provider_is_silent_is_credited(betting: System, how: str) -> None:
    body = request("timeoutCharged")
    with asked(betting, body):
        betting.eventually(lambda: moved(betting, body))
        for invocation in unfinished(betting, "PaymentService", "deposit"):
            end(betting, how, invocation)

    if how == "kill":  # nothing can run then: the same request goes on
        assert deposit(betting, body)["status"] in ("pending", "credited")
    betting.eventually(lambda: status(betting, body) == "credited")
    assert cash(betting, body) == 100
    assert moved(betting, body) == [100]
    assert deposit(betting, body)["status"] == "credited"


@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_look_ups_that_are_gone_before_they_began_go_on_when_the_deposit_is_repeated(betting: System, how: str) -> None:
    body = request("threeDSecure")
    deposit(betting, body)

    for invocation in betting.eventually(lambda: of_follow_up(betting, body, "lookUp", "scheduled")):
        end(betting, how, invocation)
    assert deposit(betting, body)["status"] == "actionRequired"

    betting.eventually(lambda: status(betting, body) == "failed")
    assert deposit(betting, body)["status"] == "failed"


def test_one_that_is_cancelled_while_it_waits_for_its_turn_was_stopped_as_any_other(betting: System) -> None:
    told = betting.eventually(lambda: told_to_one_that_was_cancelled_in_the_queue(betting, request("timeoutLost")))

    assert told is not None
    assert was_stopped(TerminalError(told["message"], status_code=told["code"])), told


def told_to_one_that_was_cancelled_in_the_queue(betting: System, body: dict[str, object]) -> dict[str, Any] | None:
    """Ask for a cancel while a look-up runs, and cancel that; None if its turn came first."""
    deposit(betting, body)
    betting.eventually(lambda: running_look_ups(betting, body))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(betting.call, "DepositFollowUp", "cancel", key=str(body["depositId"]))
        found = betting.eventually(lambda: queued(betting, body) or ([""] if waiting.done() else []))
        cancelled = [invocation for invocation in found if invocation and end(betting, "cancel", invocation)]
        told: dict[str, Any] = waiting.result().json()
    return told if cancelled and "code" in told else None


def running_look_ups(betting: System, body: dict[str, object]) -> list[str]:
    return of_follow_up(betting, body, "lookUp", "running")


def queued(betting: System, body: dict[str, object]) -> list[str]:
    return of_follow_up(betting, body, "cancel", "pending")


def of_follow_up(betting: System, body: dict[str, object], handler: str, standing: str) -> list[str]:
    sql = (
        "select id from sys_invocation where target_service_name = 'DepositFollowUp'"
        f" and target_service_key = '{body['depositId']}' and target_handler_name = '{handler}'"
        f" and status = '{standing}'"
    )
    return [row["id"] for row in betting.query(sql)]
