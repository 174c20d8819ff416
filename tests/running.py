"""A whole system for tests: `betting dev` as a process of its own, on free ports, with state of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx
import pytest

from app.dev.ports import Ports
from app.dev.tether import tether
from tests.helpers.exported import exported
from tests.helpers.ports import free_port_base
from tests.helpers.waiting import POLL_SECONDS, eventually

T = TypeVar("T")
Process = Literal["service", "restate", "sandbox", "books", "edge"]

START_SECONDS = 120
POLITE_SECONDS = 5
STOP_SECONDS = 40
ANSWER_SECONDS = 90

WEBHOOK_SECRET = "a secret of the tests"
FAST = {
    "BETTING_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "BETTING_CHARGE_WAIT_SECONDS": "25",
    "BETTING_PROVIDER_TIMEOUT_SECONDS": "10",
    "BETTING_PROVIDER_WINDOW_SECONDS": "600",
    "BETTING_UNKNOWN_DEADLINE_SECONDS": "1200",
    "BETTING_LOOKUP_SECONDS": "0.5,1,1",
    "BETTING_REVIEW_TIMEOUT_SECONDS": "20",
    "BETTING_RAISE_COOLING_OFF_SECONDS": "2",
    "BETTING_RAISE_CONFIRM_SECONDS": "3",
    "BETTING_REINSTATE_SECONDS": "2",
    # Attempts that fail because something was killed are repeated soon.
    "RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL": "100ms",
    "RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL": "1s",
}
"""Of every system. What wants no patience is soon over; a busy machine alone makes no outcome unknown."""
HURRIED = {
    "BETTING_CHARGE_WAIT_SECONDS": "2",
    "BETTING_PROVIDER_TIMEOUT_SECONDS": "1",
    "BETTING_PROVIDER_WINDOW_SECONDS": "12",
    "BETTING_UNKNOWN_DEADLINE_SECONDS": "24",
}
"""Where a provider that says nothing is tested. A busy machine too makes an outcome unknown here, for a while."""
ALONE = {
    "BETTING_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "BETTING_UNSIGNED_CALLS": "allowed",
    "BETTING_REQUIRE_IDENTITY": "false",
}
"""What the service cannot start without, where `betting dev` does not give it."""
REPLAYING = {"RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT": "0s"}
"""Every wait suspends the handler, so that all code after it runs as a replay."""
ONCE = {"connection": "close"}
"""A connection for each request: one that is kept may be closed by the ingress just as the next request goes out on it.

The client's own limit of kept connections will not do: in several threads, one may close what another has just begun.
"""


class System:
    """A running system, as its users and its operators reach it."""

    def __init__(self, process: subprocess.Popen[bytes], ready_file: Path, ports: Ports) -> None:
        self.process = process
        self.ports = ports
        self.folder = ready_file.parent
        self._ready_file = ready_file
        facts = self.facts()
        self.ingress: str = facts["ingress"]
        self.admin: str = facts["admin"]
        self.service: str = facts["service"]
        self.sandbox: str = facts["sandbox"]
        self._http = httpx.Client(
            timeout=ANSWER_SECONDS, trust_env=False, headers=ONCE, event_hooks={"response": [self._check]}
        )

    def facts(self) -> dict[str, Any]:
        """What the ready file says now."""
        facts: dict[str, Any] = json.loads(self._ready_file.read_text())
        return facts

    def outside(self) -> dict[str, str]:
        """Settings with which another process of the service reaches the same provider and mail server."""
        return ALONE | {"BETTING_PROVIDER_URL": self.sandbox, "BETTING_SMTP_PORT": str(self.ports.smtp)}

    def call(
        self,
        service: str,
        handler: str,
        body: object = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Call a handler through the ingress; a body of bytes is sent as it is, another as JSON."""
        return self._http.send(self._request(service, handler, body, key, headers))

    def post_raw(self, path: str, content: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """Send bytes to the ingress as a stranger might."""
        return self._http.post(f"{self.ingress}/{path}", content=content, headers=headers)

    def complete_three_d_secure(self, reference: str) -> httpx.Response:
        """Do what the customer, or the provider, has to do before the money moves."""
        return self._http.post(f"{self.sandbox}/threeDSecure/{reference}/complete")

    def charges(self, reference: str) -> list[dict[str, Any]]:
        """The money the provider really took for a reference."""
        return self._look("charges", reference=reference)

    def payouts(self, reference: str) -> list[dict[str, Any]]:
        """The money the provider really paid out for a reference."""
        return self._look("payouts", reference=reference)

    def mails(self, to: str) -> list[dict[str, Any]]:
        """What a customer has been told."""
        return self._look("mails", to=to)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """What Restate's SQL answers an operator."""
        answer = self._http.post(
            f"{self.admin}/query", json={"query": sql}, headers={"accept": "application/json"}
        ).raise_for_status()
        rows: list[dict[str, Any]] = answer.json()["rows"]
        return rows

    def state(self, service: str, key: str) -> dict[str, bytes]:
        """What Restate keeps for an object."""
        sql = f"select key, value from state where service_name = '{service}' and service_key = '{key}'"
        return {row["key"]: bytes.fromhex(row["value"]) for row in self.query(sql)}

    def put(self, service: str, key: str, state: Mapping[str, bytes]) -> None:
        """Put state in the place of all that an object has, as an operator can; it waits for its turn there."""
        content = {"object_key": key, "new_state": {name: list(value) for name, value in state.items()}}
        self._http.post(f"{self.admin}/services/{service}/state", json=content).raise_for_status()

    def plant(self, service: str, key: str, state: Mapping[str, bytes]) -> None:
        """Put state there, and wait until it is."""
        self.put(service, key, state)
        self.eventually(lambda: self.state(service, key) == state)

    def metrics(self, name: str) -> dict[tuple[str, ...], float]:
        """What the service exports under a name now, by the values of its labels in their names' order."""
        text = self._http.get(f"{self.ports.url('metrics')}/metrics").raise_for_status().text
        return exported(text, name)

    def books_were_seen(self) -> None:
        """Wait for the bookkeeper's first complete look, after which it rests."""
        url = f"{self.ports.url('books')}/metrics"
        self.eventually(lambda: exported(self._http.get(url).text, "betting_books_timestamp_seconds"))

    def log(self) -> str:
        """What the service has said since it was started."""
        return (self.folder / "state" / "logs" / "service.log").read_text()

    def kill(self, name: Process, how: signal.Signals = signal.SIGKILL) -> None:
        """End a process, by default as a crash would, and wait until the one in its place is ready."""
        pid = self.facts()["pids"][name]
        os.kill(pid, how)
        self.eventually(lambda: self.facts()["pids"][name] != pid)

    eventually = staticmethod(eventually)

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def _check(self, answer: httpx.Response) -> None:
        """Whatever a test asks for: an answer has to be one that the description of the API has."""
        if str(answer.request.url).startswith(f"{self.ingress}/"):
            # Not at the top: to load it takes a second, and tests of rules never ask.
            from tests.helpers.described import check_answer

            check_answer(answer)

    def _request(
        self, service: str, handler: str, body: object, key: str | None, headers: Mapping[str, str] | None
    ) -> httpx.Request:
        path = [service, handler] if key is None else [service, quote(key, safe=""), handler]
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = ONCE if content is None else ONCE | {"content-type": "application/json"}
        url = "/".join([self.ingress, *path])
        timeout = httpx.Timeout(ANSWER_SECONDS).as_dict()
        return httpx.Request(
            "POST", url, content=content, headers={**kind, **(headers or {})}, extensions={"timeout": timeout}
        )

    def _look(self, what: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._http.get(f"{self.sandbox}/{what}", params=query).raise_for_status().json()
        return found


@contextmanager
def running(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    base: int | None = None,
) -> Iterator[System]:
    """Start a system whose state is in a folder, and stop it in the end."""
    base = base or free_port_base()
    process = start(folder, base, environment, options)
    try:
        with closing(_ready(process, folder, Ports.plan(base))) as system:
            yield system
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, and after a while to stop at once: some tests leave work that waits for long."""
    process.terminate()
    try:
        process.wait(POLITE_SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait(STOP_SECONDS)


def start(
    folder: Path, base: int, environment: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start `betting dev`, without waiting for it; it ends with us."""
    folder.mkdir(parents=True, exist_ok=True)
    ready_file = folder / "ready.json"
    ready_file.unlink(missing_ok=True)
    ours = [f"--data={folder / 'state'}", f"--ready-file={ready_file}", f"--port-base={base}"]
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "app", "dev", *ours, *options],
            env=clean_environment() | FAST | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=tether(),
        )


def clean_environment() -> dict[str, str]:
    """The environment without settings of whoever runs the tests, but for the binary."""
    return {
        name: value
        for name, value in os.environ.items()
        if name == "BETTING_RESTATE_SERVER" or not name.startswith(("BETTING_", "RESTATE_"))
    }


def _ready(process: subprocess.Popen[bytes], folder: Path, ports: Ports) -> System:
    deadline = time.monotonic() + START_SECONDS
    while not (folder / "ready.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"betting dev did not become ready:\n{(folder / 'output').read_text()}")
        time.sleep(POLL_SECONDS)
    return System(process, folder / "ready.json", ports)
