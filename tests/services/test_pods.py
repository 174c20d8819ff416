"""Pods of one version under load: the one that is added takes its share, and the one that is drained fails nothing."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.helpers.deposits import request
from tests.helpers.exported import WINDOW, share
from tests.helpers.pods import Pod, behind_one_address, failed_attempts, pod
from tests.running import STOP_SECONDS, System, running

CLIENTS = 16
PATIENT = {"BETTING_SHUTDOWN_GRACE_SECONDS": "30"}
"""A pod that is out of patience ends with 1, and a busy machine may need some; its test waits longer still."""
SOON = PATIENT | {"BETTING_CONNECTION_SECONDS": "1"}
A_FAIR_PART = 1 / 3
"""Of two pods. Which of them a connection goes to, and how busy it is, is chance."""
ONE_IN = 500
"""A request that is sent at the very moment when its connection ends may fail, and is repeated (decision 13)."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("pods")) as system:
        yield system


@contextmanager
def under_load(system: System) -> Iterator[list[int]]:
    """Customers who deposit one after the other until the end; gives what they were answered."""
    enough, answers = threading.Event(), list[int]()

    def customer() -> None:
        while not enough.is_set():
            answers.append(system.call("PaymentService", "deposit", request()).status_code)

    with ThreadPoolExecutor(CLIENTS) as pool:
        customers = [pool.submit(customer) for _ in range(CLIENTS)]
        try:
            yield answers
        finally:
            enough.set()
    for one in customers:
        one.result()


def test_a_pod_that_is_added_under_load_takes_its_share(system: System) -> None:
    with pod(system, **SOON) as first, pod(system, **SOON) as added, behind_one_address(system, first) as balancer:
        pods, failed = [first, added], failed_attempts(system)
        with under_load(system) as answers:
            assert share(added, pods, Pod.attempts) == 0
            balancer.send_to(first.port, added.port)

            system.eventually(lambda: share(added, pods, Pod.attempts) > A_FAIR_PART)

        assert set(answers) == {200}
        assert failed_attempts(system) - failed <= max(1, len(answers) // ONE_IN)


def test_a_pod_that_is_drained_under_load_fails_nothing(system: System) -> None:
    with (
        pod(system, **PATIENT) as drained,
        pod(system, **PATIENT) as other,
        behind_one_address(system, drained) as balancer,
    ):
        failed = failed_attempts(system)
        with under_load(system) as answers:
            assert share(drained, [drained, other], Pod.attempts) == 1
            balancer.send_to(other.port)
            drained.process.send_signal(signal.SIGTERM)

            assert drained.process.wait(STOP_SECONDS) == 0
            system.eventually(lambda: other.attempts() >= WINDOW)

        assert set(answers) == {200}
        assert failed_attempts(system) - failed <= max(1, len(answers) // ONE_IN)
