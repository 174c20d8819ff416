"""The chart as Helm renders it."""

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "betting"
ENVIRONMENTS = ("dev", "kind", "prod")

Object = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = os.environ.get("HELM") or shutil.which("helm")
    if program is None:
        pytest.skip("NO HELM: the chart is not tested; put helm on the PATH, or set HELM")
    command = [program, "template", "betting", str(CHART), "--namespace=shop", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@functools.cache
def render(*arguments: str) -> tuple[Object, ...]:
    done = helm(*arguments)
    assert done.returncode == 0, done.stderr
    return tuple(found for found in yaml.safe_load_all(done.stdout) if found)


def environment(name: str) -> tuple[Object, ...]:
    return render(f"--values={ROOT}/k8s/{name}.yaml")


def one(objects: tuple[Object, ...], kind: str, name: str) -> Object:
    [found] = [found for found in objects if (found["kind"], found["metadata"]["name"]) == (kind, name)]
    return found


def pod_specs(objects: tuple[Object, ...]) -> dict[str, Object]:
    """The pods that come of these objects, each by the name of its object."""
    specs = {}
    for found in objects:
        if found["kind"] == "Pod":
            specs[found["metadata"]["name"]] = found["spec"]
        elif "template" in found.get("spec", {}):
            specs[found["metadata"]["name"]] = found["spec"]["template"]["spec"]
    return specs
