import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app.domain.messages import Message
from app.domain.payments import ChargeRequest, PaymentStatus
from app.providers.messages import SmtpMailer
from app.providers.payments import HttpPaymentProvider
from tests.helpers.ports import free_ports
from tests.helpers.waiting import healthy, until
from tests.sandbox.asking import ask, content, moved
from tests.sandbox.running import SECRET, Address

PROGRAM = """
import asyncio, sys
from pathlib import Path
from app.sandbox.server import serve
_, port, smtp_port, database, secret = sys.argv
asyncio.run(serve("127.0.0.1", int(port), int(smtp_port), Path(database), "http://127.0.0.1:9", secret))
"""


@asynccontextmanager
async def process(database: Path) -> AsyncIterator[tuple[Address, asyncio.subprocess.Process]]:
    address = Address(*free_ports(2))
    arguments = ["-W", "error", "-c", PROGRAM, str(address.http), str(address.smtp), str(database), SECRET]
    running = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=asyncio.subprocess.PIPE)
    try:
        await healthy(address.url)
        yield address, running
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()


async def test_a_killed_sandbox_forgets_nothing(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.db"
    async with process(database) as (address, running), httpx.AsyncClient(base_url=address.url) as client:
        await ask(client, "charges", "c-1", "creditCard")
        await ask(client, "payouts", "p-1", "iban")
        assert (await ask(client, "charges", "f-1", "flaky")).status_code == 503
        async with SmtpMailer("127.0.0.1", address.smtp, "betting@example.com") as mailer:
            await mailer.send(Message(message_id="m-1", to="ann@example.com", subject="Paid", text="100"))
        running.kill()
        await running.communicate()

    async with process(database) as (address, _), httpx.AsyncClient(base_url=address.url) as client:
        assert (await ask(client, "charges", "c-1", "creditCard")).json()["status"] == "charged"
        assert len(await moved(client, "charges", "c-1")) == 1
        assert len(await moved(client, "payouts", "p-1")) == 1
        assert [(await ask(client, "charges", "f-1", "flaky")).status_code for _ in range(2)] == [503, 200]
        assert [mail["to"] for mail in (await client.get("/mails")).json()] == ["ann@example.com"]


@pytest.mark.parametrize("stopper", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_cleanly_even_while_callers_wait(tmp_path: Path, stopper: signal.Signals) -> None:
    async with (
        process(tmp_path / "sandbox.db") as (address, running),
        httpx.AsyncClient(base_url=address.url) as client,
        SmtpMailer("127.0.0.1", address.smtp, "betting@example.com") as mailer,
        HttpPaymentProvider(address.url, timeout_seconds=60) as provider,
    ):
        await mailer.send(Message(message_id="m-1", to="ann@example.com", subject="Paid", text="100"))
        request = ChargeRequest.model_validate(content("charges", "c-1", "timeoutCharged"))
        charging = asyncio.create_task(provider.charge(request))
        await until(lambda: moved(client, "charges", "c-1"))
        running.send_signal(stopper)
        async with asyncio.timeout(60):
            _, errors = await running.communicate()

        assert (await charging).status == PaymentStatus.UNKNOWN
    assert running.returncode == 0
    assert b"Traceback" not in errors
