"""What runs on this machine, and with which settings."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.dev.certificate import certificate
from app.dev.children import Child
from app.dev.folder import Folder
from app.dev.ports import HOST, Ports
from app.edge.bootstrap import bootstrap
from app.edge.routes import Route
from app.edge.settings import EdgeSettings
from app.edge.template import as_yaml
from app.sandbox import identity
from app.settings import Settings

IMPORTABLE = Path(__file__).parents[2]
STOP_SECONDS = 10

REQUEST_BYTES = 65_536
"""The largest request that Restate's ingress passes on: a larger one costs memory, again with every repetition."""

AMOUNTS = {
    "default_weekly_deposit_limit": "EUR=10000,JPY=1500000",
    "review_threshold": "EUR=100000,USD=100000,GBP=100000,JPY=15000000,KWD=30000",
    "max_payout": "EUR=100000000,USD=100000000,GBP=100000000,JPY=15000000000,KWD=30000000",
}
"""Two currencies to play with; to take another of those here, it is enough to name it in the deposit limit."""

MENDING = {
    "BETTING_BOOKS_REPAIR": "true",
    "BETTING_BOOKS_SECONDS": "10",
    "BETTING_BOOKS_STRANDED_AFTER_SECONDS": "10",
}
"""How the bookkeeper mends what was killed, unless the developer says otherwise: soon, for somebody waits for it."""


@dataclass(frozen=True)
class System:
    """The processes, in the order in which they stop."""

    edge: Child | None
    books: Child
    service: Child
    restate: Child
    sandbox: Child

    def __iter__(self) -> Iterator[Child]:
        every = (self.edge, self.books, self.service, self.restate, self.sandbox)
        return iter([child for child in every if child is not None])

    def pids(self) -> dict[str, int]:
        """The processes that run now, by name."""
        return {child.name: child.pid for child in self}


@dataclass(frozen=True)
class Door:
    """What makes the door: Envoy, and what it lets through."""

    envoy: Path
    routes: Sequence[Route]
    openapi: str
    """The description of the API."""


def plan(folder: Folder, ports: Ports, restate_server: Path, door: Door | None, lock: int) -> System:
    """The processes of a system with this state on these ports."""
    settings = Settings()
    environment = _service_environment(ports, settings, folder)
    betting = (sys.executable, "-P", "-m", "app")
    return System(
        edge=None if door is None else _edge(folder, ports, door, lock),
        books=Child(
            "books",
            (*betting, "books", *_books_options(ports)),
            environment,
            [ports.url("books") + "/metrics"],
            folder.log("books"),
            STOP_SECONDS,
            lock,
        ),
        service=Child(
            "service",
            (*betting, "serve"),
            environment | {"BETTING_METRICS_DIR": str(folder.metrics)},
            [ports.url("service") + "/health"],
            folder.log("service"),
            settings.end_seconds,
            lock,
        ),
        restate=Child(
            "restate",
            (str(restate_server), "--no-logo"),
            _restate_environment(folder, ports),
            [ports.url("admin") + "/health", ports.url("ingress") + "/restate/health"],
            folder.log("restate"),
            STOP_SECONDS,
            lock,
        ),
        sandbox=Child(
            "sandbox",
            (*betting, "sandbox", *_sandbox_options(folder, ports)),
            environment,
            [ports.url("sandbox") + "/health"],
            folder.log("sandbox"),
            STOP_SECONDS,
            lock,
        ),
    )


def _edge(folder: Folder, ports: Ports, door: Door, lock: int) -> Child:
    """Envoy in front of the ingress, taking the tokens that this folder's key signs."""
    admin = f"betting-edge-{ports.edge_metrics}"
    settings = EdgeSettings(
        issuer=identity.ISSUER,
        audience=identity.AUDIENCE,
        roles_claim=identity.ROLES_CLAIM,
        jwks=identity.key_set(identity.signing_key(folder.identity_key).read_bytes()),
        restate_host=HOST,
        restate_port=ports.ingress,
        host=HOST,
        port=ports.edge,
        metrics_port=ports.edge_metrics,
        admin=f"@{admin}" if sys.platform == "linux" else f"{tempfile.gettempdir()}/{admin}",
        openapi=str(folder.openapi),
    )
    folder.openapi.write_text(door.openapi)
    folder.edge.write_text(as_yaml(bootstrap(door.routes, settings)))
    options = (
        "--disable-hot-restart",
        "--log-level",
        "warn",
        "--concurrency",
        "2",
        "--file-flush-interval-msec",
        "500",
    )
    return Child(
        "edge",
        (str(door.envoy), "--config-path", str(folder.edge), *options),
        dict(os.environ),
        [ports.url("edge_metrics") + "/ready"],
        folder.log("edge"),
        STOP_SECONDS,
        lock,
    )


def _secrets(settings: Settings, folder: Folder) -> dict[str, str]:
    """What the service and the sandbox have to share: the developer's own, or else what the folder keeps."""
    shared = {"BETTING_WEBHOOK_SECRET": ",".join(settings.webhook_secret) or folder.webhook_secret()}
    if settings.smtp_security == "none" or settings.smtp_ca_file:
        return shared
    shown = str(certificate(folder.certificate))
    return shared | {"BETTING_SMTP_CA_FILE": shown, "SANDBOX_SMTP_CERTIFICATE": shown}


def _service_environment(ports: Ports, settings: Settings, folder: Folder) -> dict[str, str]:
    """The developer's settings, with the sandbox as the world outside; Restate signs nothing on this machine."""
    return (
        {f"BETTING_{name.upper()}": text for name, text in amounts(settings).items()}
        | MENDING
        | os.environ
        | _secrets(settings, folder)
        | {
            "PYTHONPATH": str(IMPORTABLE),
            "BETTING_HOST": HOST,
            "BETTING_PORT": str(ports.service),
            "BETTING_METRICS_PORT": str(ports.metrics),
            "BETTING_UNSIGNED_CALLS": "allowed",
            "BETTING_REQUIRE_IDENTITY": os.environ.get("BETTING_REQUIRE_IDENTITY", "false"),
            "BETTING_PROVIDER_URL": ports.url("sandbox"),
            "BETTING_SMTP_HOST": HOST,
            "BETTING_SMTP_PORT": str(ports.smtp),
        }
    )


def amounts(settings: Settings) -> dict[str, str]:
    """The amounts by currency that a developer has not set; the default currency is always among them."""
    return {
        name: text if f"{settings.default_currency}=" in text else f"{_default(name)},{text}"
        for name, text in AMOUNTS.items()
        if name not in settings.model_fields_set
    }


def _default(name: str) -> str:
    return str(Settings.model_fields[name].default)


def _books_options(ports: Ports) -> list[str]:
    return [
        f"--host={HOST}",
        f"--port={ports.books}",
        f"--admin={ports.url('admin')}",
        f"--ingress={ports.url('ingress')}",
    ]


def _sandbox_options(folder: Folder, ports: Ports) -> list[str]:
    return [
        f"--host={HOST}",
        f"--port={ports.sandbox}",
        f"--smtp-port={ports.smtp}",
        f"--database={folder.database}",
        f"--webhook-base={ports.url('ingress')}",
    ]


def _restate_environment(folder: Folder, ports: Ports) -> dict[str, str]:
    """Restate's settings for one machine; RESTATE_* variables of the developer win."""
    ours = {
        "RESTATE_BASE_DIR": str(folder.restate),
        "RESTATE_CLUSTER_NAME": "betting-dev",
        "RESTATE_NODE_NAME": "dev",  # the default is the host's name, and state would not survive another one
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_ADDRESS": f"{HOST}:{ports.node}",
        "RESTATE_ADVERTISED_ADDRESS": ports.url("node"),
        "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{ports.ingress}",
        "RESTATE_INGRESS__REQUEST_SIZE_LIMIT": str(REQUEST_BYTES),
        "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{ports.admin}",
        "RESTATE_DEFAULT_NUM_PARTITIONS": "4",  # measured best on two cores
        "RESTATE_WORKER__INVOKER__HTTP2_STREAMS_PER_CONNECTION_LIMIT": "8",  # as in the chart
        "RESTATE_LOG_FILTER": "warn,octocrab=off",  # its search for newer versions fails without a network
        "RESTATE_LOG_FORMAT": "compact",
        "RESTATE_LOG_DISABLE_ANSI_CODES": "true",
        "RESTATE_SHUTDOWN_TIMEOUT": f"{STOP_SECONDS // 2}s",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
    }
    # restate-server would call even 127.0.0.1 through a proxy.
    return ours | {name: value for name, value in os.environ.items() if name.lower() != "http_proxy"}
