"""A release on a real cluster, then: versions come and go. The steps build on each other."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.people import (
    LOAD_PLAYERS,
    approve,
    audited,
    bet,
    by_whom,
    deposited,
    in_review,
    money_agrees,
    opened,
    placed,
    players,
    reason,
    settled,
    which,
)
from tests.e2e.running import (
    DEADLINE_SECONDS,
    MANY_BETS,
    WAITS,
    Release,
    admin_port,
    back_door,
    door,
    forward,
    get,
    kubectl,
    load,
    of_the_door,
    pods,
    rows,
    until,
)
from tests.e2e.watching import panel, seen
from tests.helpers.exported import attempts_in, share

pytestmark = pytest.mark.e2e

A_FAIR_PART = 1 / 6
"""Of three pods: where a connection goes is chance."""
OTHERS_KEY = "publickeyv1_Ewt43aaq742w5Ygz7JAADAcnKLyvwsUcU2ZEAkPWQChk"


def pinned(admin: httpx.Client, name: str) -> str:
    """The deployment that a withdrawal runs on."""
    sql = f"select pinned_deployment_id from sys_invocation where target = 'WithdrawalWorkflow/{name}/run'"
    return str(rows(admin, sql)[0]["pinned_deployment_id"])


def retired(release: Release, version: str) -> bool:
    return version not in (seen := release.status()) or seen[version]["verdict"] == "retired"


def test_2_shipping_v2_under_load_fails_no_request_and_leaves_work_on_v1(release: Release, tmp_path: Path) -> None:
    with door() as users, back_door() as ingress:
        in_review(users, "review-1")
        deposited(users, "bettor", 5_000)
        opened(users, "before-the-game")
        opened(users, "in-play", betDelaySeconds=60)
        assert placed(users, "before-the-game") == "accepted"
        assert placed(users, "in-play") == "delayed"
        v1, before = release.status()["v1"]["deployment"], of_the_door()
        assert which(users) == "v1"
        assert reason(users.post("/MarketService/in-play/exists")) == ("edge", "not_found")
        release.take_chart_of("v2", tmp_path)

        with load(release.images["v1"]) as told:
            time.sleep(3)
            delayed = ingress.post("/WithdrawalWorkflow/nobody/status/send?delay=100s").json()["invocationId"]
            release.upgrade(release.image("v2", "v2"), f"versions.v2.{MANY_BETS}", "current=v2")
            with door() as anew:  # the pod of the door that we came in by may have ended meanwhile
                assert which(anew) == "v2"
            ended = ingress.get(f"/restate/invocation/{delayed}/attach", timeout=150).json()
            until(lambda: not set(before) & set(of_the_door()), "the door with the old routes has ended")

    assert told["failed attempts"] == 0, told
    assert told["sent"] == told["succeeded"] > 50
    assert "never was" in ended["message"], "what was only scheduled starts on the new version"
    with door() as users, admin_port() as admin:
        assert which(users) == "v2"
        assert users.post("/MarketService/in-play/exists").json() is True
        assert pinned(admin, "review-1") == v1 != release.status()["v2"]["deployment"]
    held = release.why("v1")
    assert held["verdict"] == "draining"
    assert [held["handler"] for held in held["invocations"]] == ["WithdrawalWorkflow/review-1/run"]
    assert "review" in held["invocations"][0]["waiting_on"]
    until(lambda: [found["version"] for found in seen(panel("Takes new work"))] == ["v2"], "Versions shows v2 live")
    until(lambda: [found["version"] for found in seen(panel("Drains"))] == ["v1"], "Versions shows v1 draining")
    until(lambda: holding() == [("v1", "WithdrawalWorkflow", 1)], "Versions shows what holds v1")


def holding() -> list[tuple[str, str, float]]:
    """What the dashboard Versions shows of work on versions that drain."""
    found = seen(panel("In flight on versions that drain, by service"))
    return [(each["version"], each["service"], each["value"]) for each in found]


def test_3_a_drained_version_is_scaled_to_zero_and_deregistered(release: Release, users: httpx.Client) -> None:
    with admin_port() as admin:
        v1 = release.status()["v1"]["deployment"]
        assert pods("v1")

        approve(users, "review-1")

        assert pinned(admin, "review-1") == v1, "it ended where it began"
        until(lambda: retired(release, "v1"), "v1 is retired")
        assert v1 not in [known["id"] for known in admin.get("/deployments").json()["deployments"]]
        until(lambda: not pods("v1"), "v1 has no pods")
        assert release.why("v1")["invocations"] == []
        until(lambda: seen(panel("Drains")) == [], "Versions shows no version draining")


def test_3a_bets_placed_on_v1_are_decided_and_settled_by_v2(release: Release, users: httpx.Client) -> None:
    assert "v1" not in release.status() or not pods("v1")
    assert bet(users, "before-the-game") == "open"
    until(lambda: bet(users, "in-play") == "open", "the bet in play is accepted after its delay")

    for market in ("before-the-game", "in-play"):
        assert settled(users, market) == {"bets": 1, "settled": 1, "paid": 2_500, "done": True}

    assert audited(users, "bettor")["bettor"] == {
        "cash": 8_000,
        "locked": 0,
        "pendingOut": 0,
        "provider": -5_000,
        "house": -3_000,
        "adjustment": 0,
    }


def test_3b_an_operators_name_is_on_the_statement(release: Release, users: httpx.Client) -> None:
    assert by_whom(users, "review-1")[-1] == ("withdrawalPaid", "payments:pat")
    assert by_whom(users, "bettor")[-1] == ("betSettled", "trader:tom")


def test_4_rollback_moves_routing_back_and_promote_forth(release: Release, users: httpx.Client) -> None:
    assert "plan:" in release.command("rollback", "v1", "--dry-run")
    assert which(users) == "v2"

    release.command("rollback", "v1")

    assert which(users) == "v1"
    in_review(users, "review-2")
    in_review(users, "review-3")
    only_v2_has = users.post("/MarketService/in-play/exists")
    assert only_v2_has.status_code == 503, "the door lets it through, and v1 does not have it"
    time.sleep(6)
    assert which(users) == "v1", "the release loop leaves an operator's choice alone"
    release.command("promote", "v2")
    assert which(users) == "v2"
    assert users.post("/MarketService/in-play/exists").json() is True


def test_5_a_forgotten_key_keeps_its_pods_until_it_is_drained(release: Release, users: httpx.Client) -> None:
    before = pods("v1")

    release.upgrade("versions.v1=null")

    time.sleep(8)
    assert set(pods("v1")) == set(before) != set()
    assert release.status()["v1"]["declared_image"] is None
    for name in ("review-2", "review-3"):
        approve(users, name)
    until(lambda: "v1" not in release.status(), "v1 is gone")
    assert not get("services", "--selector=betting/version=v1")
    assert "there is no version v1" in release.command("rollback", "v1", ok=False)


def test_6_a_key_with_another_image_is_refused_before_anything_changes(release: Release, users: httpx.Client) -> None:
    before = pods("v2")

    said = release.upgrade(release.image("v2", "v1"), ok=False)

    assert "versions are immutable" in said
    assert (pods("v2"), which(users)) == (before, "v2")


@pytest.mark.parametrize(
    ("key", "setting", "seconds", "reason"),
    [
        ("v3", "versions.v3.settings.BETTING_MAX_OPEN_BETS=none", 60, "BETTING_MAX_OPEN_BETS"),
        # It is refused only after its pods have started and its gates have passed.
        ("v4", f"versions.v4.settings.BETTING_IDENTITY_KEYS={OTHERS_KEY}", 120, "signature"),
    ],
    ids=["crashes at start", "cannot be registered"],
)
def test_6a_a_bad_version_fails_the_upgrade_with_the_reason(
    release: Release, users: httpx.Client, key: str, setting: str, seconds: int, reason: str
) -> None:
    deadline = f"release.deadlineSeconds={seconds}"

    said = release.upgrade(release.image(key, "v2"), setting, f"current={key}", deadline, ok=False)

    assert reason in said
    assert which(users) == "v2"
    release.upgrade(f"versions.{key}=null", "current=v2", f"release.deadlineSeconds={DEADLINE_SECONDS}")
    until(lambda: key not in release.status(), f"{key} is gone")
    assert which(users) == "v2"


def test_6b_a_pod_that_an_autoscaler_adds_takes_its_share_and_the_loop_leaves_it(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    release.upgrade("service.autoscaling.enabled=true")
    until(lambda: floors() == {"betting-v2": 2}, "the release loop sets the floor of the version that serves")

    with load(release.images["v1"], players=LOAD_PLAYERS) as told:
        before = pods("v2")
        scaled(3)  # as an autoscaler does
        [added] = set(pods("v2")) - set(before)
        began = time.monotonic()
        until(lambda: share(added, pods("v2"), attempts) > A_FAIR_PART, "the pod that was added takes its share")
        waited = time.monotonic() - began
        assert deployment("betting-v2")["spec"]["replicas"] == 3, "the release loop leaves it to the autoscaler"
        kubectl("scale", "deployment/betting-v2", "--replicas=2")
        until(lambda: len(pods("v2")) == 2, "a pod is drained")

    with capsys.disabled():
        print(f"\na pod that was added under load had its share after {waited:.0f} s; {told}")
    assert told["failed attempts"] == 0, told
    assert told["sent"] == told["succeeded"] > 50
    kubectl("scale", "deployment/betting-v2", "--replicas=1")
    until(lambda: deployment("betting-v2")["spec"]["replicas"] == 2, "no fewer pods than the version needs to serve")
    release.upgrade("service.autoscaling.enabled=false")
    assert floors() == {}


def floors() -> dict[str, int]:
    """The fewest pods of each autoscaler."""
    return {found["metadata"]["name"]: found["spec"]["minReplicas"] for found in get("hpa")}


def deployment(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", "deployment", name, "--output=json"))
    return found


def scaled(pods: int) -> None:
    """Another number of pods of v2, all of them ready."""
    kubectl("scale", "deployment/betting-v2", f"--replicas={pods}")
    kubectl("rollout", "status", "deployment/betting-v2", WAITS)


def attempts(pod: str) -> float:
    """How many attempts at invocations a pod has finished."""
    with forward(f"pod/{pod}", 9095) as http:
        return attempts_in(http.get("/metrics").raise_for_status().text)


def test_7_killed_pods_lose_no_request_and_no_money(release: Release) -> None:
    with load(release.images["v1"]) as told:
        time.sleep(3)
        for pod in (*pods("v2"), of_the_door()[0]):
            kubectl("delete", "pod", pod, "--grace-period=1", "--wait=false")
        time.sleep(10)
        kubectl("delete", "pod", "betting-restate-0", "--grace-period=1")
        until(lambda: get("pods", "--field-selector=metadata.name=betting-restate-0"), "there is another one")
        kubectl("wait", "pod/betting-restate-0", "--for=condition=Ready", WAITS)
        time.sleep(10)

    assert told["sent"] == told["succeeded"] > 50, told
    money_agrees(*players())
