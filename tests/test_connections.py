"""A connection that has had its time, as a client of HTTP/2 sees it, which is Restate."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    SettingsAcknowledged,
    StreamEnded,
)
from h2.settings import SettingCodes
from hypercorn.asyncio import serve
from hyperframe.frame import PingFrame

from app.connections import ServerConfig
from tests.helpers.ports import free_port

HOST = "127.0.0.1"


class Client:
    """A client that does not say anything by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.connection = H2Connection(H2Configuration(client_side=True))
        self.connection.initiate_connection()

    async def say(self) -> None:
        """Send what there is to say, which includes that settings have been heard."""
        self._writer.write(self.connection.data_to_send())
        await self._writer.drain()

    async def pings(self) -> None:
        """Send a ping, and nothing else."""
        self._writer.write(PingFrame(stream_id=0, opaque_data=b"a pebble").serialize())
        await self._writer.drain()

    async def asks(self, stream: int, path: str) -> None:
        """Begin a request, whose body goes on."""
        headers = [(":method", "POST"), (":path", path), (":authority", HOST), (":scheme", "http")]
        self.connection.send_headers(stream, headers)
        await self.say()

    async def hears(self, kind: type[Event]) -> list[Event]:
        """All that comes until something of a kind has."""
        heard: list[Event] = []
        async with asyncio.timeout(60):
            while not any(isinstance(event, kind) for event in heard):
                data = await self._reader.read(1 << 16)
                assert data, f"the end, after {heard}"
                heard += self.connection.receive_data(data)
        return heard

    async def hears_the_end(self) -> None:
        """All that comes until the server has closed."""
        async with asyncio.timeout(60):
            while await self._reader.read(1 << 16):
                pass


@asynccontextmanager
async def served(config: ServerConfig, go_on: asyncio.Event) -> AsyncIterator[Client]:
    """A client of a server that answers at once, but for what waits."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        if scope["path"] == "/wait":
            await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    enough = asyncio.Event()
    config.bind = [f"{HOST}:{free_port()}"]
    config.graceful_timeout = 0.1
    server = asyncio.create_task(serve(app, config, shutdown_trigger=enough.wait, mode="asgi"))
    reader, writer = await _connect(config)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        enough.set()
        await server


async def _connect(config: ServerConfig) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection(HOST, int(config.bind[0].rpartition(":")[2]))
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)


def allowed(events: list[Event]) -> list[int]:
    """The numbers of streams that the server allows, as it changes its mind."""
    changes = [event.changed_settings for event in events if isinstance(event, RemoteSettingsChanged)]
    code = SettingCodes.MAX_CONCURRENT_STREAMS
    return [change[code].new_value for change in changes if code in change]


def ended(events: list[Event]) -> list[int | None]:
    """The streams whose answer is whole."""
    return [event.stream_id for event in events if isinstance(event, StreamEnded)]


def test_it_allows_no_more_streams_and_ends_when_that_has_been_heard() -> None:
    async def run() -> None:
        go_on = asyncio.Event()
        async with served(ServerConfig(connection_seconds=0), go_on) as client:
            await client.asks(1, "/wait")
            assert allowed(await client.hears(SettingsAcknowledged)) == [100]
            await client.asks(3, "/now")
            assert allowed(await client.hears(StreamEnded)) == [], "one is still under way"

            go_on.set()
            heard = await client.hears(RemoteSettingsChanged)
            assert allowed(heard) == [0]
            await client.pings()
            heard += await client.hears(PingAckReceived)
            assert not any(isinstance(event, ConnectionTerminated) for event in heard)

            await client.say()
            end = (await client.hears(ConnectionTerminated))[-1]
            assert isinstance(end, ConnectionTerminated)
            assert (end.error_code, end.last_stream_id) == (0, 2**31 - 1)

    asyncio.run(run())


def test_it_serves_what_was_sent_before_that_was_heard() -> None:
    async def run() -> None:
        async with served(ServerConfig(connection_seconds=0), asyncio.Event()) as client:
            await client.asks(1, "/now")
            await client.hears(StreamEnded)
            await client.asks(3, "/now")  # and that it knows the first settings, so that it is told of others meanwhile

            heard = await client.hears(RemoteSettingsChanged)
            await client.say()
            heard += await client.hears(ConnectionTerminated)
            assert ended(heard) == [3]

    asyncio.run(run())


def test_data_of_a_stream_that_the_server_has_ended_does_no_harm_to_others() -> None:
    async def run() -> None:
        async with served(ServerConfig(connection_seconds=3600), asyncio.Event()) as client:
            await client.asks(1, "/now")
            await client.hears(StreamEnded)

            client.connection.send_data(1, b"late", end_stream=True)
            await client.asks(3, "/now")
            assert any(
                isinstance(event, StreamEnded) and event.stream_id == 3 for event in await client.hears(StreamEnded)
            )

    asyncio.run(run())


def test_at_the_end_a_busy_connection_takes_no_more_and_its_handler_has_the_rest_of_the_time() -> None:
    async def run() -> None:
        config, go_on = ServerConfig(connection_seconds=3600), asyncio.Event()
        async with served(config, go_on) as client:
            await client.asks(1, "/wait")
            await client.hears(SettingsAcknowledged)
            await client.say()
            config.graceful_timeout = 0.2

            ending = asyncio.create_task(config.end())
            assert allowed(await client.hears(RemoteSettingsChanged)) == [0]
            await client.say()
            go_on.set()
            assert ended(await client.hears(ConnectionTerminated)) == [1]
            await ending

    asyncio.run(run())


def test_a_connection_that_its_client_ends_when_it_has_had_its_time_is_over() -> None:
    async def run() -> None:
        config = ServerConfig(connection_seconds=0)
        async with served(config, asyncio.Event()) as client:
            await client.asks(1, "/now")
            await client.hears(StreamEnded)
            [connection] = config.connections

            client.connection.close_connection()
            await client.say()  # and at once that it knows the first settings, so that it was told of no others
            await client.hears_the_end()
            assert connection.over.is_set()

    asyncio.run(run())


def test_a_handler_that_is_under_way_when_its_client_ends_the_connection_keeps_its_time() -> None:
    async def run() -> None:
        config, go_on = ServerConfig(connection_seconds=3600), asyncio.Event()
        async with served(config, go_on) as client:
            await client.asks(1, "/wait")
            await client.hears(SettingsAcknowledged)
            [connection] = config.connections
            config.graceful_timeout = 30

            client.connection.close_connection()
            await client.say()
            await client.hears_the_end()
            await config.end()
            assert connection.over.is_set()
            assert config.graceful_timeout > 20, "what is under way has the rest of it"
            go_on.set()

    asyncio.run(run())


def test_a_connection_that_the_server_itself_has_ended_does_not_hinder_the_end() -> None:
    async def run() -> None:
        config = ServerConfig(connection_seconds=3600)
        config.keep_alive_max_requests = 0  # hypercorn ends it with the first request
        async with served(config, asyncio.Event()) as client:
            await client.say()
            await client.hears(SettingsAcknowledged)
            await client.asks(1, "/now")
            await client.hears(ConnectionTerminated)
            [connection] = config.connections

            [error] = await asyncio.gather(config.end(), return_exceptions=True)
            assert error is None
            assert connection.over.is_set()

    asyncio.run(run())


def test_a_connection_whose_time_has_not_come_stays() -> None:
    async def run() -> None:
        async with served(ServerConfig(connection_seconds=3600), asyncio.Event()) as client:
            await client.asks(1, "/now")
            heard = await client.hears(StreamEnded)
            await client.pings()
            heard += await client.hears(PingAckReceived)
            assert allowed(heard) == [100]

    asyncio.run(run())
