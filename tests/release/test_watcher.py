"""What the watch does to a release: against a namespace in memory, and pods that answer what a test says."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace as Thing
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from app.release import history, rounds, watcher
from app.release.cluster import DEPLOYED, OVERRIDE, TAKEN_BACK, AnchorGoneError, Cluster
from app.release.evidence import BOOKS_PORT, Collector
from app.release.notebook import WATCH, Notebook
from app.release.plan import Observed, Plan, Restate, plan
from app.release.restate_admin import UnknownError
from app.release.rounds import NotDoneError, Release
from app.release.watcher import Watcher, refuse_what_was_taken_back
from app.release.watching import Outcome, Troubled
from tests.release.plans import BOTH, V1, V2, deployment, routed_to, version

BALANCED = "betting_books_balanced 1.0\nbetting_books_timestamp_seconds {at}\n"
TOOK = 'betting_handler_duration_seconds_bucket{{handler="placeBet",le="{le}",service="PlayerService"}} {count}\n'
ATTEMPTS = 'betting_handler_attempts_total{{handler="placeBet",outcome="{outcome}",service="PlayerService"}} {count}\n'


def numbers(done: int, failed: int = 0) -> str:
    return ATTEMPTS.format(outcome="done", count=done) + ATTEMPTS.format(outcome="failed", count=failed)


def took(fast: int, slow: int) -> str:
    """Attempts of up to 0.1 s, and of more than a second."""
    bounds = {"0.1": fast, "1.0": fast, "+Inf": fast + slow}
    return numbers(fast + slow) + "".join(TOOK.format(le=le, count=count) for le, count in bounds.items())


class Api:
    """The anchor, the history, the pods and the Events of a namespace."""

    def __init__(self) -> None:
        self.data = {"current": "v1", "images": "{}", "revision": "1"}
        self.notes: dict[str, str] = {DEPLOYED: "1"}
        self.entries: dict[str, str] = {}
        self.version = 1
        self.faster = 0
        """How often somebody else changes the history first."""
        self.events: list[Any] = []
        self.crashed: dict[str, Any] = {}
        self.gone: set[str] = set()
        self.meanwhile: Callable[[], None] | None = None
        """What somebody else does to the anchor before the next change that goes by what it read there."""

    def read_namespaced_config_map(self, name: str, namespace: str, **_: object) -> Any:
        if name in self.gone:
            raise ApiException(status=404)
        meta = Thing(name=name, annotations=self.notes or None, resource_version=str(self.version))
        return Thing(metadata=meta, data=self.entries if name.endswith("-history") else self.data)

    def patch_namespaced_config_map(self, name: str, namespace: str, change: Any, **_: object) -> None:
        if name.endswith("-history"):
            if self.faster or change["metadata"]["resourceVersion"] != str(self.version):
                self.faster -= 1
                self.version += 1
                raise ApiException(status=409)
            self.entries |= change["data"]
            self.version += 1
            return
        if self.meanwhile and "resourceVersion" in change["metadata"]:
            done, self.meanwhile = self.meanwhile, None
            done()
            raise ApiException(status=409)
        for key, value in change["metadata"]["annotations"].items():
            if value is None:
                self.notes.pop(key, None)
            else:
                self.notes[key] = value

    def list_namespaced_pod(self, namespace: str, label_selector: str, **_: object) -> Any:
        labels = dict(label.split("=") for label in label_selector.split(","))
        name = labels.get("betting/version") or labels["app.kubernetes.io/component"]
        container = Thing(
            last_state=Thing(terminated=self.crashed.get(name)),
            state=Thing(waiting=Thing(reason="CrashLoopBackOff") if name in self.crashed else None),
            restart_count=2 if name in self.crashed else 0,
        )
        ready = "False" if name in self.crashed else "True"
        conditions = [Thing(type="Ready", status=ready)]
        status = Thing(pod_ip=name, conditions=conditions, container_statuses=[container])
        return Thing(items=[Thing(metadata=Thing(name=f"{name}-pod", deletion_timestamp=None), status=status)])

    def create_namespaced_event(self, namespace: str, event: Any, **_: object) -> None:
        if any(made.metadata.name == event.metadata.name for made in self.events):
            raise ApiException(status=409)
        self.events.append(event)


class Admin:
    """What Restate says of unfinished work."""

    work: tuple[Troubled, ...] | None = ()

    def troubled(self, deployment: str) -> tuple[Troubled, ...]:
        assert deployment in ("dp_v2", "dp_v3")
        if self.work is None:
            raise UnknownError("Restate says nothing")
        return self.work


class Situation:
    """A release in memory: where new work goes, what pods answer, and a clock."""

    def __init__(self) -> None:
        self.api = Api()
        self.routed = "v1"
        self.now = 10_000.0
        self.numbers = {"v1": numbers(2_000), "v2": numbers(0), "v3": numbers(0)}
        self.books = BALANCED.format(at=9_990)
        self.restate = Admin()
        self.can_go_back = True
        self.said: list[str] = []
        self.cluster = Cluster.__new__(Cluster)
        vars(self.cluster).update(_namespace="shop", _release="betting", _core=self.api)
        self.release = Release(self.cluster, self.restate)  # type: ignore[arg-type]
        self.notebook = Notebook(self.cluster)
        self.seconds = 120.0

    def scraped(self, address: str, port: int) -> str:
        if port == BOOKS_PORT:
            return self.books
        if address not in self.numbers:
            raise UnknownError(f"no numbers of {address}")
        return self.numbers[address]

    def started(self) -> Collector:
        """What a loop that has just started asks: it remembers nothing."""
        return Collector(self.notebook, self.release.restate, books=True, scrape=self.scraped)

    def look(self, collector: Collector | None = None) -> Outcome:
        """One look, by a loop that has just started if it is not said by which."""
        collector = collector or self.started()
        loop = Watcher(self.release, self.notebook, collector, self.seconds, self.said.append, lambda: self.now)
        with self.going_back():
            return loop.look(self.plan()).outcome

    @contextmanager
    def going_back(self) -> Iterator[None]:
        """What `choose` does, without waiting: it is tried where `rollback` is."""

        def choose(release: Release, version: str, deadline_seconds: float, tell: object) -> None:
            if not self.can_go_back:
                raise NotDoneError(f"{version} is not live after 60 s")
            self.cluster.decide(self.cluster.intent().choosing(version))
            self.routed = version

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(watcher, "choose", choose)
            yield

    def plan(self, **_: object) -> Plan:
        intent = self.cluster.intent()
        versions = tuple(
            replace(each, taken_back=intent.taken_back.get(each.name, "")) for each in (V1, V2, version("v3"))
        )
        known = Restate((*BOTH, deployment("v3")), routed_to(self.routed))
        return plan(Observed(versions, intent.wanted, known))

    def round(self) -> None:
        """One round of the loop, as far as it concerns what is wanted."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(self.release, "plan", self.plan)
            patched.setattr(self.release, "carry_out", lambda *_: None)
            patched.setattr(Cluster, "adopt", lambda _: None)
            patched.setattr(rounds, "Stage", lambda _: Thing(clear=lambda: None))
            rounds.one_round(self.release, frozenset(), self.said.append)

    def history(self) -> list[tuple[str, str, str]]:
        return [(e.version, str(e.event), e.by) for e in history.read(self.notebook.history())]

    def ship(self, version: str) -> None:
        self.api.data = {"current": version, "images": "{}", "revision": str(int(self.api.data["revision"]) + 1)}
        if self.cluster.intent().wanted == version:
            self.routed = version


@pytest.fixture
def shipped() -> Situation:
    """v1 has served, and v2 has just gone live."""
    situation = Situation()
    assert situation.look() is Outcome.UNWATCHED
    assert situation.look() is Outcome.UNWATCHED
    situation.ship("v2")
    assert situation.look() is Outcome.WATCHING
    situation.books = BALANCED.format(at=situation.now + 120)
    return situation


def later(situation: Situation, seconds: float) -> Outcome:
    situation.now += seconds
    return situation.look()


def test_a_version_that_does_as_well_as_the_one_before_ends_its_window_as_good(shipped: Situation) -> None:
    shipped.numbers["v2"] = numbers(300, 1)

    assert later(shipped, 60) is Outcome.WATCHING
    assert later(shipped, 61) is Outcome.GOOD
    assert later(shipped, 5) is Outcome.GOOD
    assert shipped.history() == [
        ("v1", "live", "the values, revision 1"),
        ("v2", "live", "the values, revision 2"),
        ("v2", "watched", "watch"),
    ]


def test_a_version_that_fails_is_taken_back_and_everybody_is_told(shipped: Situation) -> None:
    shipped.numbers["v2"] = numbers(80, 20)

    assert later(shipped, 10) is Outcome.BAD

    assert shipped.routed == "v1"
    assert json.loads(shipped.api.notes[OVERRIDE]) == {"version": "v1", "instead_of": "v2"}
    because = shipped.cluster.intent().taken_back["v2"]
    assert because.startswith("PlayerService/placeBet: 20 of 100 attempts failed")
    [event] = shipped.api.events
    assert (event.type, event.reason, event.involved_object.name) == ("Warning", "TakenBack", "betting-v2")
    assert because in event.message
    assert later(shipped, 5) is Outcome.UNWATCHED
    assert shipped.history()[-2:] == [("v2", "taken back", "watch"), ("v1", "live", "the watch")]


def test_a_version_that_is_slow_is_taken_back_once_it_was_slow_between_two_looks(shipped: Situation) -> None:
    shipped.numbers |= {"v1": took(2_000, 0), "v2": took(0, 30)}
    loop = shipped.started()

    assert shipped.look(loop) is Outcome.WATCHING
    shipped.numbers["v2"] = took(0, 60)

    assert shipped.look() is Outcome.WATCHING, "a loop that has just started knows of no time between"
    assert shipped.look(loop) is Outcome.BAD


def test_what_one_version_did_is_none_of_the_next_ones(shipped: Situation) -> None:
    shipped.numbers |= {"v1": took(2_000, 0), "v2": took(30, 0), "v3": took(0, 60)}
    loop = shipped.started()
    assert shipped.look(loop) is Outcome.WATCHING

    shipped.ship("v3")

    assert shipped.look(loop) is Outcome.WATCHING
    assert shipped.look(loop) is Outcome.WATCHING, "they were slow all at once"


@pytest.mark.parametrize("proof", ["work", "crash", "books"])
def test_each_proof_takes_a_version_back(shipped: Situation, proof: str) -> None:
    if proof == "work":
        shipped.restate.work = (Troubled("PlayerService/placeBet", "paused", 1, 0),)
    elif proof == "crash":
        ended = Thing(
            finished_at=datetime.fromtimestamp(shipped.now + 5, UTC), message="no\nKeyError: 'odds'", reason=""
        )
        shipped.api.crashed["v2"] = ended
    else:
        shipped.books = shipped.books.replace("balanced 1.0", "balanced 0.0")

    assert later(shipped, 15) is Outcome.BAD

    told = {"work": "are paused", "crash": "pod v2-pod has crashed 2 times: KeyError: 'odds'", "books": "the books"}
    assert told[proof] in shipped.cluster.intent().taken_back["v2"]
    assert shipped.routed == "v1"


def test_a_loop_that_ends_on_the_way_back_goes_on_when_it_starts_again(shipped: Situation) -> None:
    shipped.numbers["v2"] = numbers(80, 20)
    shipped.can_go_back = False
    later(shipped, 10)
    assert shipped.routed == "v2"
    assert Watcher(shipped.release, shipped.notebook, None, 120, print).kept() == {"v1"}  # type: ignore[arg-type]
    assert "still takes new work" in shipped.said[-1]

    shipped.can_go_back = True
    later(shipped, 5)

    assert shipped.routed == "v1"
    assert len(shipped.api.events) == 1
    assert [entry[1] for entry in shipped.history()].count("taken back") == 1


def test_what_helm_is_to_go_back_to_is_the_last_revision_of_the_version_before(shipped: Situation) -> None:
    shipped.api.notes[DEPLOYED] = "2"  # as the registration has noted
    shipped.numbers["v2"] = numbers(80, 20)

    later(shipped, 10)

    assert shipped.api.notes[DEPLOYED] == "1"


def test_the_same_key_is_refused_from_then_on_and_a_new_one_is_watched(shipped: Situation) -> None:
    shipped.numbers["v2"] = numbers(80, 20)
    later(shipped, 10)
    later(shipped, 5)

    shipped.ship("v2")
    with pytest.raises(NotDoneError, match=r"v2 was taken back .* new key: .*20 of 100.*v1 takes all new work"):
        refuse_what_was_taken_back(shipped.release)
    assert shipped.look() is Outcome.UNWATCHED

    shipped.ship("v1")
    refuse_what_was_taken_back(shipped.release)


def chosen(situation: Situation, version: str) -> None:
    """An operator's choice."""
    situation.cluster.decide(situation.cluster.intent().choosing(version))
    situation.routed = version


@pytest.mark.parametrize("by", ["an operator", "the watch"])
def test_a_choice_is_over_once_a_third_version_is_live_and_the_values_may_name_any_again(
    shipped: Situation, by: str
) -> None:
    if by == "the watch":
        shipped.numbers["v2"] = numbers(80, 20)
        later(shipped, 10)
    else:
        chosen(shipped, "v1")
    shipped.round()
    assert shipped.cluster.intent().wanted == shipped.routed == "v1"

    shipped.ship("v3")
    assert shipped.routed == "v3"
    shipped.round()
    assert shipped.api.notes.get(OVERRIDE) is None

    shipped.ship("v2")
    assert shipped.cluster.intent().wanted == "v2"
    shipped.routed = "v3"
    refused = [refusal.version for refusal in shipped.plan().refusals if "was taken back" in refusal.because]
    assert refused == (["v2"] if by == "the watch" else [])


def test_a_choice_stays_while_the_third_version_is_not_live_for_the_way_back_leads_to_its_values(
    shipped: Situation,
) -> None:
    chosen(shipped, "v1")
    shipped.ship("v3")
    shipped.routed = "v1"  # it does not pass its gates
    shipped.round()

    shipped.ship("v2")  # as `helm rollback` does

    assert shipped.cluster.intent().wanted == "v1"


def test_a_choice_that_is_made_while_an_older_one_is_forgotten_stays(shipped: Situation) -> None:
    chosen(shipped, "v1")
    shipped.ship("v3")
    shipped.api.meanwhile = lambda: shipped.cluster.decide(shipped.cluster.intent().choosing("v1"))

    shipped.round()

    assert json.loads(shipped.api.notes[OVERRIDE]) == {"version": "v1", "instead_of": "v3"}


@pytest.mark.parametrize("silent", ["pods", "Restate", "the bookkeeper"])
def test_who_does_not_answer_makes_the_watch_wait_and_say_so(shipped: Situation, silent: str) -> None:
    if silent == "pods":
        del shipped.numbers["v2"]
    elif silent == "Restate":
        shipped.restate.work = None
    else:
        shipped.books = BALANCED.format(at=9_990)

    assert later(shipped, 130) is Outcome.WATCHING
    said = {
        "pods": "no numbers of v2",
        "Restate": "Restate says nothing",
        "the bookkeeper": "has not looked since the window ended",
    }
    assert said[silent] in shipped.said[-1]


def test_while_restates_answer_is_not_complete_nothing_is_decided(shipped: Situation) -> None:
    shipped.numbers["v2"] = numbers(80, 20)
    shipped.release.silence = "it is away"

    assert later(shipped, 130) is Outcome.WATCHING

    assert (shipped.routed, TAKEN_BACK in shipped.api.notes) == ("v2", False)
    assert shipped.said[-1] == "the watch of v2 waits: it is away"


def test_an_operators_choice_ends_the_watch_and_no_version_is_watched_twice(shipped: Situation) -> None:
    shipped.cluster.decide(shipped.cluster.intent().choosing("v1"))
    shipped.routed = "v1"
    assert later(shipped, 10) is Outcome.UNWATCHED
    assert shipped.history()[-2:] == [("v2", "watched", "watch"), ("v1", "live", "an operator")]

    shipped.numbers["v2"] = numbers(80, 20)
    shipped.cluster.decide(shipped.cluster.intent().choosing("v2"))
    shipped.routed = "v2"
    assert later(shipped, 10) is Outcome.UNWATCHED
    assert shipped.history()[-1] == ("v2", "live", "an operator")


@pytest.mark.parametrize("old", ["is watched", "was taken back and cannot go back"])
def test_what_is_shipped_meanwhile_is_measured_against_the_last_version_that_is_known(
    shipped: Situation, old: str
) -> None:
    shipped.api.notes[DEPLOYED] = "2"  # as the registration has noted
    if old != "is watched":
        shipped.numbers["v2"] = numbers(80, 20)
        shipped.can_go_back = False
        assert later(shipped, 10) is Outcome.BAD
        shipped.can_go_back = True

    shipped.ship("v3")
    assert later(shipped, 5) is Outcome.WATCHING
    assert Watcher(shipped.release, shipped.notebook, None, 120, print).kept() == {"v1"}  # type: ignore[arg-type]
    shipped.numbers["v2"] = shipped.numbers["v3"] = numbers(80, 20)
    assert later(shipped, 5) is Outcome.BAD

    assert (shipped.routed, shipped.api.notes[DEPLOYED]) == ("v1", "1")
    assert json.loads(shipped.api.notes[OVERRIDE]) == {"version": "v1", "instead_of": "v3"}


def test_what_is_shipped_after_a_version_that_was_found_good_is_measured_against_that_one(shipped: Situation) -> None:
    shipped.numbers["v2"] = numbers(300, 1)
    assert later(shipped, 121) is Outcome.GOOD

    shipped.ship("v3")
    later(shipped, 5)

    assert shipped.notebook.noted().before == "v2"


def test_without_a_window_nothing_is_watched_and_the_history_goes_on() -> None:
    situation = Situation()
    situation.seconds = 0
    situation.look()
    situation.ship("v2")
    situation.numbers["v2"] = numbers(80, 20)

    assert situation.look() is Outcome.UNWATCHED
    assert later(situation, 10) is Outcome.UNWATCHED
    assert situation.history()[-1] == ("v2", "live", "the values, revision 2")


def test_the_version_before_keeps_its_pods_while_a_watch_is_open(shipped: Situation) -> None:
    loop = Watcher(shipped.release, shipped.notebook, None, 120, print)  # type: ignore[arg-type]
    assert loop.kept() == {"v1"}

    later(shipped, 130)

    assert loop.kept() == frozenset()


def test_books_that_were_out_of_balance_before_are_not_the_new_versions() -> None:
    situation = Situation()
    situation.books = "betting_books_balanced 0.0\nbetting_books_timestamp_seconds 9990\n"
    situation.look()
    situation.look()
    situation.ship("v2")
    situation.look()
    situation.books = situation.books.replace("9990", "10010")

    assert later(situation, 20) is Outcome.WATCHING


def test_nobodys_change_of_the_history_is_lost() -> None:
    situation = Situation()
    situation.api.faster = 2

    situation.look()

    assert situation.history() == [("v1", "live", "the values, revision 1")]
    assert json.loads(situation.api.notes[WATCH])["served"] == ["v1"]


def test_a_history_that_somebody_deleted_stops_nothing() -> None:
    situation = Situation()
    situation.api.gone = {"betting-release-history"}

    assert situation.look() is Outcome.UNWATCHED

    assert "ConfigMap betting-release-history is gone; `helm upgrade` brings it back" in situation.said[-1]
    assert json.loads(situation.api.notes[WATCH])["live"] == "v1"


def test_a_release_without_its_anchor_is_told_so() -> None:
    situation = Situation()
    situation.api.gone = {"betting-release"}

    with pytest.raises(AnchorGoneError, match="ConfigMap betting-release is gone"):
        Watcher(situation.release, situation.notebook, None, 120, print).kept()  # type: ignore[arg-type]
