"""Facts of the chart that releases depend on."""

import re

import pytest

from app.dev.plan import REQUEST_BYTES
from app.settings import Settings
from tests.chart.rendered import CHART, Object, environment, one, pod_specs, render, rights

INSTALLED = ("--set=versions.v1.image.tag=a",)
UPGRADED = (*INSTALLED, "--set=versions.v2.image.tag=b", "--set=current=v2")


def test_replicas_of_a_version_are_never_rendered() -> None:
    for found in render(*UPGRADED):
        if found["metadata"].get("labels", {}).get("betting/version"):
            assert "replicas" not in found["spec"]
            assert "helm.sh/resource-policy" not in found["metadata"].get("annotations", {})


def test_shipping_a_version_changes_nothing_of_the_others() -> None:
    before = {(f["kind"], f["metadata"]["name"]): f for f in render(*INSTALLED) if "betting/version" in labels(f)}
    after = {(f["kind"], f["metadata"]["name"]): f for f in render(*UPGRADED) if "betting/version" in labels(f)}

    assert {key: after[key] for key in before} == before
    assert {key[0] for key in after.keys() - before.keys()} == {"Deployment", "Service", "PodDisruptionBudget"}


def test_restate_does_not_start_again_when_a_version_is_shipped() -> None:
    assert one(render(), "StatefulSet", "betting-restate") == one(render(*UPGRADED), "StatefulSet", "betting-restate")


def labels(found: Object) -> dict[str, str]:
    known: dict[str, str] = found["metadata"].get("labels", {})
    return known


@pytest.mark.parametrize("word", ["lookup", "randAlphaNum", "genPrivateKey", "now", ".Capabilities"])
def test_templates_are_the_same_wherever_they_are_rendered(word: str) -> None:
    for template in (CHART / "templates").iterdir():
        code = "".join(re.findall(r"\{\{.*?\}\}", re.sub(r"\{\{/\*.*?\*/\}\}", "", template.read_text(), flags=re.S)))
        assert not re.search(rf"(?<![\w.]){re.escape(word)}\b", code), template.name


def test_selectors_and_claims_say_nothing_that_a_chart_or_image_version_changes() -> None:
    for found in environment("prod"):
        selector = found.get("spec", {}).get("selector") or {}
        keys = set(selector.get("matchLabels", selector))
        assert keys <= {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/component",
            "betting/version",
            "betting/loop",
        }
        for claim in found.get("spec", {}).get("volumeClaimTemplates", ()):
            assert set(claim["metadata"]) == {"name"}


def test_the_anchor_tells_the_release_loop_what_the_values_want() -> None:
    anchor = one(render(*UPGRADED), "ConfigMap", "betting-release")

    assert anchor["data"] == {"current": "v2", "images": '{"v1":"betting:a","v2":"betting:b"}'}


def test_an_image_can_be_named_by_digest() -> None:
    digest = f"sha256:{'0' * 64}"

    spec = pod_specs(render(f"--set=versions.v1.image.digest={digest}"))["betting-v1"]

    assert spec["containers"][0]["image"] == f"betting@{digest}"


def test_the_service_checks_what_restate_signs() -> None:
    objects = render()
    service = pod_specs(objects)["betting-v1"]["containers"][0]["env"]
    restate = pod_specs(objects)["betting-restate"]

    [checked] = [setting for setting in service if setting["name"] == "BETTING_IDENTITY_KEYS"]
    [signing] = [volume["secret"] for volume in restate["volumes"] if volume["name"] == "signing-key"]
    assert checked["valueFrom"]["secretKeyRef"] == {"name": "betting-signing-key", "key": "public"}
    assert signing["secretName"] == "betting-signing-key"


def env(spec: Object) -> dict[str, str | None]:
    container = spec["containers"][0]
    assert len({setting["name"] for setting in container["env"]}) == len(container["env"])
    return {setting["name"]: setting.get("value") for setting in container["env"]}


def secrets(spec: Object) -> list[str]:
    return [source["secretRef"]["name"] for source in spec["containers"][0]["envFrom"]]


def prepared(objects: tuple[Object, ...]) -> list[str]:
    arguments: list[str] = pod_specs(objects)["betting-prepare"]["containers"][0]["command"]
    return arguments


def test_service_and_sandbox_share_a_webhook_secret_that_is_made_once_and_can_be_replaced() -> None:
    objects = render('--set-json=service.secrets=["my-own"]')
    specs = pod_specs(objects)

    assert "--make-webhook-secret" in prepared(objects)
    assert secrets(specs["betting-v1"]) == secrets(specs["betting-sandbox"]) == ["betting-webhook-secret", "my-own"]


def test_without_the_sandbox_an_install_whose_secrets_have_no_webhook_secret_is_refused_before_anything_runs() -> None:
    objects = environment("prod")

    assert prepared(objects)[-1] == "--webhook-secret-in=betting-secrets"
    assert "--make-webhook-secret" not in prepared(objects)
    assert rights(objects, "betting-prepare", "list") == ["betting-secrets"]
    assert secrets(pod_specs(objects)["betting-v1"]) == ["betting-secrets"]


def test_whoever_reads_the_secrets_is_told_how_mail_is_encrypted() -> None:
    specs = pod_specs(environment("prod"))

    assert {env(specs[name]).get("BETTING_SMTP_SECURITY") for name in ("betting-v1", "betting-books")} == {"starttls"}


def test_restate_takes_no_large_request() -> None:
    limit = "RESTATE_INGRESS__REQUEST_SIZE_LIMIT"

    assert env(pod_specs(render())["betting-restate"])[limit] == str(REQUEST_BYTES)
    assert env(pod_specs(render(f"--set=restate.env.{limit}=1000"))["betting-restate"])[limit] == "1000"


def test_the_mail_servers_certificate_can_be_signed_by_the_operators_own() -> None:
    spec = pod_specs(render("--set=service.smtpCaSecret=mail-ca"))["betting-v1"]

    [volume] = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "smtp-ca"]
    [mount] = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "smtp-ca"]
    assert volume["secretName"] == "mail-ca"
    assert env(spec)["BETTING_SMTP_CA_FILE"] == f"{mount['mountPath']}/ca.crt"
    assert "BETTING_SMTP_CA_FILE" not in env(pod_specs(render())["betting-v1"])


def test_three_nodes_find_each_other_and_only_provisioning_makes_them_one_cluster() -> None:
    objects = environment("prod")
    restate = one(objects, "StatefulSet", "betting-restate")
    env = {
        setting["name"]: setting.get("value") for setting in restate["spec"]["template"]["spec"]["containers"][0]["env"]
    }

    assert restate["spec"]["replicas"] == 3
    assert env["RESTATE_AUTO_PROVISION"] == "false"
    assert env["RESTATE_METADATA_CLIENT__ADDRESSES"].count("http://") == 3
    assert env["RESTATE_WORKER__SNAPSHOTS__DESTINATION"].startswith("s3://")
    assert [found for found in objects if found["kind"] == "Job" and "provision" in found["metadata"]["name"]]


def test_production_has_no_sandbox_and_its_test_moves_no_money() -> None:
    objects = environment("prod")

    assert not [found for found in objects if "sandbox" in found["metadata"]["name"]]
    assert pod_specs(objects)["betting-test"]["containers"][0]["command"][-1] == "anyone"


def test_a_disruption_budget_never_blocks_a_node_drain() -> None:
    budgets = [found["spec"] for found in environment("prod") if found["kind"] == "PodDisruptionBudget"]

    assert [budget["maxUnavailable"] for budget in budgets] == [1] * len(budgets) != []


def test_the_service_has_more_time_to_end_than_it_takes() -> None:
    grace = pod_specs(render())["betting-v1"]["terminationGracePeriodSeconds"]

    assert grace > Settings.model_fields["shutdown_grace_seconds"].default + 3
