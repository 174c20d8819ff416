"""An Envoy of its own in front of something that tells what it was sent."""

import asyncio
import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from app.dev.binaries import envoy
from app.dev.tether import tether
from app.edge.bootstrap import bootstrap
from app.edge.routes import Route
from app.edge.settings import EdgeSettings
from app.edge.template import as_yaml
from app.sandbox.identity import AUDIENCE, ISSUER
from tests.helpers.ports import free_port
from tests.helpers.serving import served, whole
from tests.helpers.waiting import eventually

HOST = "127.0.0.1"
ROUTES = (
    Route("PlayerService", True, "getAccount", True),
    Route("MarketService", False, "get", True),
)
SLOW = "00-00000000000000000000000000000001-0000000000000001-01"
"""The traceparent of a request that is never answered."""
ACCOUNT = "/PlayerService/ann/getAccount"


class RunningEnvoy:
    """An Envoy with some settings."""

    def __init__(self, settings: EdgeSettings, process: subprocess.Popen[bytes]) -> None:
        self.url = f"http{'s' if settings.tls else ''}://{HOST}:{settings.port}"
        self.process = process
        self._metrics = f"http://{HOST}:{settings.metrics_port}"

    def is_ready(self) -> bool:
        """Whether it takes requests."""
        assert self.process.poll() is None, "envoy has ended"
        return httpx.get(f"{self._metrics}/ready", trust_env=False).is_success

    def number(self, name: str) -> float:
        """What it has counted under a name."""
        lines = httpx.get(f"{self._metrics}/stats/prometheus", trust_env=False).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@contextmanager
def running_envoy(settings: EdgeSettings, routes: Iterable[Route] = ROUTES, threads: int = 1) -> Iterator[RunningEnvoy]:
    """Start an Envoy, and end it with the test."""
    with envoy_with(as_yaml(bootstrap(routes, settings)), settings, threads) as running:
        yield running


@contextmanager
def envoy_with(configuration: str, settings: EdgeSettings, threads: int = 1) -> Iterator[RunningEnvoy]:
    """Start an Envoy with a configuration that is where these settings say."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "envoy.yaml"
        config.write_text(configuration)
        command = [
            str(envoy()),
            "-c",
            str(config),
            "--disable-hot-restart",
            "--concurrency",
            str(threads),
            "--log-level",
            "error",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=tether())
        try:
            running = RunningEnvoy(settings, process)
            eventually(running.is_ready)
            yield running
        finally:
            process.kill()
            process.wait()


def settings_for(upstream: int, jwks: str, **others: Any) -> EdgeSettings:
    """Settings for tokens by known keys, in front of something at a port, but for those that are given."""
    ours = EdgeSettings(
        issuer=ISSUER,
        audience=AUDIENCE,
        jwks=jwks,
        restate_host=HOST,
        restate_port=upstream,
        host=HOST,
        port=free_port(),
        metrics_port=free_port(),
        admin=f"@betting-edge-test-{uuid4()}",
    )
    return replace(ours, **others)


async def _tell(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what was asked, headers and all."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        return
    if dict(scope["headers"]).get(b"traceparent") == SLOW.encode():
        await asyncio.Event().wait()
    await whole(receive)
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    content = json.dumps({"path": scope["raw_path"].decode(), "headers": headers}).encode()
    told = [(b"content-type", b"application/json"), (b"access-control-allow-origin", b"*")]
    await send({"type": "http.response.start", "status": 200, "headers": told})
    await send({"type": "http.response.body", "body": content})


@contextmanager
def echo(port: int) -> Iterator[None]:
    """Something in Restate's place that tells each request what has come of it."""
    with served(_tell, port):
        yield
