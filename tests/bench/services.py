"""What the benchmark compares with: the least that Restate can do, and the seed's three-step workflow."""

import asyncio
import signal
import sys

import restate
import uvloop
from hypercorn.asyncio import serve
from restate.server import install_shutdown_hook

from app.composition import server_config
from app.services.shell.wire import FORGET_AT_ONCE
from app.settings import Settings

floor = restate.VirtualObject("BenchFloor", journal_retention=FORGET_AT_ONCE)
steps = restate.Workflow("BenchSteps")


@floor.handler(name="nothing")
async def nothing(ctx: restate.ObjectContext) -> str:
    """Do nothing, durably."""
    return "done"


@steps.main(name="run")
async def run(ctx: restate.WorkflowContext) -> str:
    """Take three durable steps, one after the other."""
    for step in ("first", "second", "third"):
        await ctx.run_typed(step, lambda: "done")
    return "done"


async def main(port: int) -> None:
    """Serve both as the service itself is served."""
    stop = asyncio.Event()
    install_shutdown_hook(asyncio.get_running_loop(), stop.set, signal.SIGTERM)
    config = server_config(Settings(port=port))
    await serve(restate.app([floor, steps]), config, shutdown_trigger=stop.wait, mode="asgi")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
