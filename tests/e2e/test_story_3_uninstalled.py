"""A release on a real cluster, last: it is taken away."""

from pathlib import Path

import pytest

from tests.e2e.running import COMMAND_SECONDS, NAMESPACE, Release, get, run, until
from tests.e2e.watching import unwatch

pytestmark = pytest.mark.e2e

OPERATORS_KEY = "betting-signing-key-2"
"""A Secret that an operator has made in an earlier step."""


def test_8_an_uninstall_leaves_nothing_but_the_volumes_that_notes_named(release: Release, look: Path) -> None:
    unwatch(look)
    named = {
        line.strip().removeprefix("persistentvolumeclaim/")
        for line in run("helm", "get", "notes", "betting", f"--namespace={NAMESPACE}").splitlines()
        if line.strip().startswith("persistentvolumeclaim/")
    }

    run("helm", "uninstall", "betting", f"--namespace={NAMESPACE}", "--wait", f"--timeout={COMMAND_SECONDS}s")

    kinds = "deploy,sts,job,pod,svc,pdb,secret,cm,sa,role,rolebinding,netpol,pvc"
    until(lambda: left(kinds) == named, f"only {named} is left of {left(kinds)}")
    assert f"{NAMESPACE}-betting-release" not in left("validatingadmissionpolicies,validatingadmissionpolicybindings")


def left(kinds: str) -> set[str]:
    not_of_the_release = {"default", "kube-root-ca.crt", OPERATORS_KEY}
    return {found["metadata"]["name"] for found in get(kinds)} - not_of_the_release
