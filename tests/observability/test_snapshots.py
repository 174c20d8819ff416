"""What Restate counts of its snapshots is what the alert asks for: on a real server, with a store that fails."""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.dev.binaries import restate_server, tool
from tests.helpers.ports import free_port
from tests.helpers.three_nodes import HOST, started
from tests.helpers.waiting import eventually
from tests.observability.promql import metric, selectors
from tests.observability.rules import ALL

TAKEN = "restate_partition_store_snapshots_upload_total"
FAILED = "restate_partition_store_snapshots_upload_failed_total"
READ = "restate_partition_record_committed_to_read_latency_seconds_count"
SETTINGS = {
    "RESTATE_DEFAULT_NUM_PARTITIONS": "1",
    "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "64MiB",
    "RESTATE_DISABLE_TELEMETRY": "true",
    "RESTATE_LISTEN_MODE": "tcp",
    "RESTATE_LOG_FILTER": "warn",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "NO_PROXY": "*",
}


class Store(ThreadingHTTPServer):
    """As much of an object store as a snapshot needs: it keeps what is put, and may refuse to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Request)
        self.objects: dict[str, bytes] = {}
        self.refuses = False


class _Request(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = self.server.objects.get(self.path)
        self._answer(404 if content is None else 200, content or b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        if not self.server.refuses:
            self.server.objects[self.path] = content
        self._answer(403 if self.server.refuses else 200, b"", content)

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.path, None)
        self._answer(204, b"")

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, content: bytes, of: bytes | None = None) -> None:
        self.send_response(status)
        self.send_header("etag", f'"{hashlib.md5(of or content, usedforsecurity=False).hexdigest()}"')
        self.send_header("last-modified", "Fri, 27 Nov 2026 12:00:00 GMT")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class Server:
    """A restate-server of one partition."""

    def __init__(self, node: str) -> None:
        self._node = node

    def counted(self) -> dict[str, float]:
        """What it has counted, by name; of what has labels, what leaders did."""
        text = httpx.get(f"{self._node}/metrics", trust_env=False).raise_for_status().text
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("leader", "1") == "1"
        }

    def after_a_snapshot(self) -> dict[str, float]:
        """What it has counted once it was asked for a snapshot; what became of that, its counters tell."""
        command = [str(tool("restatectl")), f"--address={self._node}", "snapshots", "create"]
        subprocess.run(command, capture_output=True, check=False, timeout=60)
        return self.counted()


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store() as store:
        Thread(target=store.serve_forever, daemon=True).start()
        yield store
        store.shutdown()


@pytest.fixture(scope="module")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("snapshots"), store) as server:
        yield server


@contextmanager
def running(folder: Path, store: Store) -> Iterator[Server]:
    node, admin, ingress = (f"{HOST}:{free_port()}" for _ in range(3))
    snapshots = {
        "DESTINATION": "s3://bucket/snapshots",
        "AWS_ENDPOINT_URL": f"http://{HOST}:{store.server_port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "here",
        "OBJECT_STORE_RETRY_POLICY__MAX_ATTEMPTS": "1",
    }
    places = {
        "RESTATE_NODE_NAME": "n",
        "RESTATE_BASE_DIR": str(folder / "data"),
        "RESTATE_BIND_ADDRESS": node,
        "RESTATE_ADVERTISED_ADDRESS": f"http://{node}/",
        "RESTATE_ADMIN__BIND_ADDRESS": admin,
        "RESTATE_INGRESS__BIND_ADDRESS": ingress,
    }
    told = {f"RESTATE_WORKER__SNAPSHOTS__{name}": value for name, value in snapshots.items()}
    process = started([str(restate_server()), "--no-logo"], folder / "log", SETTINGS | places | told)
    server = Server(f"http://{node}")
    try:
        eventually(lambda: server.counted().get("restate_num_active_partition_leaders") == 1)
        yield server
    finally:
        process.kill()
        process.wait()


def test_a_snapshot_is_counted_and_so_is_one_that_the_store_refuses(store: Store, server: Server) -> None:
    eventually(lambda: server.after_a_snapshot().get(TAKEN, 0) > 0)
    assert FAILED not in server.counted()
    assert any(path.endswith("/latest.json") for path in store.objects)

    store.refuses = True
    taken = server.counted()[TAKEN]

    eventually(lambda: server.after_a_snapshot().get(FAILED, 0) > 0)
    assert server.counted()[TAKEN] == taken


def test_what_a_leader_reads_is_how_far_its_log_has_come(server: Server) -> None:
    assert server.counted()[READ] > 0


def test_the_alert_asks_for_no_other_counter() -> None:
    [alert] = [alert for alert in ALL if alert.name == "BettingRestateSnapshotsStale"]

    asked = {
        metric(selector) for selector in selectors(alert.rule(namespace="shop", restate_snapshot_records=1)["expr"])
    }
    assert asked == {TAKEN, FAILED, READ, "restate_num_partitions"}
