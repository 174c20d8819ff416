"""Three restate-servers that are one cluster, with the settings that the chart gives them, and what they sign for."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.dev.binaries import restate_server, tool
from app.dev.tether import tether
from app.release.evidence import scrape
from app.release.signing import new_signing_key
from tests.chart.rendered import one, render
from tests.helpers.object_store import CREDENTIALS, ObjectStore
from tests.helpers.ports import free_port
from tests.helpers.waiting import eventually
from tests.running import ALONE, ANSWER_SECONDS, FAST, STOP_SECONDS, clean_environment

HOST = "127.0.0.1"
NODES = 3
PARTITIONS = 6
CHART = (
    f"--set=restate.replicas={NODES},restate.partitions={PARTITIONS},restate.rocksdbMemory=96MiB",
    "--set=restate.snapshots.destination=s3://a-bucket/restate",
)
SNAPSHOTS = "RESTATE_WORKER__SNAPSHOTS__"
"""Settings that need an object store. Nodes that keep their disks do without."""
SIGNING_KEY = "RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE"
LEADS = "restate_num_active_partition_leaders{"


class Node:
    """One restate-server, which may be killed, and started again on what it has stored."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        node, admin, ingress = (f"{HOST}:{free_port()}" for _ in range(3))
        self.address, self.admin, self.ingress = f"http://{node}/", f"http://{admin}", f"http://{ingress}"
        self._places = {
            "RESTATE_NODE_NAME": name,
            "RESTATE_BASE_DIR": str(folder / name),
            "RESTATE_BIND_ADDRESS": node,
            "RESTATE_ADVERTISED_ADDRESS": self.address,
            "RESTATE_ADMIN__BIND_ADDRESS": admin,
            "RESTATE_INGRESS__BIND_ADDRESS": ingress,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, settings: Mapping[str, str]) -> None:
        """Start it, without waiting for it."""
        command = [str(restate_server()), "--no-logo"]
        self._process = started(command, self.folder / f"{self.name}.log", {**settings, **self._places})

    def kill(self) -> None:
        """End it as a lost machine would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def lose_volume(self) -> None:
        """Forget all that it has stored; it has to be dead."""
        shutil.rmtree(self.folder / self.name)

    def ended(self) -> int | None:
        """The exit code, once it has ended by itself."""
        return self._process.poll() if self._process is not None else None

    def leads(self) -> int:
        """How many partitions it leads now."""
        return leads_in(httpx.get(f"{self.address}metrics", trust_env=False).raise_for_status().text)


class Cluster:
    """The three nodes, with the service and a provider."""

    def __init__(self, nodes: Sequence[Node], settings: Mapping[str, str], provider: str, books_port: int) -> None:
        self.nodes = nodes
        self.provider = provider
        self.keep_books: Callable[[], None] = lambda: None
        """Starts the bookkeeper, which looks once: its audits would be in flight with what a test counts."""
        self._books_port = books_port
        self._settings = settings

    def call(self, node: Node, path: str, body: object = None) -> dict[str, Any]:
        """Call a handler through the ingress of a node."""
        answer = httpx.post(f"{node.ingress}/{path}", json=body, timeout=ANSWER_SECONDS, trust_env=False)
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def restart(self, node: Node) -> None:
        """Start a node again that was killed, without waiting for it."""
        node.start(self._settings)

    def books(self) -> str:
        """The bookkeeper's numbers."""
        return scrape(HOST, self._books_port)

    def payouts(self) -> list[dict[str, Any]]:
        """The money that the provider really paid out."""
        found: list[dict[str, Any]] = httpx.get(f"{self.provider}/payouts", trust_env=False).raise_for_status().json()
        return found


@contextmanager
def three_nodes(folder: Path, rules: Mapping[str, str], snapshots: ObjectStore | None = None) -> Iterator[Cluster]:
    """Start the nodes, and what answers and asks them, with these settings of the service; kill all in the end."""
    private, public = new_signing_key()
    key = folder / "private.pem"
    key.write_bytes(private)
    nodes = [Node(f"betting-restate-{number}", folder) for number in range(NODES)]
    settings = chart_settings(nodes, snapshots) | {SIGNING_KEY: str(key)}
    sandbox, smtp, service, books = (free_port() for _ in range(4))
    cluster = Cluster(nodes, settings, f"http://{HOST}:{sandbox}", books)
    environment = FAST | ALONE | dict(rules) | {
        "BETTING_IDENTITY_KEYS": public,
        "BETTING_UNSIGNED_CALLS": "refused",
        "BETTING_HOST": HOST,
        "BETTING_PORT": str(service),
        "BETTING_METRICS_PORT": "0",
        "BETTING_PROVIDER_URL": cluster.provider,
        "BETTING_SMTP_PORT": str(smtp),
    }  # fmt: skip
    betting = [sys.executable, "-m", "app"]
    where = [f"--host={HOST}", f"--port={sandbox}", f"--smtp-port={smtp}", f"--webhook-base={nodes[0].ingress}"]
    with ExitStack() as stack:

        def run(name: str, *options: str) -> None:
            process = started([*betting, name, *options], folder / f"{name}.log", environment)
            stack.callback(process.wait, STOP_SECONDS)
            stack.callback(process.kill)

        for node in nodes:
            node.start(settings)
            stack.callback(node.kill)
        run("sandbox", *where, f"--database={folder / 'sandbox'}")
        run("serve")
        eventually(lambda: all(_answers(node.address + "metrics") for node in nodes))
        provision(nodes[0])
        eventually(lambda: all(_answers(f"{node.ingress}/restate/health") for node in nodes))
        eventually(lambda: sum(node.leads() for node in nodes) == PARTITIONS)
        eventually(lambda: _answers(f"http://{HOST}:{service}/health"))
        _register(nodes, f"http://{HOST}:{service}/")
        asks = (f"--admin={nodes[1].admin}", f"--ingress={nodes[2].ingress}", f"--provider={cluster.provider}")
        cluster.keep_books = lambda: run("books", f"--host={HOST}", f"--port={books}", "--every=600", *asks)
        yield cluster


def leads_in(metrics: str) -> int:
    """How many partitions a node leads by its own numbers."""
    return sum(int(line.split()[-1]) for line in metrics.splitlines() if line.startswith(LEADS))


def chart_settings(nodes: Sequence[Node], store: ObjectStore | None = None) -> dict[str, str]:
    """The settings that the chart gives to each of three nodes, with the addresses of these."""
    where = [f"--set=restate.snapshots.endpoint={store.url},restate.snapshots.region=here"] if store else []
    pod = one(render(*CHART, *where), "StatefulSet", "betting-restate")["spec"]["template"]["spec"]
    told = {each["name"]: str(each["value"]) for each in pod["containers"][0]["env"] if "value" in each}
    settings = {name: value for name, value in told.items() if store or not name.startswith(SNAPSHOTS)}
    settings |= CREDENTIALS if store else {}
    for node in nodes:
        there = f"http://{node.name}.betting-restate-nodes.shop.svc:5122/"
        settings = {name: value.replace(there, node.address) for name, value in settings.items()}
    return settings


def provision(node: Node) -> None:
    """Make one cluster of the nodes, as the Job of the chart does."""
    [job] = [found for found in render(*CHART) if found["kind"] == "Job" and "provision" in found["metadata"]["name"]]
    path = f"{tool('restatectl').parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        job["spec"]["template"]["spec"]["containers"][0]["command"],
        env=clean_environment() | {"RESTATECTL_ADDRESS": node.address, "PATH": path},
        capture_output=True,
        check=True,
        timeout=ANSWER_SECONDS,
    )


def started(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that ends with us at the latest."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=clean_environment() | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=tether(),
        )


def _register(nodes: Sequence[Node], uri: str) -> None:
    """Tell the cluster where the service is, by one node, and wait until all ingresses know it."""
    body = {"uri": uri, "force": False}
    answer = httpx.post(f"{nodes[0].admin}/deployments", json=body, timeout=ANSWER_SECONDS, trust_env=False)
    assert answer.is_success, answer.text
    for node in nodes:
        eventually(lambda node=node: _answers(f"{node.ingress}/PlayerService/nobody/getAccount"))  # type: ignore[misc]


def _answers(url: str) -> bool:
    return httpx.get(url, timeout=ANSWER_SECONDS, trust_env=False).is_success
