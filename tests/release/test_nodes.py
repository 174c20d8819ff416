"""How a node of Restate that lost its volume is replaced: which step is next, and when none is taken."""

import json
from collections.abc import Iterator
from dataclasses import replace as but
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from app.release import cli
from app.release.nodes import HAS_DATA, LOST, MEMBER, Node, Plan, Processor, Seen, Step, plan
from app.release.replacing import look, replace
from app.release.restate_admin import UnknownError
from app.release.rounds import NotDoneError

NAMES = ("restate-0", "restate-1", "restate-2")
FIRST, SECOND, THIRD = (Node(name, f"N{3 - number}", True, HAS_DATA, MEMBER) for number, name in enumerate(NAMES))
"""The numbers are not those of the pods: N1 is the third."""
ALL = frozenset({"N1", "N2", "N3"})
DEAD = but(THIRD, alive=False, storage="data-loss")
STORAGE = ("read-write", "read-only", "provisioning", "data-loss", "disabled", "gone")
METADATA = ("member", "standby", "provisioning")


def seen(*nodes: Node, logs: dict[int, frozenset[str]] | None = None, **of_it: Any) -> Seen:
    return Seen(nodes, {0: ALL, 1: ALL - {"N1"}, 2: ALL} if logs is None else logs, **of_it)


def steps(made: Plan) -> list[Step]:
    return [action.do for action in made.actions]


def test_all_steps_in_the_order_in_which_nothing_needs_what_goes() -> None:
    made = plan(seen(FIRST, SECOND, DEAD), "restate-2", NAMES)

    assert steps(made) == [Step.LEAVE, Step.RECONFIGURE, Step.DISABLE, Step.REMOVE, Step.EMPTY, Step.WAIT]
    assert [action.node for action in made.actions] == ["N1"] * 4 + ["restate-2"] * 2
    assert made.actions[1].logs == (0, 2), "only those that are written to it"


@pytest.mark.parametrize(
    ("node", "logs", "left"),
    [
        (but(DEAD, metadata="standby"), {0: ALL}, ["reconfigure", "disable", "remove", "empty", "wait"]),
        (but(DEAD, metadata="standby"), {0: ALL - {"N1"}}, ["disable", "remove", "empty", "wait"]),
        (but(DEAD, metadata="standby", storage="disabled"), {0: ALL - {"N1"}}, ["remove", "empty", "wait"]),
        (but(DEAD, storage="disabled"), {0: ALL}, ["leave", "reconfigure", "remove", "empty", "wait"]),
        (but(DEAD, storage="gone"), {0: ALL - {"N1"}}, ["leave", "disable", "remove", "empty", "wait"]),
        (but(DEAD, metadata="provisioning"), {0: ALL - {"N1"}}, ["disable", "remove", "empty", "wait"]),
        (None, {0: ALL - {"N1"}}, ["empty", "wait"]),
    ],
    ids=[
        "left",
        "nothing is written to it",
        "disabled",
        "disabled by hand",
        "gone",
        "never a metadata server",
        "removed",
    ],
)
def test_what_is_done_is_not_done_again(node: Node | None, logs: dict[int, frozenset[str]], left: list[str]) -> None:
    there = (FIRST, SECOND, node) if node else (FIRST, SECOND)

    assert steps(plan(seen(*there, logs=logs), "restate-2", NAMES)) == left


JOINED = Node("restate-2", "N4", True, HAS_DATA, MEMBER)
FOLLOWS = Processor(0, "N4", leads=False, active=True)


@pytest.mark.parametrize(
    ("node", "processors", "because"),
    [
        (None, (), "it joins with a new number"),
        (but(JOINED, alive=False), (), "it joins with a new number"),
        (but(JOINED, storage="provisioning"), (), "its storage is provisioning"),
        (but(JOINED, metadata="provisioning"), (FOLLOWS,), "no metadata server yet"),
        (JOINED, (), "no partition yet"),
        (JOINED, (Processor(0, "N3", leads=True, active=True),), "no partition yet"),
        (JOINED, (FOLLOWS, Processor(5, "N4", leads=True, active=False)), "still reads partitions 5"),
    ],
    ids=["not there", "not alive", "no storage", "no metadata", "no partition", "another's", "it reads"],
)
def test_a_node_that_was_started_anew_is_waited_for(
    node: Node | None, processors: tuple[Processor, ...], because: str
) -> None:
    there = (FIRST, SECOND, node) if node else (FIRST, SECOND)

    made = plan(seen(*there, processors=processors), "restate-2", NAMES, emptied=True)

    assert steps(made) == [Step.WAIT]
    assert because in made.actions[0].because


def test_a_node_that_joined_on_what_was_left_and_lost_it_again_is_replaced_again() -> None:
    made = plan(seen(FIRST, SECOND, but(DEAD, number="N4", metadata="provisioning")), "restate-2", NAMES, emptied=True)

    assert steps(made) == [Step.DISABLE, Step.REMOVE, Step.EMPTY, Step.WAIT]
    assert {action.node for action in made.actions[:2]} == {"N4"}


def test_a_node_is_emptied_right_after_it_was_removed() -> None:
    machine = Machine()
    ask, looks = machine.restatectl, []

    def asked(*arguments: str) -> str:
        if arguments[0] == "sql" and machine.asked[-1:] == ["nodes remove --nodes N1"]:
            looks.append(arguments)
        return ask(*arguments)

    machine.restatectl = asked  # type: ignore[method-assign]
    replaced(machine)

    assert machine.asked == DONE
    assert looks == [], "before it was emptied"


def test_a_node_that_is_alive_with_its_data_and_partitions_is_left_alone() -> None:
    leads = Processor(1, "N4", leads=True, active=True)

    made = plan(seen(FIRST, SECOND, JOINED, processors=(FOLLOWS, leads)), "restate-2", NAMES)

    assert made == Plan(
        done="restate-2 is N4: alive, with its data, a metadata server; it leads 1 partitions and follows 1"
    )


@pytest.mark.parametrize("storage", [each for each in STORAGE if each not in LOST])
def test_a_node_that_may_have_its_data_is_refused_with_what_to_do(storage: str) -> None:
    made = plan(seen(FIRST, SECOND, but(DEAD, storage=storage)), "restate-2", NAMES)

    assert made.actions == ()
    assert f"its storage is {storage}" in made.refused
    assert "let it start" in made.refused
    assert "kubectl delete pvc data-restate-2" in made.refused


@pytest.mark.parametrize(
    "second",
    [but(SECOND, alive=False), but(SECOND, storage="data-loss"), but(SECOND, metadata="standby"), None],
    ids=["away", "lost", "no metadata server", "not there"],
)
def test_nothing_is_taken_while_another_node_may_hold_the_only_copy(second: Node | None) -> None:
    others = (FIRST, second) if second else (FIRST,)

    for there in ((*others, DEAD), others):
        made = plan(seen(*there), "restate-2", NAMES)

        assert made.actions == ()
        assert "restate-1 is away, too" in made.refused


def test_a_name_that_is_none_is_refused_with_those_there_are() -> None:
    made = plan(seen(FIRST, SECOND, DEAD), "N1", NAMES)

    assert made.refused == "there is no node N1, but restate-0, restate-1, restate-2"


def test_a_single_node_is_refused() -> None:
    made = plan(seen(but(FIRST, alive=False, storage="data-loss")), "restate-0", NAMES[:1])

    assert "comes back from a backup" in made.refused


@st.composite
def looks(draw: st.DrawFn) -> Seen:
    there = draw(st.lists(st.sampled_from(NAMES), unique=True))
    nodes = [
        Node(name, f"N{number}", draw(st.booleans()), draw(st.sampled_from(STORAGE)), draw(st.sampled_from(METADATA)))
        for number, name in enumerate(draw(st.permutations(there)), 1)
    ]
    numbers = st.sampled_from(["N1", "N2", "N3"])
    processor = st.builds(Processor, st.integers(0, 5), numbers, st.booleans(), st.booleans())
    logs = draw(st.dictionaries(st.integers(0, 5), st.frozensets(numbers, min_size=2)))
    return Seen(tuple(nodes), logs, tuple(draw(st.lists(processor))))


@given(looks(), st.sampled_from(NAMES), st.booleans())
def test_no_step_is_planned_that_could_lose_data(look: Seen, name: str, emptied: bool) -> None:
    made = plan(look, name, NAMES, emptied)

    assert sum(map(bool, (made.actions, made.done, made.refused))) == 1
    if set(steps(made)) - {Step.WAIT}:
        others = [node for node in look.nodes if node.name != name]
        node = look.named(name)
        assert [(each.alive, each.storage) for each in others] == [(True, HAS_DATA)] * 2
        assert node is None or (not node.alive and node.storage in LOST)
        assert steps(made) == sorted(steps(made), key=list(Step).index)


class Machine:
    """A cluster of which one node has lost its volume: its tool, as far as it is used, on what there is."""

    def __init__(self, **fails: int) -> None:
        self.nodes = {each.name: each for each in (FIRST, SECOND, DEAD)}
        self.logs = {0: ALL, 1: ALL - {"N1"}}
        self.fails = fails
        """How often each command fails, by its last word but for options."""
        self.asked: list[str] = []
        self.joins_in = 2
        """Looks until the node that was started has joined."""

    def restatectl(self, *arguments: str) -> str:
        command = " ".join(arguments)
        if arguments[0] == "sql":
            return "\n".join(self._table(arguments[2]))
        self.asked.append(command)
        word = arguments[1].replace("-", "_")
        if self.fails.get(word, 0):
            self.fails[word] -= 1
            raise UnknownError(f"{command} failed")
        return self._done(word, arguments[2:])

    def _done(self, word: str, arguments: tuple[str, ...]) -> str:
        lost = self.nodes.get("restate-2")
        match word:
            case "remove_node":
                assert lost
                assert arguments == (lost.number,)
                self.nodes["restate-2"] = but(lost, metadata="standby")
            case "reconfigure":
                self.logs[int(arguments[1])] -= {"N1"}
            case "create_snapshot":
                return "Snapshot created for partition 0: snap_1\nSnapshot created for partition 1: snap_2\n"
            case "set_storage_state":
                assert lost
                assert arguments[1] == lost.number
                self.nodes["restate-2"] = but(lost, storage=arguments[3])
            case "remove":
                del self.nodes["restate-2"]
            case _:
                raise AssertionError(word)
        return ""

    def _table(self, sql: str) -> Iterator[str]:
        if "from nodes" in sql:
            if "start" in self.asked and "restate-2" not in self.nodes:
                self.joins_in -= 1
                if self.joins_in <= 0:
                    self.nodes["restate-2"] = JOINED
            for node in self.nodes.values():
                state = "alive" if node.alive else "dead"
                told = {"name": node.name, "plain_node_id": node.number, "state": state}
                yield json.dumps(told | {"storage_state": node.storage, "metadata_server_state": node.metadata})
        elif "from logs" in sql:
            for log, nodes in self.logs.items():
                yield json.dumps({"log_id": log, "nodeset": f"[{', '.join(sorted(nodes))}]"})
        elif "from partition_state" in sql:
            where = {"partition_id": 0, "plain_node_id": "N4"}
            yield json.dumps(where | {"replay_status": "active", "effective_mode": "Leader"})
        else:
            yield from (json.dumps({"partition_id": number}) for number in range(2))

    def start_empty(self, name: str) -> None:
        assert name not in self.nodes, "it is still part of the cluster"
        self.asked.append("start")

    def trouble(self, name: str) -> str:
        return "ImagePullBackOff: no such image"

    def names(self) -> frozenset[str]:
        return frozenset(NAMES)


DONE = [
    "metadata-server remove-node N1",
    "logs reconfigure --log-id 0",
    "snapshots create-snapshot",
    "nodes set-storage-state --nodes N1 --storage-state disabled --force",
    "nodes remove --nodes N1",
    "start",
]


def replaced(machine: Machine, deadline: float = 60) -> list[str]:
    told: list[str] = []
    ended = replace(machine, "restate-2", NAMES, deadline, told.append, lambda seconds: None)
    return [*told, ended.ended]


def test_a_lost_node_is_back_after_all_steps() -> None:
    machine = Machine()

    told = replaced(machine)

    assert machine.asked == DONE
    assert told[0] == "leave N1: metadata is agreed on without it"
    assert told[1] == "reconfigure N1 in logs 0: nothing more is written to it"
    assert "restate-2 is N4: alive" in told[-1]


@pytest.mark.parametrize("word", ["remove_node", "reconfigure", "create_snapshot", "set_storage_state", "remove"])
def test_a_step_that_fails_is_tried_again_and_none_is_skipped(word: str) -> None:
    machine = Machine(**{word: 2})

    told = replaced(machine)

    assert list(dict.fromkeys(machine.asked)) == DONE
    assert sum("failed, and is tried again" in line for line in told) == 2


@pytest.mark.parametrize("done", range(len(DONE)))
def test_a_replacement_that_was_interrupted_goes_on_where_it_was(done: int) -> None:
    machine = Machine()

    def interrupt(line: str) -> None:
        if len(machine.asked) >= done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(machine, "restate-2", NAMES, 60, interrupt, lambda seconds: None)
    before = len(machine.asked)
    machine.joins_in = 2
    replaced(machine)

    assert before >= done
    assert list(dict.fromkeys(machine.asked)) == DONE
    assert machine.asked.count("nodes remove --nodes N1") == 1


def test_a_node_that_does_not_come_back_is_named_with_why_at_the_deadline() -> None:
    machine = Machine()
    machine.joins_in = 10**9

    with pytest.raises(NotDoneError) as refused:
        replaced(machine, deadline=0.2)

    assert "restate-2 is not back after 0 s" in str(refused.value)
    assert "ImagePullBackOff" in str(refused.value)
    assert "Repeat this to go on" in str(refused.value)


def test_a_storage_is_not_disabled_while_a_partition_has_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    done = machine._done
    said = "Snapshot created for partition 0: snap_1"
    monkeypatch.setattr(machine, "_done", lambda word, rest: said if word == "create_snapshot" else done(word, rest))

    with pytest.raises(NotDoneError, match="no snapshot was made of partitions 1: is the store there"):
        replaced(machine, deadline=0.2)

    assert not any("set-storage-state" in command for command in machine.asked)


def test_no_step_is_taken_on_what_was_seen_before_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    ask, silent = machine.restatectl, iter([True] * 3)

    def asked(*arguments: str) -> str:
        if arguments[0] == "sql" and "start" in machine.asked and next(silent, False):
            raise UnknownError("no answer")
        return ask(*arguments)

    monkeypatch.setattr(machine, "restatectl", asked)
    replaced(machine)

    assert machine.asked == DONE


def test_a_node_that_joins_is_waited_for_while_another_one_is_away() -> None:
    made = plan(seen(FIRST, but(SECOND, alive=False)), "restate-2", NAMES, emptied=True)

    assert steps(made) == [Step.WAIT]


def test_what_happens_to_another_node_on_the_way_ends_it() -> None:
    machine = Machine()

    def breaks(line: str) -> None:
        if line.startswith("reconfigure"):
            machine.nodes["restate-1"] = but(SECOND, alive=False)

    with pytest.raises(NotDoneError, match="restate-1 is away, too"):
        replace(machine, "restate-2", NAMES, 60, breaks, lambda seconds: None)

    assert not any("set-storage-state" in command for command in machine.asked)


@pytest.mark.parametrize("table", ["nodes", "logs_tail_segments", "partition_state"])
def test_an_answer_that_is_not_what_we_know_is_none(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    ask = machine.restatectl
    strange = '{"something": "else"}'
    monkeypatch.setattr(machine, "restatectl", lambda *words: strange if f" {table}" in words[2] else ask(*words))

    with pytest.raises(UnknownError, match="not what we know"):
        look(machine)


def test_a_look_that_sees_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    monkeypatch.setattr(machine, "restatectl", lambda *words: "")

    with pytest.raises(UnknownError, match="not provisioned"):
        look(machine)


def command(machine: Machine, monkeypatch: pytest.MonkeyPatch, *options: str) -> Any:
    class Release:
        cluster = None

    monkeypatch.setattr(cli, "RestatePods", lambda cluster: machine)
    group = cli.main.commands["node"]
    return CliRunner().invoke(group, ["replace", *options], obj=Release)


def test_a_dry_run_names_all_steps_and_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()

    text = command(machine, monkeypatch, "restate-2", "--dry-run").stdout.splitlines()
    told = json.loads(command(machine, monkeypatch, "restate-2", "--dry-run", "--output=json").stdout)

    assert [line.split()[1] for line in text] == [step.value for step in Step]
    assert [step["do"] for step in told["steps"]] == [step.value for step in Step]
    assert told["steps"][1]["logs"] == [0]
    assert machine.asked == []


def test_a_command_tells_its_steps_and_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    ended = command(Machine(), monkeypatch, "restate-2", "--output=json")
    refused = command(Machine(), monkeypatch, "restate-7")

    told = json.loads(ended.stdout)
    assert [step["do"] for step in told["steps"]] == ["leave", "reconfigure", "disable", "remove", "empty"]
    assert told["ended"].startswith("restate-2 is N4")
    assert "leave N1" in ended.stderr
    assert isinstance(refused.exception, NotDoneError)


def test_a_dry_run_of_a_node_that_is_well_has_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    machine.nodes["restate-2"] = JOINED

    ended = command(machine, monkeypatch, "restate-2", "--dry-run")

    assert ended.stdout.startswith("plan: nothing to do; restate-2 is N4")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "there is no Restate of such a release here: --name and --namespace say which release is meant"),
        (NAMES[:1], "there is no node restate-2, but restate-0"),
        ((NAMES[2],), "restate-2 has no other nodes that could go on without it"),
    ],
    ids=["no such release", "no such node", "a single node"],
)
def test_what_cannot_be_replaced_is_told_though_no_node_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], said: str
) -> None:
    machine = Machine()

    def nobody(*words: str) -> str:
        raise UnknownError("no pod of Restate is ready")

    monkeypatch.setattr(machine, "names", lambda: frozenset(names))
    monkeypatch.setattr(machine, "restatectl", nobody)

    for options in ((), ("--dry-run",)):
        assert said in str(command(machine, monkeypatch, "restate-2", *options).exception)


@pytest.mark.parametrize("seconds", ["nan", "-1", "inf"])
def test_a_deadline_that_never_comes_is_refused(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    machine = Machine()

    refused = command(machine, monkeypatch, "restate-2", f"--deadline={seconds}")

    assert (refused.exit_code, machine.asked) == (2, [])
    assert "--deadline" in refused.stderr


def test_the_deadline_is_told_though_kubernetes_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    machine.joins_in = 10**9

    def silent(name: str) -> str:
        raise UnknownError("Kubernetes does not answer")

    monkeypatch.setattr(machine, "trouble", silent)

    with pytest.raises(NotDoneError, match="restate-2 is not back after 0 s"):
        replaced(machine, deadline=0.2)
