"""A rehearsal: the code of a version, which answers the gates and reaches nothing."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from inspect import iscoroutinefunction

import httpx
import pytest

from app.domain.messages import Message
from app.providers.payments import PaymentProvider
from app.rehearsal import NoMailer, NoProvider, RehearsalError
from tests.helpers.ports import free_port
from tests.helpers.waiting import eventually

OUTSIDE = [name for name, found in vars(PaymentProvider).items() if not name.startswith("_") and callable(found)]


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[httpx.Client]:
    """The command, as the chart runs it: without a secret, a key or an address."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BETTING_")}
    port = free_port()
    environment = kept | {"BETTING_PORT": str(port)}
    with (
        subprocess.Popen([sys.executable, "-m", "app", "rehearse"], env=environment, stderr=subprocess.DEVNULL) as run,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        try:
            eventually(lambda: http.get("/health").is_success)
            yield http
        finally:
            run.kill()


def test_it_needs_no_secret_and_tells_its_manifest_to_whoever_asks(rehearsal: httpx.Client) -> None:
    wanted = {"accept": "application/vnd.restate.endpointmanifest.v4+json"}

    manifest = rehearsal.get("/discover", headers=wanted).json()

    assert {"PlayerService", "WithdrawalWorkflow"} <= {service["name"] for service in manifest["services"]}


def test_it_judges_documents(rehearsal: httpx.Client) -> None:
    document = {"service": "PlayerService", "key": "ann", "name": "player", "value": "e30="}

    [[answer]] = rehearsal.post("/documents", json=[document]).json()

    assert answer["verdict"] == "unreadable"


@pytest.mark.parametrize("name", OUTSIDE)
def test_it_moves_no_money_and_asks_the_provider_nothing(name: str) -> None:
    method = getattr(NoProvider(), name)
    arguments = [Anything()] * (method.__code__.co_argcount - 1 - len(method.__defaults__ or ()))

    with pytest.raises(RehearsalError, match="a rehearsal does not"):
        asyncio.run(method(*arguments)) if iscoroutinefunction(method) else method(*arguments)


def test_it_sends_no_message() -> None:
    with pytest.raises(RehearsalError, match="a rehearsal does not send the message m1"):
        asyncio.run(NoMailer().send(Message(message_id="m1", to="ann@example.com", subject="", text="")))


class Anything:
    """A request of any kind."""

    reference = "r1"
