"""A release on a real cluster, on bad days: what is deleted by hand, and upgrades that end in the middle."""

import json
import shlex
import subprocess
import time
from typing import Any

import httpx
import pytest

from tests.e2e.people import deposited
from tests.e2e.running import DEADLINE_SECONDS, NAMESPACE, Release, get, kubectl, pods, run, until

pytestmark = pytest.mark.e2e

BAD = "versions.v9.settings.BETTING_MAX_OPEN_BETS=none"
OPEN_BETS = "BETTING_MAX_OPEN_BETS"


def of_helm() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run("helm", "status", "betting", f"--namespace={NAMESPACE}", "--output=json"))
    return told


def state() -> str:
    return str(of_helm()["info"]["status"])


def revision() -> int:
    return int(of_helm()["version"])


def way_back(release: Release) -> str:
    told = json.loads(release.command("status", "--output", "json"))
    return str(told["way_back"])


def leave_by(command: str, release: Release) -> None:
    """Do what status says, and see that it ends in time with v1 live and nothing pending."""
    begun = time.monotonic()
    run(*shlex.split(command))
    until(lambda: release.status()["v1"]["verdict"] == "live", "v1 is live")
    assert time.monotonic() - begun < DEADLINE_SECONDS
    assert state() == "deployed"


def test_1w_a_deleted_configmap_takes_nothing_along(release: Release, users: httpx.Client) -> None:
    before = pods("v1")
    until(lambda: release.status()["v1"]["protected"], "v1 is protected")

    kubectl("delete", "configmap", "betting-release")

    assert "ConfigMap betting-release" in release.command("status", ok=False)
    time.sleep(5)
    assert pods("v1") == before != []
    release.upgrade()
    assert release.status()["v1"]["verdict"] == "live"
    assert pods("v1") == before


def test_1x_a_bare_rollback_to_a_broken_revision_is_not_left_pending(release: Release) -> None:
    command = way_back(release)
    for _ in range(2):
        said = release.upgrade(release.image("v9", "v1"), BAD, "current=v9", "release.deadlineSeconds=10", ok=False)
    assert command in said

    run("helm", "rollback", "betting", f"--namespace={NAMESPACE}")

    assert (state(), way_back(release)) == ("deployed", command)
    leave_by(command, release)


def test_1v_a_rollback_over_what_cannot_change_ends_and_status_names_it(release: Release) -> None:
    until(lambda: release.status()["v1"]["known_settings"], "what v1 went live with is noted")
    command, other = way_back(release), f"versions.v1.settings.{OPEN_BETS}=199"
    live, changed = command.split()[3], str(revision() + 2)
    refused = release.upgrade(other, ok=False)
    assert f"{OPEN_BETS} is empty and would become 199" in refused
    assert f"to go back: {command}" in refused

    release.upgrade(other, hooks=False)  # by which nothing is refused
    said = release.upgrade(release.image("v1", "v2"), hooks=False, ok=False)

    assert "versions are immutable: Restate came to know betting-v1" in said
    told = f"{OPEN_BETS} was empty and is 199"
    assert release.status()["v1"]["strayed"] == [told]
    assert told in release.command("status")
    for target, strayed in ((live, []), (changed, [told]), (live, [])):
        run("helm", "rollback", "betting", target, f"--namespace={NAMESPACE}")
        assert (state(), release.status()["v1"]["strayed"]) == ("deployed", strayed)
    release.upgrade("current=v1")  # of ten revisions later, Helm forgets the one that it went back to
    assert way_back(release) == f"helm rollback betting {revision()} -n {NAMESPACE}"


def test_1y_a_killed_upgrade_is_left_by_the_rollback_that_status_prints(release: Release) -> None:
    arguments = ["--reset-then-reuse-values", f"--set={release.image('v9', 'v1')},{BAD},current=v9"]
    helm = ["helm", "upgrade", "betting", str(release.chart), f"--namespace={NAMESPACE}", *arguments]
    with subprocess.Popen(helm, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        until(lambda: state() == "pending-upgrade", "Helm has begun")
        killed.kill()
    assert "another operation" in release.upgrade(ok=False)

    leave_by(way_back(release), release)

    release.upgrade("versions.v9=null", "current=v1", f"release.deadlineSeconds={DEADLINE_SECONDS}")
    until(lambda: "v9" not in release.status(), "v9 is gone")


def test_1t_a_missing_image_is_named_with_its_version_at_once(release: Release, users: httpx.Client) -> None:
    before, began = pods("v1"), time.monotonic()
    missing = "versions.v9.image.repository=betting.local/nowhere,versions.v9.image.tag=none"

    said = release.upgrade(missing, "current=v9", ok=False)

    assert time.monotonic() - began < DEADLINE_SECONDS
    assert "versions.v9.image betting.local/nowhere:none does not start: " in said
    assert "Image" in said.partition("does not start: ")[2].split(":")[0], "Kubernetes' reason"
    assert f"to go back: {way_back(release)}" in said
    assert (pods("v1"), state()) == (before, "failed")
    assert "v9" not in release.status()
    deposited(users, "ann", 1)
    leave_by(way_back(release), release)


TOOLS = "app.kubernetes.io/component in (release,books)"


def tools_at_work() -> set[str]:
    """The pods of the release loop and the books that are ready."""
    found = get("pods", f"--selector={TOOLS}")
    return {each["metadata"]["name"] for each in found if ready(each)}


def ready(pod: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))


def falling() -> set[str]:
    """The components of the tools of which a pod has fallen."""
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]
        for each in get("pods", f"--selector={TOOLS}")
        if any(status["restartCount"] for status in each["status"].get("containerStatuses", ()))
    }


def test_1z_an_image_whose_every_command_fails_leaves_the_tools_and_v1_at_work(
    release: Release, users: httpx.Client
) -> None:
    before = tools_at_work(), pods("v1")
    assert len(before[0]) == 2

    said = release.upgrade(release.image("v9", "broken"), "current=v9", ok=False)

    assert "No module named 'not_in_this_image'" in said
    assert (tools_at_work(), pods("v1")) == before
    assert "v9" not in release.status()

    release.upgrade(release.image("v9", "broken"), "current=v9", hooks=False)

    until(lambda: "not_in_this_image" in release.command("status"), "status says why v9 does not start")
    until(lambda: falling() == {"books", "release"}, "the new tools fall")
    assert (tools_at_work(), pods("v1")) == before
    assert release.status()["v1"]["verdict"] == "live"
    deposited(users, "ann", 1)
    leave_by(way_back(release), release)
    until(lambda: "v9" not in release.status(), "v9 is gone")
