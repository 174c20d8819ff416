"""The Restate that the prepare hook starts beside the one that runs."""

import subprocess
from pathlib import Path

import pytest

from app.dev.binaries import restate_server
from tests.chart.rendered import ENVIRONMENTS, Object, environment, one, pod_specs, render

TRIAL = "betting-restate-trial"
SECONDS = 30


def container(objects: tuple[Object, ...], name: str) -> Object:
    found: Object = pod_specs(objects)[name]["containers"][0]
    return found


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_it_has_what_restate_will_have(name: str) -> None:
    objects = environment(name)
    trial, restate = container(objects, TRIAL), container(objects, "betting-restate")

    assert (trial["image"], trial["env"]) == (restate["image"], restate["env"])


def test_the_hook_starts_it_and_nobody_else_does() -> None:
    objects = render("--set=restate.image=another:2")
    deployment = one(objects, "Deployment", TRIAL)
    command = container(objects, "betting-prepare")["command"]
    may = [rule for rule in one(objects, "Role", "betting-prepare")["rules"] if "patch" in rule["verbs"]]

    assert deployment["spec"]["replicas"] == 0
    assert deployment["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade", "at first, none runs"
    assert command[command.index("--restate-image") + 1] == "another:2"
    assert may == [
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": [TRIAL], "verbs": ["patch"]},
    ]
    job = next(found for found in objects if found["kind"] == "Job" and "prepare" in found["metadata"]["name"])
    assert job["spec"]["activeDeadlineSeconds"] > int(command[command.index("--deadline") + 1])


@pytest.mark.parametrize(
    ("setting", "starts"), [({}, True), ({"RESTATE_DEFAULT_NUM_PARTITIONS": "many"}, False)], ids=["good", "bad"]
)
def test_settings_that_restate_does_not_take_end_it(setting: dict[str, str], starts: bool, tmp_path: Path) -> None:
    told = container(render(), TRIAL)
    settings = {each["name"]: each["value"] for each in told["env"] if "$(" not in each.get("value", "$(")}
    *shell, script = told["command"]
    programs = {"PATH": f"{restate_server().parent}:/usr/bin:/bin", "RESTATE_BASE_DIR": str(tmp_path)}

    ended = subprocess.run(
        [*shell, script.replace("exec sleep infinity", "echo sleeps")],
        env=settings | programs | setting,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert ("sleeps" in ended.stdout, ended.returncode == 0) == (starts, starts), ended.stderr
