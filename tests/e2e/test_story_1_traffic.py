"""A release on a real cluster, then: its parts are restarted while clients ask."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import WAITS, Release, kubectl, said_by

pytestmark = pytest.mark.e2e

ASKS = (Path(__file__).parent / "asking.py").read_text()
ASKED_SECONDS = 30
ASKS_LABELS = {"app": "asks"}
BEGUN_SECONDS = 6
"""Until all clients ask."""
LATE_SECONDS = 5
"""How much later than Restate is ready a client may be: it may have to connect once more."""
NOBODY = "/MarketService/none/get"
"""What anyone may ask; the service answers that there is no such market."""


@contextmanager
def let_in(labels: dict[str, str]) -> Iterator[None]:
    """Pods with these labels may reach Restate too, as a gateway in the door's place."""
    restate = {"app.kubernetes.io/instance": "betting", "app.kubernetes.io/component": "restate"}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "let-in"},
        "spec": {
            "podSelector": {"matchLabels": restate},
            "ingress": [{"from": [{"podSelector": {"matchLabels": labels}}], "ports": [{"port": "ingress"}]}],
        },
    }
    kubectl("apply", "--filename=-", given=json.dumps(policy))
    try:
        yield
    finally:
        kubectl("delete", "networkpolicy", "let-in")


def test_1j_nobody_waits_long_for_a_planned_restart_of_restate(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    ways = {"by the door": "betting-edge", "directly": "betting-restate"}

    def asked(service: str) -> dict[str, Any]:
        arguments = ["-c", ASKS, f"http://{service}:8080{NOBODY}", str(ASKED_SECONDS)]
        told: dict[str, Any] = json.loads(said_by(f"asks-{service}", release.images["v1"], arguments, ASKS_LABELS))
        return told

    with let_in(ASKS_LABELS), ThreadPoolExecutor() as at_once:
        clients = {way: at_once.submit(asked, service) for way, service in ways.items()}
        time.sleep(BEGUN_SECONDS)
        began = time.monotonic()
        kubectl("rollout", "restart", "statefulset/betting-restate")
        kubectl("rollout", "status", "statefulset/betting-restate", WAITS)
        restarted = time.monotonic() - began  # as long as that takes a server here, and its pod to be ready
        seen = {way: client.result() for way, client in clients.items()}

    with capsys.disabled():
        print(f"\nRestate restarted in {restarted:.1f} s")
        for way, found in seen.items():
            print(f"asked {way}: longest wait {found['longest']:.1f} s, {found['told']}")
    for way, found in seen.items():
        assert found["told"]["404"] > 50, f"asked {way}: {found}"
        assert found["longest"] <= restarted + LATE_SECONDS, f"asked {way}, {restarted:.1f} s: {found}"
