"""What our accounts may do in Kubernetes."""

import pytest

from app.release.cluster import KNOWN_IMAGE
from tests.chart.rendered import ENVIRONMENTS, Object, environment, one, pod_specs, render, rights

SECRETS = ["betting-signing-key", "betting-webhook-secret", "betting-token-key"]


def roles_of(objects: tuple[Object, ...], account: str) -> set[str]:
    return {
        found["roleRef"]["name"]
        for found in objects
        if found["kind"] == "RoleBinding" and account in [subject["name"] for subject in found["subjects"]]
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_release_loop_has_no_right_on_any_secret(name: str) -> None:
    objects = environment(name)
    [container] = pod_specs(objects)["betting-release"]["containers"]

    assert pod_specs(objects)["betting-release"]["serviceAccountName"] == "betting-release"
    assert roles_of(objects, "betting-release") == {"betting-release"}
    for rule in one(objects, "Role", "betting-release")["rules"]:
        assert not {"secrets", "*"} & {*rule["resources"], *rule["verbs"], *rule["apiGroups"]}
    assert "volumeMounts" not in container


def test_what_makes_secrets_cannot_read_them_and_only_the_registration_marks_them() -> None:
    objects = render()

    assert rights(objects, "betting-prepare", "create") == ["*"]
    for verb in ("get", "list", "watch", "patch", "update"):
        assert rights(objects, "betting-prepare", verb) == []
    assert rights(objects, "betting-register", "patch") == SECRETS
    assert roles_of(objects, "betting-register") == {"betting-release", "betting-register"}
    assert pod_specs(objects)["betting-register"]["serviceAccountName"] == "betting-register"


def test_the_registrations_account_is_that_of_no_pod_that_stays() -> None:
    accounts = {
        found["metadata"]["name"]: found["spec"]["template"]["spec"].get("serviceAccountName")
        for found in render()
        if found["kind"] in ("Deployment", "StatefulSet")
    }

    assert "betting-register" not in accounts.values()


def test_an_admission_policy_holds_both_accounts_to_this_release() -> None:
    policy = one(render(), "ValidatingAdmissionPolicy", "shop-betting-release")["spec"]
    binding = one(render(), "ValidatingAdmissionPolicyBinding", "shop-betting-release")["spec"]
    [ours] = policy["matchConditions"]
    [rule] = policy["matchConstraints"]["resourceRules"]

    assert (binding["policyName"], binding["validationActions"]) == ("shop-betting-release", ["Deny"])
    assert policy["failurePolicy"] == "Fail"
    for account in ("release", "register"):
        assert f"'system:serviceaccount:shop:betting-{account}'" in ours["expression"]
    assert (rule["resources"], rule["operations"]) == (["*/*"], ["UPDATE", "DELETE"])
    assert "== 'betting'" in policy["validations"][0]["expression"]
    said = {each["message"]: each["expression"] for each in policy["validations"]}
    image = one(render(), "Deployment", "betting-release")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert f'c.image in ["{image}"]' in said["the release loop lends no image but a version's"]
    assert "== 'prepare'" in said["the release loop lends its image to the prepare hook alone"]
    assert "object.spec.template == oldObject.spec.template" in policy["validations"][-1]["expression"]


def test_an_admission_policy_keeps_the_image_of_a_version_that_restate_knows() -> None:
    policy = one(render(), "ValidatingAdmissionPolicy", "shop-betting-versions")["spec"]
    binding = one(render(), "ValidatingAdmissionPolicyBinding", "shop-betting-versions")["spec"]
    [ours], [rule] = policy["matchConditions"], policy["matchConstraints"]["resourceRules"]
    variables = {each["name"]: each["expression"] for each in policy["variables"]}

    assert (binding["policyName"], binding["validationActions"]) == ("shop-betting-versions", ["Deny"])
    assert (rule["resources"], rule["operations"]) == (["deployments"], ["UPDATE"])
    assert "request.namespace == 'shop'" in ours["expression"]
    assert "== 'betting'" in ours["expression"]
    assert f"'{KNOWN_IMAGE}'" in variables["known"]
    assert "variables.becomes == variables.known" in policy["validations"][0]["expression"]


def test_whoever_has_no_rights_in_the_whole_cluster_can_install_without_it() -> None:
    kinds = {found["kind"] for found in render("--set=release.admissionPolicy=false")}

    assert not {kind for kind in kinds if kind.startswith(("ValidatingAdmission", "Cluster"))}


def test_pods_are_scaled_where_the_policy_sees_their_labels() -> None:
    rules = one(render(), "Role", "betting-release")["rules"]

    assert "deployments/scale" not in [resource for rule in rules for resource in rule["resources"]]
