"""Restate's connections to a pod: each takes requests for a while only, so that a pod that is added is asked, too.

Restate opens a connection when those that it has are nearly full, and keeps it for as long as it is used; a Kubernetes
Service chooses a pod only for a new one. A pod that is added beside a busy one would never be asked. So a connection
that has had its time ends, and the next one goes to whichever pod the Service chooses.

Restate 1.7 drops a connection with all that is under way on it when it meets a GOAWAY (RFC 9113, 6.8) with a request in
its hands, and repeats all that as failed. So a connection ends in two steps, each of which waits until nothing is under
way: it allows no more streams, which Restate follows without a loss, and when Restate has acknowledged that, it ends.
"""

import asyncio
import random
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import hypercorn.protocol
from h2.events import ConnectionTerminated, Event, SettingsAcknowledged
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hypercorn.config import Config
from hypercorn.events import Event as IOEvent
from hypercorn.events import RawData
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol
from hyperframe.frame import GoAwayFrame

SPREAD = 0.25
"""By what part of its time a connection ends sooner or later, so that they do not all end at once."""
NO_MORE = GoAwayFrame(stream_id=0, last_stream_id=2**31 - 1).serialize()
"""A GOAWAY after which whatever is already on its way is served. H2's own would end our side of the connection."""
CUT_SECONDS = 0.5
"""What is not done after the grace period has so long to notice that its connection is closed."""


class ServerConfig(Config):
    """How hypercorn serves, and the connections that it has."""

    def __init__(self, connection_seconds: float) -> None:
        super().__init__()
        self.connection_seconds = connection_seconds
        self.connections: WeakSet[Connection] = WeakSet()

    async def end(self) -> None:
        """Let all connections end as if they had had their time, for as long as the grace period.

        One that a handler keeps busy, which may wait for long, takes no more after half of it: only that handler is
        then under way when hypercorn cuts, which has what is left of the grace period.
        """
        deadline = time.monotonic() + self.graceful_timeout
        ending = list(self.connections)
        for connection in ending:
            await connection.end_soon()
        if not await _are_over(ending, self.graceful_timeout / 2):
            for connection in ending:
                await connection.take_no_more()
            await _are_over(ending, deadline - time.monotonic())
        self.graceful_timeout = max(CUT_SECONDS, deadline - time.monotonic())


async def _are_over(connections: Iterable["Connection"], seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for connection in connections:
                await connection.over.wait()
            return True
    return False


class Gone:
    """A stream that has ended on our side, which the SDK after SIGTERM does before Restate has ended its own."""

    async def handle(self, event: StreamEvent) -> None:
        """Let what comes late pass."""


class Streams(dict[int, Any]):
    """The streams of a connection. For hypercorn, data of one that is gone would be the end of all the others."""

    def __missing__(self, stream_id: int) -> Gone:
        return Gone()


class Connection(H2Protocol):
    """One HTTP/2 connection of Restate."""

    config: ServerConfig

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        spread = random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311, nobody gains by guessing it
        self._until = time.monotonic() + self.config.connection_seconds * spread
        self.streams = Streams()
        self._acknowledged = 0
        """How often Restate has said that it knows our settings: the first ones, and that it may send no more."""
        self._full = False
        self.over = asyncio.Event()
        """Set when no request may come any more, and nothing is under way that could still be answered."""
        self.config.connections.add(self)

    async def end_soon(self) -> None:
        """Have had its time: end when nothing is under way, which may be now."""
        self._until = 0
        await self._end_if_idle()

    async def take_no_more(self) -> None:
        """Allow no more streams. What is sent before that is heard is served."""
        if not self._full and not self.over.is_set():
            self._full = True
            try:
                self.connection.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 0})
            except ProtocolError:  # one of both has ended it, and whoever waits for its end must not fail by that
                self.over.set()
                return
            await self._flush()

    async def handle(self, event: IOEvent) -> None:
        """Take what the client has sent, or that it has gone."""
        await super().handle(event)
        if self.closed:
            self.over.set()

    async def stream_send(self, event: StreamEvent) -> None:
        """Take a part of an answer; after the last one that is under way, the connection may end."""
        await super().stream_send(event)
        await self._end_if_idle()

    async def _send_data(self, stream_id: int) -> None:
        await super()._send_data(stream_id)
        await self._end_if_idle()

    async def _handle_events(self, events: list[Event]) -> None:
        self._acknowledged += sum(isinstance(event, SettingsAcknowledged) for event in events)
        if any(isinstance(event, ConnectionTerminated) for event in events):
            # After a GOAWAY h2 sends nothing any more, and hypercorn closes. Handlers still have the grace period.
            self.over.set()
        await super()._handle_events(events)
        await self._end_if_idle()

    async def _end_if_idle(self) -> None:
        if time.monotonic() < self._until or self.over.is_set() or not self._acknowledged or self._is_busy:
            return
        if not self._full:
            await self.take_no_more()
        elif self._acknowledged > 1:
            self.over.set()
            await self.send(RawData(NO_MORE))

    @property
    def _is_busy(self) -> bool:
        """Whether requests are under way, or the end of an answer is still to be sent."""
        return bool(self.streams) or any(buffer.complete for buffer in self.stream_buffers.values())


def _protocol(app: Any, config: Config, *args: Any) -> H2Protocol:
    """How a connection is served that turns out to be HTTP/2."""
    return (Connection if isinstance(config, ServerConfig) else H2Protocol)(app, config, *args)


hypercorn.protocol.H2Protocol = _protocol  # type: ignore[assignment, attr-defined]  # hypercorn has no setting for it
