"""A node of three that loses its volume under load: it does not come back by itself, and does with `node replace`."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx
import pytest

from app.dev.binaries import tool
from app.release.nodes import Seen, Step
from app.release.numbers import read_books
from app.release.replacing import look, replace
from app.release.restate_admin import UnknownError
from app.release.rounds import NotDoneError
from tests.helpers.object_store import ObjectStore, object_store
from tests.helpers.three_nodes import PARTITIONS, Cluster, Node, three_nodes
from tests.helpers.waiting import eventually
from tests.running import ANSWER_SECONDS

PLAYERS = 12
AMOUNT = 1_000
SECONDS = 240


class Machine:
    """The nodes as processes of this machine."""

    def __init__(self, cluster: Cluster, ask: Node) -> None:
        self.cluster, self.ask = cluster, ask

    def restatectl(self, *arguments: str) -> str:
        command = [str(tool("restatectl")), f"--address={self.ask.address}", "--yes", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
        if done.returncode:
            raise UnknownError(f"{arguments}: {done.stderr}")
        return done.stdout

    def start_empty(self, name: str) -> None:
        [node] = [node for node in self.cluster.nodes if node.name == name]
        node.kill()
        node.lose_volume()
        self.cluster.restart(node)

    def trouble(self, name: str) -> str:
        return ""


class Deposits:
    """Players who pay in, again and again, at the nodes that are there."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.answered: list[str] = []
        self.credited: list[str] = []
        self.failed: list[str] = []
        self.stop = threading.Event()

    def pay(self, player: int) -> None:
        for number in count():
            if self.stop.is_set():
                return
            deposit = f"d-{player}-{number}"
            body = {
                "email": f"u-{player}@example.com",
                "depositId": deposit,
                "amount": AMOUNT,
                "paymentMethod": "creditCard",
                "walletId": "w-1",
                "userId": f"u-{player}",
            }
            node = self.nodes[player % len(self.nodes)]
            url = f"{node.ingress}/PaymentService/deposit"
            answer = httpx.post(url, json=body, timeout=ANSWER_SECONDS, trust_env=False)
            (self.answered if answer.is_success else self.failed).append(deposit)
            if answer.is_success and answer.json()["status"] == "credited":
                self.credited.append(deposit)


@contextmanager
def under_load(nodes: list[Node]) -> Iterator[Deposits]:
    deposits = Deposits(nodes)
    with ThreadPoolExecutor(PLAYERS) as pool:
        running = [pool.submit(deposits.pay, player) for player in range(PLAYERS)]
        try:
            yield deposits
        finally:
            deposits.stop.set()
        for each in running:
            each.result()


def data_lost(machine: Machine, lost: Node) -> bool:
    def said(seen: Seen) -> bool:
        node = seen.named(lost.name)
        return node is not None and not node.alive and node.storage == "data-loss"

    return sees(machine, said)


def sees(machine: Machine, what: Callable[[Seen], bool]) -> bool:
    """Whether this is seen now; who leads may just change, and then nothing is."""
    try:
        return what(look(machine))
    except UnknownError:
        return False


def number(machine: Machine, node: Node) -> str:
    """The node's number, as soon as it can be seen."""
    found: list[str] = []

    def is_seen(seen: Seen) -> bool:
        found[:] = [known.number] if (known := seen.named(node.name)) else []
        return bool(found)

    eventually(lambda: sees(machine, is_seen))
    return found[0]


def taken(cluster: Cluster) -> list[str]:
    """The deposits for which the provider really took money, once for each time."""
    charges = httpx.get(f"{cluster.provider}/charges", trust_env=False).raise_for_status().json()
    return sorted(charge["reference"] for charge in charges)


def looked(cluster: Cluster) -> bool:
    try:
        return read_books(cluster.books()) is not None
    except UnknownError:  # it starts
        return False


def read_from(store: ObjectStore) -> set[str]:
    return {path for path in store.read if path.endswith(".sst")}


def test_a_node_that_lost_its_volume_comes_back_as_another_one_under_load(tmp_path: Path) -> None:
    told: list[str] = []
    rules = {"BETTING_DEFAULT_WEEKLY_DEPOSIT_LIMIT": "100000000"}
    with object_store() as store, three_nodes(tmp_path, rules, store) as cluster:
        first, second, lost = cluster.nodes
        names = [node.name for node in cluster.nodes]
        machine = Machine(cluster, first)
        eventually(lambda: sees(machine, lambda seen: all(node.alive for node in seen.nodes)))
        before = number(machine, lost)
        with under_load([first, second]) as deposits:
            eventually(lambda: len(deposits.answered) > 2 * PLAYERS)
            lost.kill()
            eventually(lambda: sees(machine, lambda seen: not seen.named(lost.name).alive))  # type: ignore[union-attr]
            with pytest.raises(NotDoneError, match="let it start"):
                replace(machine, lost.name, names, SECONDS, told.append)
            lost.lose_volume()
            cluster.restart(lost)
            eventually(lambda: lost.ended() == 1 and data_lost(machine, lost))
            cluster.restart(lost)
            eventually(lambda: lost.ended() == 1)

            replaced = replace(machine, lost.name, names, SECONDS, told.append)

            so_far = len(deposits.answered)
            eventually(lambda: len(deposits.answered) > so_far + PLAYERS)
        taken_when_answered = taken(cluster)
        eventually(lambda: taken(cluster) == sorted(deposits.answered))  # one of an outcome unknown so far is looked up
        after = number(machine, lost)
        again = replace(machine, lost.name, names, SECONDS, told.append)
        eventually(lambda: sum(node.leads() for node in cluster.nodes) == PARTITIONS)
        cluster.keep_books()
        eventually(lambda: looked(cluster))
        books = read_books(cluster.books())

        assert after != before
        assert {action.do for action in replaced.did} >= {Step.LEAVE, Step.DISABLE, Step.REMOVE, Step.EMPTY}
        assert lost.ended() is None
        assert again.did == ()
        assert read_from(store), "what it has it read from snapshots"
        assert deposits.failed == []
        assert set(deposits.credited) <= set(taken_when_answered)
        assert taken(cluster) == sorted(deposits.answered)
        assert books is not None
        assert (books.balanced, books.differences) == (True, {})
