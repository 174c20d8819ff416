"""The processes of a running system: started, kept running, stopped."""

import asyncio
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import httpx
from click import ClickException

from app.dev.tether import tether

START_SECONDS = 60
POLL_SECONDS = 0.05
CRASHES = 5
CRASH_WINDOW_SECONDS = 30
FIRST_PAUSE_SECONDS = 0.1


class Ended(ClickException):
    """A child ended before it was ready."""


@dataclass
class Child:
    """One process of ours, with what tells that it is ready and how long it may take to stop."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    health: Sequence[str]
    log: Path
    grace_seconds: float
    lock: int
    """A file descriptor the child keeps open, so that its folder stays locked until it is gone."""
    _process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, in a process group of its own so that Ctrl-C in a terminal reaches only us."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=tether(),
                pass_fds=(self.lock,),
            )

    async def ready(self, client: httpx.AsyncClient) -> None:
        """Wait until it answers; ending before that is an error that shows the end of its log."""
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while not await self._healthy(client):
            if self._process.returncode is not None:
                raise Ended(f"{self.name} ended at its start ({self._how_it_ended()}).\n{self._last_words()}")
            if time.monotonic() > deadline:
                raise ClickException(f"{self.name} is not ready after {START_SECONDS} s, see {self.log}")
            await asyncio.sleep(POLL_SECONDS)

    async def keep(self, client: httpx.AsyncClient, restarted: Callable[[], Awaitable[None]]) -> None:
        """Start it again whenever it ends; give up when it keeps ending before it is ready."""
        assert self._process is not None
        crashes: deque[float] = deque(maxlen=CRASHES)
        while True:
            await self._process.wait()
            crashes.append(time.monotonic())
            if len(crashes) == CRASHES and crashes[-1] - crashes[0] < CRASH_WINDOW_SECONDS:
                raise ClickException(f"{self.name} keeps ending ({self._how_it_ended()}).\n{self._last_words()}")
            click.echo(f"{self.name} ended ({self._how_it_ended()}), starting it again")
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** (len(crashes) - 1))
            await self.start()
            with suppress(Ended):
                await self.ready(client)
                crashes.clear()
                click.echo(f"{self.name} is ready again")
                await restarted()

    async def stop(self) -> None:
        """Ask it to stop; insist after the grace period."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), self.grace_seconds)
        self.kill()
        await self.gone()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def gone(self) -> None:
        """Wait until it has ended, and holds neither ports nor lock."""
        if self._process is not None:
            await self._process.wait()

    async def _healthy(self, client: httpx.AsyncClient) -> bool:
        try:
            return all([(await client.get(url)).is_success for url in self.health])
        except httpx.TransportError:
            return False

    def _how_it_ended(self) -> str:
        assert self._process is not None
        code = self._process.returncode
        assert code is not None
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-8:]
        return "\n".join([*(f"  {line}" for line in lines), f"Its log: {self.log}"])
