"""The service, where any entry that it writes to a journal can be the last: it, or something else, ends right there.

    python -m tests.services.crashing PORT FOLDER ADMIN

What the service writes is cut into the protocol's messages, each passed on by itself, and every message is a point:
`PaymentService/deposit 3 Call` is the third message of that handler. FOLDER/plan names the next end: a moment
(`before` or `after`), what ends, and a point. What ends is a process by its id (SIGKILL; 0 for the service itself), or
the invocation that is at the point, which Restate's admin API at ADMIN is asked to `cancel` or to `kill`. FOLDER/seen
lists the points as they pass. The process that serves is a fork of one that has loaded everything, so that it is back
at once.
"""

import asyncio
import os
import re
import signal
import struct
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from app.settings import Settings
from app.telemetry.folder import metrics_folder

HEADER = struct.Struct(">HHI")
NAMES = {
    0x0000: "Start",
    0x0001: "Suspension",
    0x0003: "End",
    0x0005: "RunResult",
    0x0401: "Output",
    0x0402: "GetLazyState",
    0x0403: "SetState",
    0x0407: "GetEagerState",
    0x0409: "GetPromise",
    0x040A: "PeekPromise",
    0x040B: "CompletePromise",
    0x040C: "Sleep",
    0x040D: "Call",
    0x040E: "OneWayCall",
    0x0411: "Run",
    0x0412: "AttachInvocation",
}
FLUSH_SECONDS = 0.03
INVOCATION = re.compile(rb"inv_[0-9A-Za-z]+")
"""An invocation's id as the first message of its request names it."""


def messages(chunk: bytes) -> Iterator[tuple[str, bytes]]:
    """A chunk's protocol messages, each with the name of its type."""
    while chunk:
        kind, _, length = HEADER.unpack_from(chunk)
        end = HEADER.size + length
        yield NAMES.get(kind, hex(kind)), chunk[:end]
        chunk = chunk[end:]


def crashing(app: Any, folder: Path, admin: str) -> Any:
    """The application with an end planned at a point."""
    plan, seen = folder / "plan", folder / "seen"

    async def reached(moment: str, point: str, invocation: str) -> None:
        if not plan.exists():
            return
        planned_moment, what, planned_point = plan.read_text().split(" ", 2)
        if (planned_moment, planned_point) != (moment, point):
            return
        plan.unlink()
        await asyncio.sleep(FLUSH_SECONDS)  # what was written before is on its way
        if what.isdigit():
            os.kill(int(what) or os.getpid(), signal.SIGKILL)
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.patch(f"{admin}/invocations/{invocation}/{what}")).raise_for_status()
        await asyncio.sleep(FLUSH_SECONDS)  # Restate tells the attempt that goes on

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        name = "/".join(scope["path"].rsplit("/", 2)[1:])
        count, invocation = 0, ""

        async def receive_first() -> Any:
            nonlocal invocation
            event = await receive()
            if not invocation and (found := INVOCATION.search(event.get("body", b""))):
                invocation = found[0].decode()
            return event

        async def send_each(event: Any) -> None:
            nonlocal count
            if not event.get("body") or "/invoke/" not in scope["path"]:
                await send(event)
                return
            for kind, content in messages(event["body"]):
                count += 1
                point = f"{name} {count} {kind}"
                with seen.open("a") as lines:
                    lines.write(point + "\n")
                await reached("before", point, invocation)
                await send({**event, "body": content})
                await reached("after", point, invocation)

        await app(scope, receive_first, send_each)

    return wrapped


def _end(child: int, *_: object) -> None:
    os.kill(child, signal.SIGTERM)
    sys.exit(0)


def main(port: int, folder: Path, admin: str) -> None:
    """Serve; when the serving process is killed, go on with the next."""
    settings = Settings(port=port, metrics_port=0)
    with metrics_folder(str(folder / "metrics")):
        from app import composition
    build = composition.build_app
    composition.build_app = lambda settings: crashing(build(settings), folder, admin)
    while True:
        child = os.fork()
        if child == 0:
            asyncio.run(composition.serve(settings))
            os._exit(0)
        signal.signal(signal.SIGTERM, partial(_end, child))
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            sys.exit("the service ended by itself")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
