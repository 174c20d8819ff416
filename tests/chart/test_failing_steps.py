"""What of the chart makes Kubernetes say what docs/operations.md lists under "When a step fails"."""

import pytest
import yaml

from tests.chart.rendered import Object, one, pod_specs, render

MAY_CHANGE = {
    "minReadySeconds",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
    "replicas",
    "revisionHistoryLimit",
    "template",
    "updateStrategy",
}
"""What Kubernetes lets anybody change of a StatefulSet; it names all of these when it forbids another change."""


def test_a_door_with_tls_does_not_start_without_the_secret_that_kubectl_create_secret_tls_makes() -> None:
    objects = render("--set=edge.tls.secret=certificate")
    spec = pod_specs(objects)["betting-edge"]
    [secret] = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "tls"]
    [folder] = [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "tls"]
    read = yaml.safe_load(one(objects, "ConfigMap", "betting-edge")["data"]["tls.yaml"])["resources"][0]

    assert secret["secretName"] == "certificate"
    assert not secret.get("optional")
    assert {item["key"] for item in secret["items"]} == {"tls.crt", "tls.key"}
    assert {f"{folder}/{item['path']}" for item in secret["items"]} == {
        read["tls_certificate"]["certificate_chain"]["filename"],
        read["tls_certificate"]["private_key"]["filename"],
    }


@pytest.mark.parametrize("part", ["restate", "sandbox"])
def test_a_rollback_over_a_larger_volume_changes_what_nobody_may_and_the_size_of_now_does_not(part: str) -> None:
    def stateful_set(size: str, *later: str) -> Object:
        found = one(render(f"--set={part}.storage.size={size}", *later), "StatefulSet", f"betting-{part}")
        spec: Object = found["spec"]
        return spec

    runs, before = stateful_set("20Gi"), stateful_set("10Gi")
    mended = stateful_set("20Gi", "--set=restate.image=another:2,sandbox.image=another:2")

    assert different(runs, before) == {"volumeClaimTemplates"}
    assert different(runs, mended)
    assert different(runs, mended) <= MAY_CHANGE


def different(one_spec: Object, other: Object) -> set[str]:
    return {name for name in one_spec.keys() | other.keys() if one_spec.get(name) != other.get(name)}


def test_at_an_install_prepare_runs_the_image_of_current_before_all_else_and_only_its_deadline_ends_it() -> None:
    objects = render("--set=versions.v1.image.tag=a,versions.v2.image.tag=missing,current=v2")
    [job] = [found for found in objects if found["kind"] == "Job" and "-prepare-" in found["metadata"]["name"]]
    pod = job["spec"]["template"]["spec"]

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "helm.sh/hook" not in one(objects, "Deployment", "betting-release")["metadata"].get("annotations", {})
    assert [each["image"] for each in pod["containers"]] == ["betting:missing"]
    assert pod["restartPolicy"] == "Never"
    # A pod whose image cannot be pulled waits; it does not fail, so neither of these ends the Job.
    assert {"backoffLimit", "podFailurePolicy", "activeDeadlineSeconds"} <= job["spec"].keys()
    assert all("onPodConditions" not in rule for rule in job["spec"]["podFailurePolicy"]["rules"])
