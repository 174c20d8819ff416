"""How an attempt is counted when it does not finish; tests of real systems show those that do."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import restate
from restate.exceptions import SuspendedException
from restate.server_context import DisconnectedException, ServerInvocationContext, _restate_context_var

from app.services.shell.observed import observed
from app.telemetry import metrics

service = restate.Service("Observed")


@service.handler()
async def wait(ctx: restate.Context) -> None:
    """Nothing."""


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (DisconnectedException(), "disconnected"),
        (asyncio.CancelledError(), "disconnected"),
        (SuspendedException(), "suspended"),
        (ConnectionError("the provider has gone away"), "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_attempt_that_lost_restate_has_not_failed(error: BaseException, outcome: str) -> None:
    async def attempt() -> None:
        _restate_context_var.set(context())
        async with observed():
            raise error

    before = counted()
    with pytest.raises(type(error)):
        asyncio.run(attempt())

    assert {told: count - before.get(told, 0) for told, count in counted().items()} == dict.fromkeys(before, 0) | {
        outcome: 1
    }


def context() -> Any:
    made = object.__new__(ServerInvocationContext)
    made.handler, made.attempt_headers, made.request_finished_event = service.handlers["wait"], {}, asyncio.Event()
    made.invocation = SimpleNamespace(  # type: ignore[assignment]
        invocation_id="inv_1", headers=[], input_buffer=b"", scope=None, limit_key=None, idempotency_key=None
    )
    return made


def counted() -> dict[str, float]:
    """How many attempts there have been, by outcome."""
    samples = [sample for metric in metrics.ATTEMPTS.collect() for sample in metric.samples]
    return {
        sample.labels["outcome"]: sample.value
        for sample in samples
        if sample.labels["service"] == "Observed" and sample.name.endswith("_total")
    }
