"""A candidate that rehearses, with one mistake: `candidate.py MISTAKE PORT`."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import restate
import uvloop

from app.composition import SERVICES
from app.domain.payments import PayoutRequest
from app.rehearsal import rehearse
from app.services.shell.dependencies import dependencies
from app.settings import Settings
from app.telemetry.folder import metrics_folder

HANDLERS = {service.name: service.handlers for service in SERVICES}
Run = Callable[..., Awaitable[Any]]


def another_step(run: Run) -> Run:
    """Begin with a step that no journal has."""

    async def changed(ctx: restate.WorkflowContext, *request: Any) -> Any:
        await ctx.run_typed("another step", lambda: None)
        return await run(ctx, *request)

    return changed


def pays_at_once(run: Run) -> Run:
    """Pay before anything else, not even as a step."""

    async def changed(ctx: restate.WorkflowContext, *request: Any) -> Any:
        order = PayoutRequest(
            reference="w1", user_id="ann", wallet_id="ann", amount=6_000, currency="EUR", destination="bank"
        )
        await dependencies().provider.pay_out(order)
        return await run(ctx, *request)

    return changed


def hangs(_: Run) -> Run:
    """Never answer."""

    async def changed(*_: Any) -> Any:
        await asyncio.Event().wait()

    return changed


def fails(_: Run) -> Run:
    """Fail with a text that is never the same."""

    async def changed(*_: Any) -> Any:
        raise ValueError(uuid4())

    return changed


def main(mistake: str, port: int) -> None:
    """Rehearse until the end."""
    handler = HANDLERS["WithdrawalWorkflow"]["run"]
    match mistake:
        case "another step":
            handler.fn = another_step(handler.fn)
        case "pays at once":
            handler.fn = pays_at_once(handler.fn)
        case "hangs":
            handler.fn = hangs(handler.fn)
        case "fails":
            handler.fn = fails(handler.fn)
        case "no handler":
            del HANDLERS["WithdrawalWorkflow"]["run"]
        case _:
            pass
    os.environ["BETTING_PORT"] = str(port)
    with metrics_folder(""):
        uvloop.run(rehearse(Settings()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
