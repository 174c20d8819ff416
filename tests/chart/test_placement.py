"""Where pods may run."""

import json
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.chart.rendered import KUBERNETES, Object, one, pod_specs, render

ALL_PARTS = ("--set=restate.replicas=3,restate.snapshots.destination=s3://a/b", "--set=sandbox.enabled=true")
PLACEMENT = ("nodeSelector", "tolerations", "affinity", "priorityClassName")
RESTATE, SERVICE, EDGE = "restate", "service", "edge"
BESIDE = {"betting-restate-trial": RESTATE, "betting-restate-provision": RESTATE, "betting-v1-rehearsal": SERVICE}
"""Pods that come beside those of a part, and are where those are."""
OWN = {"betting-restate": RESTATE, "betting-v1": SERVICE, "betting-edge": EDGE} | BESIDE
"""The pods that a part has of its own."""
APART = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack"}]}}


def placed(name: str) -> dict[str, Any]:
    """Values by which pods run where a name says."""
    return {
        "nodeSelector": {"pool": name},
        "tolerations": [{"key": "pool", "operator": "Equal", "value": name, "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": name, "operator": "Exists"}]}]
                }
            },
        },
        "priorityClassName": name,
    }


def values(name: str, part: str = "") -> tuple[str, ...]:
    return tuple(
        f"--set-json={f'{part}.{value}' if part else value}={json.dumps(told)}" for value, told in placed(name).items()
    )


def placement(spec: Object) -> Object:
    return {value: spec[value] for value in PLACEMENT if value in spec}


def places(objects: tuple[Object, ...]) -> dict[str, Object]:
    return {name: placement(spec) for name, spec in pod_specs(objects).items()}


def test_by_default_nothing_says_where_pods_run() -> None:
    assert {json.dumps(place) for place in places(render(*ALL_PARTS)).values()} == {"{}"}


def test_all_pods_run_where_the_values_say() -> None:
    told = places(render(*ALL_PARTS, *values("all")))

    assert {"betting-prepare", "betting-register", "betting-test", "betting-sandbox", *OWN} < set(told)
    assert told == dict.fromkeys(told, placed("all"))


@pytest.mark.parametrize("part", [RESTATE, SERVICE, EDGE])
def test_a_part_may_have_its_own_place(part: str) -> None:
    told = places(render(*ALL_PARTS, *values("all"), *values("own", part)))

    assert told == {name: placed("own" if OWN.get(name) == part else "all") for name in told}


def test_a_part_that_says_one_thing_takes_the_others_from_all() -> None:
    told = places(render(*values("all"), "--set=edge.priorityClassName=own"))

    assert told["betting-edge"] == placed("all") | {"priorityClassName": "own"}


@pytest.mark.parametrize("part", [RESTATE, SERVICE])
def test_what_keeps_pods_of_a_part_apart_does_not_keep_those_away_that_come_beside_them(part: str) -> None:
    apart = f"--set-json={part}.affinity={json.dumps(APART)}"
    told = {name: place for name, place in places(render(*ALL_PARTS, apart)).items() if OWN.get(name) == part}

    assert told == {name: {} if name in BESIDE else {"affinity": APART} for name in told}
    assert set(BESIDE) & set(told)


@pytest.mark.parametrize("kubernetes", [KUBERNETES[0], KUBERNETES[-1]])
def test_kubernetes_takes_it(kubernetes: str) -> None:
    for found in render(*ALL_PARTS, *values("all"), *values("own", RESTATE)):
        kubernetes_validate.validate(found, kubernetes, strict=True)


PROVISION = "betting-restate-provision-"


def provision(*arguments: str) -> tuple[str, Object]:
    [job] = [found for found in render(*ALL_PARTS, *arguments) if found["metadata"]["name"].startswith(PROVISION)]
    return job["metadata"]["name"], job["spec"]


@pytest.mark.parametrize(
    "change", [*values("own", RESTATE), "--set=image.pullPolicy=Always", "--set=restate.partitions=9"]
)
def test_the_job_that_provisions_is_another_one_whatever_of_it_changes(change: str) -> None:
    (name, spec), (other, changed) = provision(), provision(change)

    assert spec != changed
    assert name != other
    assert provision("--set=edge.pods=3") == (name, spec), "and the same one otherwise"


def zones(*arguments: str) -> list[Object]:
    spec = one(render(*arguments), "StatefulSet", "betting-restate")["spec"]["template"]["spec"]
    return [each for each in spec["topologySpreadConstraints"] if each["topologyKey"] == "topology.kubernetes.io/zone"]


def test_three_nodes_are_in_three_zones_where_there_are_some() -> None:
    [spread] = zones(*ALL_PARTS)

    assert (spread["maxSkew"], spread["whenUnsatisfiable"]) == (1, "ScheduleAnyway")
    assert spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == RESTATE


@pytest.mark.parametrize(
    "arguments",
    [(), (*ALL_PARTS, "--set=restate.spread.zones=ignored"), (*ALL_PARTS, "--set=restate.spread.hosts=preferred")],
    ids=["one node", "ignored", "hosts are but preferred"],
)
def test_zones_are_no_wish_where_they_say_nothing_or_would_undo_the_one_for_hosts(arguments: tuple[str, ...]) -> None:
    assert zones(*arguments) == []
