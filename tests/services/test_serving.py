"""The service as a process: who may call it, and how it goes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import httpx
import pytest

from tests.helpers.deposits import cash, deposit, moved, request, status
from tests.helpers.ports import free_port
from tests.running import ALONE, HURRIED, System, clean_environment, running

KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"
DISCOVERY = {"accept": "application/vnd.restate.endpointmanifest.v4+json"}


@contextmanager
def serving(**settings: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The service alone, until it is told to go."""
    port = free_port()
    service = subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        env=clean_environment() | ALONE | {"BETTING_PORT": str(port), "BETTING_METRICS_PORT": "0"} | settings,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        System.eventually(lambda: _answers(url))
        yield service, url
    finally:
        service.kill()
        service.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False


def test_with_an_identity_key_only_our_restate_may_call() -> None:
    with serving(BETTING_IDENTITY_KEYS=KEY, BETTING_UNSIGNED_CALLS="refused") as (_, url):
        assert httpx.get(f"{url}/discover", headers=DISCOVERY).status_code == 401
        assert httpx.post(f"{url}/invoke/PaymentService/deposit", content=b"").status_code == 401
        forged = {"x-restate-signature-scheme": "v1", "x-restate-jwt-v1": "e30.e30.e30"}
        assert httpx.post(f"{url}/invoke/PaymentService/deposit", content=b"", headers=forged).status_code == 401
        assert httpx.get(f"{url}/health").status_code == 200


def test_without_a_key_anybody_may_ask_what_is_served() -> None:
    with serving() as (_, url):
        components = {service["name"] for service in httpx.get(f"{url}/discover", headers=DISCOVERY).json()["services"]}

    assert components >= {"PaymentService", "PlayerService", "DepositFollowUp", "WithdrawalWorkflow", "CommsService"}


def test_sigterm_ends_a_service_that_has_served_requests() -> None:
    with serving(BETTING_SHUTDOWN_GRACE_SECONDS="5") as (service, url):
        assert httpx.get(f"{url}/discover", headers=DISCOVERY).is_success
        service.send_signal(signal.SIGTERM)

        assert service.wait(timeout=60) == 0


NEVER_ENDING = """
import asyncio
from app.settings import Settings
from app.telemetry.folder import metrics_folder
with metrics_folder(""):
    from app import composition
    async def never(*_, **__):
        print("serving", flush=True)
        await asyncio.Event().wait()
    composition.serve_asgi = never
    asyncio.run(composition.serve(Settings(shutdown_grace_seconds=0.1, metrics_port=0)))
"""


def test_sigterm_ends_a_service_whose_server_never_ends() -> None:
    command = [sys.executable, "-c", NEVER_ENDING]
    with subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"serving\n"
        service.send_signal(signal.SIGTERM)

        assert service.wait(timeout=30) == 1


PATIENT = {"BETTING_PROVIDER_WINDOW_SECONDS": "120", "BETTING_UNKNOWN_DEADLINE_SECONDS": "240"}
"""A service that starts slowly on a busy machine must not find the time over in which a charge can be repeated."""


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("patient"), HURRIED | PATIENT) as system:
        yield system


def test_what_is_in_flight_at_sigterm_is_finished_by_the_next_process(patient: System) -> None:
    system = patient
    bodies = [request("timeoutCharged"), *(request("flaky") for _ in range(5))]

    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = [pool.submit(deposit, system, body) for body in bodies]
        system.eventually(lambda: status(system, bodies[0]) == "pending")  # it is being charged
        system.kill("service", signal.SIGTERM)
        for answer in answers:
            assert answer.result()["status"] in ("credited", "pending")

    for body in bodies:
        system.eventually(partial(is_credited, system, body))
        assert moved(system, body) == [100]
        assert cash(system, body) == 100


def is_credited(system: System, body: dict[str, object]) -> bool:
    return status(system, body) == "credited"
