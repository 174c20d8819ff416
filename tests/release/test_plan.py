"""One named row a situation: what the release loop sees, what it says of each version, and what it does."""

from dataclasses import dataclass, replace

import pytest

from app.release.fixed_settings import Known
from app.release.plan import Action, Gates, Observed, Plan, Restate, Step, Verdict, plan
from tests.release.plans import BOTH, NOON, ON_V2, V1, V2, deployment, routed_to, version, work


@dataclass(frozen=True)
class Row:
    situation: str
    observed: Observed
    verdicts: str
    actions: str
    drained_before: frozenset[str] = frozenset()


NEW_V2 = version("v2", known_image="")
"""One that Restate has never known."""

ROWS = (
    Row(
        "a version that the watch took back drains, and the one before serves",
        Observed((V1, version("v2", taken_back="it failed")), "v1", Restate(BOTH, routed_to("v1"), (work("v2"),))),
        "v1 live, v2 draining",
        "",
    ),
    Row(
        "a version that the watch took back is not tried again",
        Observed((V1, version("v2", taken_back="it failed", replicas=0)), "v2", Restate(BOTH, routed_to("v1"))),
        "v1 live, v2 starting",
        "refuse v2",
    ),
    Row(
        "a version that was taken back serves until another one can",
        Observed((V1, version("v2", taken_back="it failed", replicas=1)), "v2", ON_V2),
        "v1 drained, v2 live",
        "scale v2 to 2",
    ),
    Row(
        "first install: pods first",
        Observed((version("v1", replicas=1, available=0, protected=False),), "v1", Restate()),
        "v1 starting",
        "protect v1, scale v1 to 2",
    ),
    Row(
        "first install: no traffic before all pods are ready",
        Observed((version("v1", available=1),), "v1", Restate()),
        "v1 starting",
        "",
    ),
    Row("first install: register", Observed((V1,), "v1", Restate()), "v1 starting", "register v1"),
    Row(
        "first install: registered, and from now on immutable",
        Observed((version("v1", known_image=""),), "v1", Restate(BOTH[:1], routed_to("v1"))),
        "v1 live",
        "remember v1",
    ),
    Row(
        "v2 does not start: Restate does not know it, so that it may be corrected",
        Observed((V1, version("v2", available=0, known_image="")), "v2", Restate(BOTH[:1], routed_to("v1"))),
        "v1 live, v2 starting",
        "",
    ),
    Row(
        "drained by tools that did not note what Restate has known",
        Observed((version("v1", replicas=0, available=0, known_image=""), V2), "v2", ON_V2),
        "v1 drained, v2 live",
        "remember v1, deregister v1",
        drained_before=frozenset({"v1"}),
    ),
    Row("at rest", Observed((V1,), "v1", Restate(BOTH[:1], routed_to("v1"), (work("v1"),))), "v1 live", ""),
    Row(
        "v2 ready: its gates first",
        Observed((V1, NEW_V2), "v2", Restate(BOTH[:1], routed_to("v1"))),
        "v1 live, v2 starting",
        "check v2",
    ),
    Row(
        "v2 ready, and its gates are being asked: nobody else asks",
        Observed(
            (V1, version("v2", known_image="", gates=Gates(asked=True))), "v2", Restate(BOTH[:1], routed_to("v1"))
        ),
        "v1 live, v2 starting",
        "",
    ),
    Row(
        "v2 passed its gates",
        Observed(
            (V1, version("v2", known_image="", gates=Gates(passed=True))), "v2", Restate(BOTH[:1], routed_to("v1"))
        ),
        "v1 live, v2 starting",
        "register v2",
    ),
    Row(
        "v2 did not pass: its pods go",
        Observed(
            (V1, version("v2", known_image="", gates=Gates(failed="lost"))), "v2", Restate(BOTH[:1], routed_to("v1"))
        ),
        "v1 live, v2 starting",
        "refuse v2, scale v2 to 0",
    ),
    Row(
        "v2 did not pass, and has no pods any more: they stay away",
        Observed(
            (V1, version("v2", known_image="", gates=Gates(failed="lost"), replicas=0, available=0)),
            "v2",
            Restate(BOTH[:1], routed_to("v1")),
        ),
        "v1 live, v2 starting",
        "refuse v2",
    ),
    Row(
        "v2 served before: what its gates said once does not count",
        Observed((V1, version("v2", gates=Gates(failed="lost"))), "v2", Restate(BOTH, routed_to("v1"))),
        "v1 live, v2 starting",
        "register v2",
    ),
    Row(
        "v2 served before, and was taken down: it comes back without gates",
        Observed((V1, version("v2", gates=Gates(failed="lost"))), "v2", Restate(BOTH[:1], routed_to("v1"))),
        "v1 live, v2 starting",
        "register v2",
    ),
    Row(
        "nothing serves yet: there is nothing to compare the first version with",
        Observed((V1,), "v1", Restate()),
        "v1 starting",
        "register v1",
    ),
    Row(
        "v2 crashes at start: traffic stays",
        Observed(
            (V1, version("v2", available=0, trouble="CrashLoopBackOff")), "v2", Restate(BOTH[:1], routed_to("v1"))
        ),
        "v1 live, v2 starting",
        "",
    ),
    Row(
        "v1 draining",
        Observed((V1, V2), "v2", replace(ON_V2, work=(work("v1"), work("v2")))),
        "v1 draining, v2 live",
        "",
    ),
    Row(
        "v1 draining with a scheduled call only: the call will start on v2",
        Observed((V1, V2), "v2", replace(ON_V2, work=(work(None, "scheduled"),))),
        "v1 drained, v2 live",
        "",
    ),
    Row(
        "a paused call",
        Observed((V1, V2), "v2", replace(ON_V2, work=(work("v1", "paused"),))),
        "v1 stuck, v2 live",
        "",
        drained_before=frozenset({"v1"}),
    ),
    Row(
        "query failed: unknown keeps",
        Observed((V1, V2), "v2", None),
        "v1 unknown, v2 unknown",
        "",
        drained_before=frozenset({"v1"}),
    ),
    Row(
        "query failed at the first install: pods may start",
        Observed((version("v1", replicas=1, protected=False),), "v1", None),
        "v1 unknown",
        "protect v1, scale v1 to 2",
    ),
    Row(
        "rollback to v1 while v2 has work",
        Observed((V1, V2), "v1", replace(ON_V2, work=(work("v2"),))),
        "v1 starting, v2 live",
        "register v1",
    ),
    Row(
        "rollback to v1 done: v2 keeps its pods until its work is finished",
        Observed((V1, V2), "v1", Restate(BOTH, routed_to("v1"), (work("v2"),))),
        "v1 live, v2 draining",
        "",
    ),
    Row(
        "rollback to a retired v1: pods first",
        Observed(
            (version("v1", replicas=0, available=0, protected=False), V2), "v1", Restate(BOTH[1:], routed_to("v2"))
        ),
        "v1 starting, v2 live",
        "protect v1, scale v1 to 2",
    ),
    Row(
        "forgotten key with work: its pods stay",
        Observed((version("v1", declared_image=None), V2), "v2", replace(ON_V2, work=(work("v1"),))),
        "v1 draining, v2 live",
        "",
    ),
    Row(
        "forgotten key, retired: removed",
        Observed((version("v1", declared_image=None, replicas=0), V2), "v2", Restate(BOTH[1:], routed_to("v2"))),
        "v1 retired, v2 live",
        "remove v1",
    ),
    Row("drained: seen once is not enough", Observed((V1, V2), "v2", ON_V2), "v1 drained, v2 live", ""),
    Row(
        "drained: seen twice",
        Observed((V1, V2), "v2", ON_V2),
        "v1 drained, v2 live",
        "scale v1 to 0",
        drained_before=frozenset({"v1"}),
    ),
    Row(
        "drained and without pods",
        Observed((version("v1", replicas=0, available=0), V2), "v2", ON_V2),
        "v1 drained, v2 live",
        "deregister v1",
        drained_before=frozenset({"v1"}),
    ),
    Row(
        "retired: Helm may delete it",
        Observed((version("v1", replicas=0, available=0), V2), "v2", Restate(BOTH[1:], routed_to("v2"))),
        "v1 retired, v2 live",
        "unprotect v1",
    ),
    Row(
        "key with another image",
        Observed((V1, version("v2", declared_image="betting:other")), "v2", Restate(BOTH[:1], routed_to("v1"))),
        "v1 live, v2 changed",
        "refuse v2",
    ),
    Row(
        "key with another image, and Restate is silent",
        Observed((version("v1", declared_image="betting:other"),), "v1", None),
        "v1 changed",
        "refuse v1",
    ),
    Row(
        "a service dropped in v2: v1 never drains",
        Observed(
            (V1, V2),
            "v2",
            Restate(
                (deployment("v1"), deployment("v2", frozenset({"Player"}))), {"Player": "dp_v2", "Payment": "dp_v1"}
            ),
        ),
        "v1 draining, v2 live",
        "",
        drained_before=frozenset({"v1"}),
    ),
    Row(
        "a scheduled call of a service dropped in v2 counts against v1",
        Observed(
            (V1, V2),
            "v2",
            Restate(
                (deployment("v1"), deployment("v2", frozenset({"Player"}))),
                {"Player": "dp_v2", "Payment": "dp_v1"},
                (work(None, "scheduled", "Payment"),),
            ),
        ),
        "v1 draining, v2 live",
        "",
        drained_before=frozenset({"v1"}),
    ),
    Row(
        "draining version at 0 pods",
        Observed((version("v1", replicas=0, available=0), V2), "v2", replace(ON_V2, work=(work("v1"),))),
        "v1 draining, v2 live",
        "scale v1 to 1",
    ),
    Row(
        "half of the services moved: not live yet",
        Observed((V1, V2), "v2", Restate(BOTH, {"Player": "dp_v2", "Payment": "dp_v1"})),
        "v1 draining, v2 starting",
        "register v2",
    ),
    Row(
        "the Deployment of the live version is gone: it is not forgotten, and what drains goes on",
        Observed((V1,), "v2", replace(ON_V2, work=(work("v1"), work("v2")))),
        "v1 draining, v2 missing",
        "restore v2",
        drained_before=frozenset({"v1"}),
    ),
    Row(
        "the Deployment of a draining version is gone",
        Observed((V2,), "v2", replace(ON_V2, work=(work("v1"),))),
        "v2 live, v1 missing",
        "restore v1",
    ),
    Row(
        "the Deployment of a version that nothing needs is gone: Restate forgets it",
        Observed((V2,), "v2", ON_V2),
        "v2 live, v1 drained",
        "deregister v1",
        drained_before=frozenset({"v1"}),
    ),
    Row(
        "the Service of the live version is gone: its pods stay",
        Observed((version("v1", missing="Service"),), "v1", Restate(BOTH[:1], routed_to("v1"))),
        "v1 missing",
        "restore v1",
    ),
    Row(
        "the Service of a new version is gone: it is not registered",
        Observed((V1, version("v2", missing="Service")), "v2", Restate(BOTH[:1], routed_to("v1"))),
        "v1 live, v2 missing",
        "restore v2",
    ),
    Row(
        "the Service of a retired version is gone: nobody needs it",
        Observed(
            (version("v1", replicas=0, available=0, protected=False, missing="Service"), V2),
            "v2",
            Restate(BOTH[1:], routed_to("v2")),
        ),
        "v1 retired, v2 live",
        "",
    ),
    Row(
        "Restate refused v2 a minute ago: it is told, and not asked again",
        Observed((V1, version("v2", refused="changed its type")), "v2", Restate(BOTH[:1], routed_to("v1"))),
        "v1 live, v2 starting",
        "refuse v2",
    ),
    Row(
        "the autoscaler has given a version that serves more pods: they are left to it",
        Observed((version("v1", floor=1, replicas=1), version("v2", floor=2, replicas=5)), "v2", ON_V2),
        "v1 drained, v2 live",
        "",
    ),
    Row(
        "an autoscaler asks for no fewer pods than a version needs to serve",
        Observed((V1, version("v2", floor=1, replicas=1)), "v2", ON_V2),
        "v1 drained, v2 live",
        "floor v2 to 2, scale v2 to 2",
    ),
    Row(
        "an autoscaler has a version that only ends its work go down to one pod, which it does by its load",
        Observed((version("v1", floor=2, replicas=4), V2), "v2", replace(ON_V2, work=(work("v1"),))),
        "v1 draining, v2 live",
        "floor v1 to 1",
    ),
    Row(
        "an autoscaler's floor is that of a version that serves while the wanted one starts",
        Observed(
            (version("v1", floor=2), replace(NEW_V2, floor=1, available=1)), "v2", Restate(BOTH[:1], routed_to("v1"))
        ),
        "v1 live, v2 starting",
        "floor v2 to 2",
    ),
    Row(
        "a version that is drained goes down to no pods, autoscaler or not",
        Observed((version("v1", floor=1, replicas=4), V2), "v2", ON_V2),
        "v1 drained, v2 live",
        "scale v1 to 0",
        frozenset({"v1"}),
    ),
    Row(
        "the wanted version is not there yet", Observed((V1,), "v2", Restate(BOTH[:1], routed_to("v1"))), "v1 live", ""
    ),
)


def said(action: Action) -> str:
    return f"{action.do} {action.version}" + (f" to {action.replicas}" if action.do in (Step.SCALE, Step.FLOOR) else "")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.situation)
def test_each_situation_has_its_verdicts_and_its_actions(row: Row) -> None:
    made = plan(row.observed, row.drained_before)

    verdicts = ", ".join(f"{s.version.name} {s.verdict}" for s in made.standings)
    assert (verdicts, ", ".join(map(said, made.actions))) == (row.verdicts, row.actions)


def settle(observed: Observed) -> list[Plan]:
    """Make plans and pretend they are carried out, until there is nothing left to do."""
    plans: list[Plan] = []
    drained: frozenset[str] = frozenset()
    while not plans or plans[-1].actions or plans[-1].drained != drained:
        drained = plans[-1].drained if plans else drained
        plans.append(plan(observed, drained))
        for action in plans[-1].actions:
            observed = carried_out(action, observed)
        assert len(plans) < 20
    return plans


def carried_out(action: Action, observed: Observed) -> Observed:
    restate, versions = observed.restate, list(observed.versions)
    assert restate
    index = next(i for i, v in enumerate(versions) if v.name == action.version)
    match action.do:
        case Step.SCALE:
            versions[index] = replace(versions[index], replicas=action.replicas, available=action.replicas)
        case Step.FLOOR:
            versions[index] = replace(versions[index], floor=action.replicas)
        case Step.PROTECT | Step.UNPROTECT:
            versions[index] = replace(versions[index], protected=action.do is Step.PROTECT)
        case Step.REMOVE:
            del versions[index]
        case Step.REGISTER:
            others = tuple(d for d in restate.deployments if d.id != f"dp_{action.version}")
            restate = Restate((*others, deployment(action.version)), routed_to(action.version), restate.work)
        case Step.DEREGISTER:
            rest = tuple(d for d in restate.deployments if d.id != action.deployment)
            restate = replace(restate, deployments=rest)
        case Step.REMEMBER:
            noted = versions[index].image
            versions[index] = replace(versions[index], known_image=noted, known_settings=Known({}))
        case Step.CHECK:
            versions[index] = replace(versions[index], gates=Gates(passed=True))
        case Step.REFUSE | Step.RESTORE:
            pass
    return Observed(tuple(versions), observed.wanted, restate)


def test_an_old_version_goes_step_by_step_and_the_new_one_stays() -> None:
    done = [said(action) for made in settle(Observed((V1, V2), "v2", ON_V2)) for action in made.actions]

    assert done == ["scale v1 to 0", "deregister v1", "unprotect v1"]


def test_a_forgotten_key_leaves_nothing_behind() -> None:
    forgotten = version("v1", declared_image=None)

    last = settle(Observed((forgotten, V2), "v2", ON_V2))[-1]

    assert [(s.version.name, s.verdict) for s in last.standings] == [("v2", Verdict.LIVE)]


def test_in_flight_is_counted_by_status_and_the_oldest_is_known() -> None:
    later = replace(work("v1", "paused"), count=3, oldest=NOON.replace(hour=13))

    standing = plan(Observed((V1, V2), "v2", replace(ON_V2, work=(work("v1"), later)))).standings[0]

    assert (standing.in_flight, standing.oldest) == ({"suspended": 1, "paused": 3}, NOON)


def test_a_version_that_did_not_pass_says_how_its_gates_are_asked_again() -> None:
    failed = version("v2", known_image="", gates=Gates(failed="books: do not balance"))

    [refused] = plan(Observed((V1, failed), "v2", Restate(BOTH[:1], routed_to("v1")))).refusals

    assert refused.because == (
        "did not pass its gates: books: do not balance; once that is mended, `betting release promote v2` asks again"
    )
