"""What those who render the chart and apply it by other means rely on."""

import pytest

from tests.chart.rendered import Object, render

INSTALLED = ("--set=versions.v1.image.tag=a",)
UPGRADES = {
    "another version": ("--set=versions.v2.image.tag=b", "--set=current=v2"),
    "another image of the one": ("--set=versions.v1.image.tag=c",),
    "another deadline": ("--set=release.deadlineSeconds=77",),
    "more memory": ("--set=release.resources.limits.memory=1Gi",),
    "secrets of their own": ("--set=restate.signingKeySecret=mine",),
    "other hosts": ("--set=nodeSelector.disk=fast",),
}


def jobs(objects: tuple[Object, ...]) -> dict[str, Object]:
    return {found["metadata"]["name"]: found["spec"]["template"] for found in objects if found["kind"] == "Job"}


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_job_is_never_changed_for_it_cannot_be(upgrade: str) -> None:
    before, after = jobs(render(*INSTALLED)), jobs(render(*INSTALLED, *UPGRADES[upgrade]))

    assert before.keys() != after.keys()
    assert {name: after[name] for name in before.keys() & after.keys()} == {
        name: before[name] for name in before.keys() & after.keys()
    }


def test_jobs_that_nobody_deletes_go_after_a_week() -> None:
    for found in render(*INSTALLED):
        if found["kind"] == "Job":
            assert found["spec"]["ttlSecondsAfterFinished"] == 604_800


def test_what_prunes_leaves_a_version_to_the_release_loop() -> None:
    labelled = [(found, found["metadata"].get("labels", {})) for found in render(*INSTALLED)]
    versions = [
        found
        for found, labels in labelled
        if "betting/version" in labels and labels["app.kubernetes.io/component"] == "version"
    ]

    assert len(versions) == 3
    for found in versions:
        annotations = found["metadata"]["annotations"]
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false"
        assert annotations["kustomize.toolkit.fluxcd.io/prune"] == "disabled"
