"""What to do so that a node of Restate that lost its volume comes back: pure, from one look to the steps that are left.

A node that finds its disk empty under a number that had data ends at once, for ever: Restate cannot tell a lost disk
from a wrong one. It comes back as another node, with the same name and a new number, once nothing needs the old one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

HAS_DATA = "read-write"
LOST = frozenset({"data-loss", "disabled", "gone"})
"""What Restate calls the storage of a node whose data is gone; the first it finds out itself, the second is ours."""
DISABLED = "disabled"
MEMBER = "member"
FEWEST = 3
"""Of fewer nodes, too few are left to agree on anything without the lost one."""


@dataclass(frozen=True)
class Node:
    """A node, as the nodes that live know it."""

    name: str
    """Its pod's."""
    number: str
    """N1, N2, ...: given by Restate in the order in which nodes come, so it says nothing about the pod's."""
    alive: bool
    storage: str
    metadata: str


@dataclass(frozen=True)
class Processor:
    """What a node does for a partition."""

    partition: int
    node: str
    """Its number."""
    leads: bool
    active: bool
    """Whether it has read all that there is."""


@dataclass(frozen=True)
class Seen:
    """One look at the cluster."""

    nodes: tuple[Node, ...]
    logs: Mapping[int, frozenset[str]]
    """The numbers of the nodes that each log is written to now."""
    processors: tuple[Processor, ...] = ()

    def named(self, name: str) -> Node | None:
        """The node of this name, if Restate knows one."""
        return next((node for node in self.nodes if node.name == name), None)


class Step(StrEnum):
    """One step, each safe to repeat."""

    LEAVE = "leave"
    RECONFIGURE = "reconfigure"
    DISABLE = "disable"
    REMOVE = "remove"
    EMPTY = "empty"
    WAIT = "wait"


@dataclass(frozen=True)
class Action:
    """A step, what it is about, and what it is for."""

    do: Step
    node: str
    """The number of the lost node, or the name of the one that is to come."""
    because: str
    logs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The steps that are left, in order; or why there are none."""

    actions: tuple[Action, ...] = ()
    done: str = ""
    refused: str = ""


def plan(seen: Seen, name: str, names: Collection[str], emptied: bool = False) -> Plan:
    """Plan from a look; `names` are all nodes that there should be, `emptied` is whether NAME was just started anew."""
    if because := refusal(name, names):
        return Plan(refused=because)
    node = seen.named(name)
    if node is not None and node.alive:
        return _joining(seen, node)
    lost = node is not None and node.storage in LOST
    if emptied and not lost:
        return Plan(_come_back(name)[1:])
    if node is not None and not lost:
        return Plan(refused=_may_have_data(node))
    if missing := _missing(seen, set(names) - {name}):
        too = f"{', '.join(missing)} is away, too, and may hold the only copy of what {name} had"
        return Plan(refused=f"{too}: bring it back first")
    return Plan(_come_back(name) if node is None else _all_steps(seen, node))


def refusal(name: str, names: Collection[str]) -> str:
    """Why a node cannot be replaced, whatever is seen of it; or nothing. `names` are all nodes that there should be."""
    if not names:
        return "there is no Restate of such a release here: --name and --namespace say which release is meant"
    if name not in names:
        return f"there is no node {name}, but {', '.join(sorted(names))}"
    if len(names) < FEWEST:
        return f"{name} has no other nodes that could go on without it: what it has lost comes back from a backup"
    return ""


def _joining(seen: Seen, node: Node) -> Plan:
    """What is left for a node that lives."""
    of_it = [each for each in seen.processors if each.node == node.number]
    if node.storage != HAS_DATA:
        return _wait(node, f"its storage is {node.storage}")
    if node.metadata != MEMBER:
        cure = f"{_forget(node)}; then repeat this"
        return _wait(node, f"it is no metadata server yet, but {node.metadata}. If it stays so, {cure}")
    if not of_it:
        return _wait(node, "it has no partition yet")
    if behind := sorted(each.partition for each in of_it if not each.active):
        return _wait(node, f"it still reads partitions {', '.join(map(str, behind))}")
    leads = sum(each.leads for each in of_it)
    return Plan(
        done=f"{node.name} is {node.number}: alive, with its data, a metadata server; it leads {leads} partitions "
        f"and follows {len(of_it) - leads}"
    )


def _wait(node: Node, because: str) -> Plan:
    return Plan((Action(Step.WAIT, node.name, f"{node.number}: {because}"),))


def _missing(seen: Seen, others: Collection[str]) -> list[str]:
    """Those of the other nodes that are not there with all their data."""
    there = {node.name for node in seen.nodes if node.alive and node.storage == HAS_DATA and node.metadata == MEMBER}
    return sorted(set(others) - there)


def _all_steps(seen: Seen, lost: Node) -> tuple[Action, ...]:
    """Nothing may need the old number before it goes. That it never held anything is said as late as can be."""
    logs = tuple(sorted(log for log, nodes in seen.logs.items() if lost.number in nodes))
    steps = []
    if lost.metadata == MEMBER:
        steps.append(Action(Step.LEAVE, lost.number, "metadata is agreed on without it"))
    if logs:
        steps.append(Action(Step.RECONFIGURE, lost.number, "nothing more is written to it", logs))
    if lost.storage != DISABLED:
        because = "every partition gets a snapshot, and what is older than that is not looked for on it"
        steps.append(Action(Step.DISABLE, lost.number, because))
    steps.append(Action(Step.REMOVE, lost.number, f"{lost.name} may come with a new number"))
    return (*steps, *_come_back(lost.name))


def _come_back(name: str) -> tuple[Action, ...]:
    return (
        Action(Step.EMPTY, name, "it starts again at once, without what its failed starts have left"),
        Action(Step.WAIT, name, "it joins with a new number, and reads its partitions from their snapshots"),
    )


def _may_have_data(node: Node) -> str:
    return (
        f"{node.name} ({node.number}) is away, and nobody knows that it has lost its data (its storage is "
        f"{node.storage}): let it start. If its volume is gone for good, {_forget(node)}: on an empty volume it finds "
        "out, and ends. Then repeat this"
    )


def _forget(node: Node) -> str:
    commands = f"kubectl delete pvc data-{node.name} --wait=false; kubectl delete pod {node.name}"
    return f"delete its claim and its pod ({commands}; if its host is off for good, with --grace-period=0 --force)"
