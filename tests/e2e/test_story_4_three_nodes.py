"""Three nodes of Restate on a real cluster, under load: each goes away in its own way, and nobody loses an answer.

The object store of their snapshots is a small one, in a pod; an operator's names and commands are those of the docs.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.people import LOAD_PLAYERS, deposited, money_agrees, opened
from tests.e2e.running import (
    COMMAND_SECONDS,
    MANY_BETS,
    NAMESPACE,
    ROOT,
    WAITS,
    Release,
    door,
    forget_tokens,
    forward,
    kubectl,
    load,
    pod,
    until,
)
from tests.helpers.object_store import CREDENTIALS
from tests.helpers.three_nodes import leads_in

pytestmark = pytest.mark.e2e

STORE = {"app": "store"}
PORT = 9000
SERVES = f"""
server = ThreadingHTTPServer(("", {PORT}), _Asked)
server.daemon_threads, server.store = True, ObjectStore("")
server.serve_forever()
"""
NODES = {f"betting-restate-{number}" for number in range(3)}
BETTORS = 2


def test_13_three_nodes_become_one_cluster_and_take_a_deposit(release: Release) -> None:
    kubectl("delete", "pvc", "--all", "--wait")
    forget_tokens()
    has_a_store(release.images["v1"])
    snapshots = {
        "destination": "s3://snapshots/betting",
        "endpoint": f"http://store:{PORT}",
        "region": "here",
        "credentialsSecret": "store",
        "everyRecords": 500,
    }

    release.install(
        "restate.replicas=3",
        f"service.{MANY_BETS}",
        *(f"restate.snapshots.{name}={value}" for name, value in snapshots.items()),
    )

    until(lambda: ready() == NODES, "all three nodes are ready")
    with door() as users:
        deposited(users, "ann", 5_000)


def test_14_nodes_go_away_under_load_one_after_the_other_and_every_deposit_and_bet_is_answered_once(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    bettors = [f"bets-{number}" for number in range(BETTORS)]
    with door() as users:
        opened(users, "bad-days")
        for bettor in bettors:
            deposited(users, bettor, 10_000)
    image = release.images["v1"]
    with load(image, players=LOAD_PLAYERS) as told, load(image, players=BETTORS, kind="bets") as bets:
        kubectl("delete", "pod", max(NODES, key=leads), "--grace-period=0", "--force")
        until(lambda: ready() == NODES, "a node that was killed is back")

        until(lambda: evicted("betting-restate-1"), "the budget lets a node go")
        assert not evicted("betting-restate-2"), "the budget lets one go at a time"
        until(lambda: ready() == NODES, "a node that was evicted is back")

        with no_store():
            kubectl("delete", "pod", "betting-restate-1", "--wait")
            until(lambda: ready() >= NODES - {"betting-restate-1"}, "the others serve without the store")
        until(lambda: ready() == NODES, "a node that started without the store is back with it")

        kubectl("delete", "pvc", "data-betting-restate-2", "--wait=false")
        kubectl("delete", "pod", "betting-restate-2", "--grace-period=0", "--force")
        until(lambda: "lost its data" in logged("betting-restate-2"), "a node on an empty volume ends")
        replaced = operator("node", "replace", "betting-restate-2", "--output=json")
        until(lambda: ready() == NODES, "a node that was replaced serves")

    with capsys.disabled():
        print(f"\nthree nodes, each away once, one replaced: longest wait {told['longest']:.1f} s, {told}")
        print(f"bets beside: longest wait {bets['longest']:.1f} s, {bets}")
        print(f"replaced: {replaced}")
    assert told["sent"] == told["succeeded"] > 50, told
    assert bets["sent"] == bets["succeeded"] > 50, bets
    money_agrees("ann", *bettors, *(f"deposits-{number}" for number in range(LOAD_PLAYERS)))


def has_a_store(image: str) -> None:
    """An object store, and a Secret with the keys to it."""
    script = (ROOT / "tests" / "helpers" / "object_store.py").read_text() + SERVES
    kubectl("apply", "--filename=-", given=pod("store", image, ["-c", script], STORE))
    service = {"selector": STORE, "ports": [{"port": PORT}]}
    made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "store"}, "spec": service}
    kubectl("apply", "--filename=-", given=json.dumps(made))
    kubectl("create", "secret", "generic", "store", *(f"--from-literal={key}={of}" for key, of in CREDENTIALS.items()))
    kubectl("wait", "pod/store", "--for=condition=Ready", WAITS)


@contextmanager
def no_store() -> Iterator[None]:
    """Nobody reaches the object store on a new connection."""
    spec = {"podSelector": {"matchLabels": STORE}, "policyTypes": ["Ingress"]}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "away"}, "spec": spec}
    kubectl("apply", "--filename=-", given=json.dumps(policy))
    try:
        yield
    finally:
        kubectl("delete", "networkpolicy", "away")


def leads(node: str) -> int:
    """How many partitions a node leads."""
    with forward(f"pod/{node}", 5122) as http:
        return leads_in(http.get("/metrics").raise_for_status().text)


def ready() -> set[str]:
    """The nodes that serve."""
    found = json.loads(kubectl("get", "pods", "--selector=app.kubernetes.io/component=restate", "--output=json"))[
        "items"
    ]
    return {each["metadata"]["name"] for each in found if is_ready(each)}


def is_ready(found: dict[str, Any]) -> bool:
    conditions = {each["type"]: each["status"] for each in found["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in found["metadata"]


def evicted(name: str) -> bool:
    """Whether a pod may go, as `kubectl drain` asks for each."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
    asked = ("kubectl", "create", "--raw", path, "--filename=-")
    done = subprocess.run(asked, input=json.dumps(eviction), capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "disruption budget" in done.stderr, done.stderr
    return done.returncode == 0


def logged(name: str) -> str:
    """What a pod's container has said, or the one before it."""
    said = []
    for which in ((), ("--previous",)):
        asked = ("kubectl", f"--namespace={NAMESPACE}", "logs", name, "--tail=50", *which)
        said.append(subprocess.run(asked, capture_output=True, text=True, check=False).stdout)
    return "".join(said)


def operator(*arguments: str) -> str:
    """A command of the release with the operator's own rights."""
    command = (sys.executable, "-m", "app", "release", f"--namespace={NAMESPACE}", *arguments)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2 * COMMAND_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
