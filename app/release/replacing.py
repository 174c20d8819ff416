"""`release node replace`: look at Restate's nodes, plan, take the first step, and again, until the node is back."""

import json
import re
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from app.release.nodes import Action, Node, Plan, Processor, Seen, Step, plan
from app.release.restate_admin import UnknownError
from app.release.rounds import NotDoneError, Tell

POLL_SECONDS = 1.0

_NODES = "select name, plain_node_id, state, storage_state, metadata_server_state from nodes"
_LOGS = "select log_id, nodeset from logs_tail_segments"
_PROCESSORS = "select partition_id, plain_node_id, effective_mode, replay_status from partition_state"


class Machine(Protocol):
    """Where the nodes run."""

    def restatectl(self, *arguments: str) -> str:
        """What Restate's own tool says, asked at a node that lives. UnknownError if it fails."""

    def start_empty(self, name: str) -> None:
        """Empty the volume of a node that is not part of the cluster, and start it."""

    def trouble(self, name: str) -> str:
        """Why a node does not start; empty if that is not known."""


@dataclass(frozen=True)
class Replaced:
    """What was done, and how it ended."""

    did: tuple[Action, ...]
    ended: str


def replace(
    machine: Machine,
    name: str,
    names: Collection[str],
    deadline_seconds: float,
    tell: Tell,
    pause: Callable[[float], None] = time.sleep,
) -> Replaced:
    """Take the steps that are left, one by one, each from a new look.

    NotDoneError where that would lose data, or if the node is not back by the deadline. Whatever failed on the way is
    tried again until then; the next look tells what is left of it.
    """
    until = time.monotonic() + deadline_seconds
    did: list[Action] = []

    def go_on(because: str) -> None:
        """Wait for a moment, if there is time."""
        if time.monotonic() > until:
            why = "; ".join(filter(None, (because, _trouble(machine, name))))
            raise NotDoneError(f"{name} is not back after {deadline_seconds:.0f} s: {why}. Repeat this to go on")
        pause(POLL_SECONDS)

    seen = look(machine)
    while True:
        made = plan(seen, name, names, any(action.do is Step.EMPTY for action in did))
        if made.refused:
            raise NotDoneError(made.refused)
        if made.done:
            return Replaced(tuple(did), made.done)
        if problem := _take(machine, _next(made), did, tell):
            tell(f"failed, and is tried again: {problem}")
        if problem or made.actions[0].do is Step.WAIT:
            go_on(problem or made.actions[0].because)
        while isinstance(again := _look(machine), str):
            go_on(again)
        seen = again


def _trouble(machine: Machine, name: str) -> str:
    """What Kubernetes says of the pod, if it says anything now."""
    try:
        return machine.trouble(name)
    except UnknownError:
        return ""


def _take(machine: Machine, actions: Collection[Action], did: list[Action], tell: Tell) -> str:
    """Take these steps, and note them; why one failed, or nothing."""
    try:
        for action in actions:
            tell(said(action))
            carry_out(machine, action)
            if action.do is not Step.WAIT:
                did.append(action)
    except UnknownError as error:
        return str(error)
    return ""


def _look(machine: Machine) -> Seen | str:
    """Look; or why that was not possible now. No step is taken on what was seen before the last one."""
    try:
        return look(machine)
    except UnknownError as error:
        return str(error)


def _next(made: Plan) -> tuple[Action, ...]:
    """The steps until the next look. A start between these two would join on what failed starts have left."""
    return made.actions[: 2 if made.actions[0].do is Step.REMOVE else 1]


def look(machine: Machine) -> Seen:
    """See nodes, logs and partitions. UnknownError if one of them is not told whole."""
    try:
        nodes = tuple(map(_node, _rows(machine, _NODES)))
        logs = {int(row["log_id"]): frozenset(re.findall(r"N\d+", row["nodeset"])) for row in _rows(machine, _LOGS)}
        processors = tuple(map(_processor, _rows(machine, _PROCESSORS)))
    except (KeyError, TypeError, ValueError) as error:
        raise UnknownError(f"an answer of restatectl is not what we know: {error!r}") from error
    if not nodes or not logs:
        raise UnknownError("restatectl names no nodes, or no logs: the cluster is not provisioned")
    return Seen(nodes, logs, processors)


def carry_out(machine: Machine, action: Action) -> None:
    """Take a step."""
    ask = machine.restatectl
    match action.do:
        case Step.LEAVE:
            ask("metadata-server", "remove-node", action.node)
        case Step.RECONFIGURE:
            for log in action.logs:
                ask("logs", "reconfigure", "--log-id", str(log))
        case Step.DISABLE:
            _snapshot_all(machine)
            ask("nodes", "set-storage-state", "--nodes", action.node, "--storage-state", "disabled", "--force")
        case Step.REMOVE:
            ask("nodes", "remove", "--nodes", action.node)
        case Step.EMPTY:
            machine.start_empty(action.node)
        case Step.WAIT:
            pass


def _snapshot_all(machine: Machine) -> None:
    """Have a snapshot made of every partition. The tool ends with 0 if some were not."""
    wanted = {int(row["partition_id"]) for row in _rows(machine, "select partition_id from partitions")}
    made = {
        int(number) for number in re.findall(r"partition (\d+)", machine.restatectl("snapshots", "create-snapshot"))
    }
    if missing := sorted(wanted - made):
        raise UnknownError(f"no snapshot was made of partitions {', '.join(map(str, missing))}: is the store there?")


def said(action: Action) -> str:
    """A step as one reads it."""
    logs = f" in logs {', '.join(map(str, action.logs))}" if action.logs else ""
    return f"{action.do} {action.node}{logs}: {action.because}"


def as_json(name: str, actions: Collection[Action], ended: str) -> str:
    """The steps, and how it ended, for machines."""
    steps = [{"do": each.do, "node": each.node, "logs": each.logs, "because": each.because} for each in actions]
    return json.dumps({"node": name, "steps": steps, "ended": ended})


def as_lines(made: Plan) -> Iterator[str]:
    """A plan, for people."""
    for action in made.actions:
        yield f"plan: {said(action)}"
    if made.done:
        yield f"plan: nothing to do; {made.done}"


def _rows(machine: Machine, sql: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in machine.restatectl("sql", "--jsonl", sql).splitlines() if line.strip()]


def _node(row: dict[str, Any]) -> Node:
    alive = row["state"] == "alive"
    return Node(row["name"], row["plain_node_id"], alive, row["storage_state"], row["metadata_server_state"])


def _processor(row: dict[str, Any]) -> Processor:
    leads = row["effective_mode"].lower() == "leader"
    return Processor(int(row["partition_id"]), row["plain_node_id"], leads, row["replay_status"] == "active")
