"""Facts of the chart that releases depend on."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from app.dev.binaries import restate_server
from app.dev.plan import REQUEST_BYTES
from app.release.rounds import PAUSE_SECONDS
from app.settings import Settings
from tests.chart.rendered import CHART, KUBERNETES, Object, environment, notes, one, pod_specs, render, rights

INSTALLED = ("--set=versions.v1.image.tag=a",)
UPGRADED = (*INSTALLED, "--set=versions.v2.image.tag=b", "--set=current=v2")


def test_replicas_of_a_version_are_never_rendered() -> None:
    for found in render(*UPGRADED):
        if found["metadata"].get("labels", {}).get("betting/version"):
            assert "replicas" not in found["spec"]
            assert "helm.sh/resource-policy" not in found["metadata"].get("annotations", {})


def test_each_version_has_an_autoscaler_whose_floor_the_release_loop_alone_writes() -> None:
    objects = render(*UPGRADED, "--set=service.autoscaling.enabled=true,service.autoscaling.maxPods=5")

    for key in ("v1", "v2"):
        scaler = one(objects, "HorizontalPodAutoscaler", f"betting-{key}")
        kubernetes_validate.validate(scaler, KUBERNETES[0], strict=True)
        assert labels(scaler) == labels(one(objects, "Deployment", f"betting-{key}"))
        assert scaler["spec"]["scaleTargetRef"]["name"] == f"betting-{key}"
        assert scaler["spec"]["maxReplicas"] == 5
        assert "minReplicas" not in scaler["spec"]


def test_without_autoscaling_there_is_no_autoscaler() -> None:
    assert not [found for found in render(*UPGRADED) if found["kind"] == "HorizontalPodAutoscaler"]


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


@pytest.mark.parametrize(
    ("values", "off"),
    [
        ("books.enabled=true", {}),
        ("books.enabled=false", {"books": "books.enabled is false"}),
        ("release.gates.books=false", {"books": "release.gates.books"}),
        ("release.gates.books=false,books.enabled=false", {"books": "release.gates.books"}),
        ("release.gates.replay=false", {"replay": "release.gates.replay"}),
    ],
)
def test_the_notes_name_each_gate_that_is_off(values: str, off: dict[str, str]) -> None:
    told = notes(*INSTALLED, f"--set={values}")

    assert re.findall(r"(?m)^The gate (\w+) is off \((.*)\): no version is asked", told) == list(off.items())


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
    meant = '--set-json=versions.v2.accepts=["MarketService/get: output lost prices"]'
    sizes = "--set=release.bounds.replay.perHandler=7"
    anchor = one(render(*UPGRADED, meant, sizes, "--set=release.gates.replay=false"), "ConfigMap", "betting-release")

    assert anchor["data"] == {
        "current": "v2",
        "images": '{"v1":"betting:a","v2":"betting:b"}',
        "gates": '{"books":true,"contract":true,"replay":false,"state":true}',
        "bounds": json.dumps(
            {
                "replay": {"maxBytes": 16777216, "most": 500, "perHandler": 7, "seconds": 25},
                "state": {"maxBytes": 33554432, "perService": 60, "seconds": 20},
            },
            separators=(",", ":"),
        ),
        "accepts": '{"v2":["MarketService/get: output lost prices"]}',
        "revision": "1",
    }


def test_without_a_bookkeeper_no_gate_asks_it() -> None:
    anchor = one(render(*UPGRADED, "--set=books.enabled=false"), "ConfigMap", "betting-release")

    assert json.loads(anchor["data"]["gates"])["books"] is False


def test_no_hook_runs_at_a_rollback_for_one_that_fails_would_leave_it_pending() -> None:
    hooks = [found["metadata"].get("annotations", {}).get("helm.sh/hook", "") for found in render()]

    assert {hook for hook in hooks if hook} == {
        "pre-install,pre-upgrade",
        "pre-upgrade",
        "post-install,post-upgrade",
        "test",
    }


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


@pytest.mark.parametrize("setting", ["BETTING_IDENTITY_KEYS", "BETTING_MAX_OPEN_BETS"])
def test_a_setting_that_is_null_is_taken_out(setting: str) -> None:
    assert render(f"--set=service.settings.{setting}=null") == render()


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


@pytest.mark.parametrize(("image", "kept_pods"), [("", 1), ("betting:b", 0)], ids=["none", "its own"])
def test_the_sandbox_is_started_again_only_for_an_image_of_its_own(image: str, kept_pods: int) -> None:
    spec = one(render(*UPGRADED, f"--set=sandbox.image={image}"), "StatefulSet", "betting-sandbox")["spec"]

    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": kept_pods}}
    assert spec["replicas"] == 1


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
    assert "dynamic_filter_pushdown" in env["RESTATE_ADMIN__QUERY_ENGINE__DATAFUSION_OPTIONS"], "or no books"
    assert env["RESTATE_WORKER__SNAPSHOTS__DESTINATION"].startswith("s3://")
    assert [found for found in objects if found["kind"] == "Job" and "provision" in found["metadata"]["name"]]


STORE = (
    "--set=restate.snapshots.destination=s3://a/b,restate.snapshots.region=here",
    "--set=restate.snapshots.endpoint=http://store:9000,restate.snapshots.credentialsSecret=store-keys",
)


def test_restate_takes_each_setting_of_a_store_that_is_not_aws(tmp_path: Path) -> None:
    told = env(pod_specs(render(*STORE))["betting-restate"])
    ours = {name: value for name, value in told.items() if value and name.startswith("RESTATE_WORKER__SNAPSHOTS__")}

    dumped = subprocess.run(
        [restate_server(), "--dump-config"],
        env=ours | {"RESTATE_BASE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert (
        tomllib.loads(dumped.stdout)["worker"]["snapshots"].items()
        >= {
            "destination": "s3://a/b",
            "snapshot-interval-num-records": 10000,
            "num-retained": 2,
            "aws-endpoint-url": "http://store:9000",
            "aws-allow-http": True,
            "aws-region": "here",
        }.items()
    )


def test_the_keys_of_a_store_come_from_a_secret() -> None:
    [container] = pod_specs(render(*STORE))["betting-restate"]["containers"]
    references = [setting["valueFrom"].get("secretKeyRef") for setting in container["env"] if "valueFrom" in setting]

    assert [found for found in references if found] == [
        {"name": "store-keys", "key": "AWS_ACCESS_KEY_ID"},
        {"name": "store-keys", "key": "AWS_SECRET_ACCESS_KEY"},
    ]


def test_prepare_misses_the_keys_of_a_store_and_does_not_try_again_what_is_final() -> None:
    [job] = [found for found in render(*STORE) if found["metadata"]["name"].startswith("betting-prepare-")]
    [final] = job["spec"]["podFailurePolicy"]["rules"]

    assert "--needed-secret=store-keys" in job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert {1, 2, 127, 128} <= set(final["onExitCodes"]["values"])


def test_what_restates_own_settings_say_of_a_store_stands_once() -> None:
    own = "RESTATE_WORKER__SNAPSHOTS__NUM_RETAINED"
    [container] = pod_specs(render(*STORE, f"--set=restate.env.{own}=5"))["betting-restate"]["containers"]

    assert [setting["value"] for setting in container["env"] if setting["name"] == own] == ["5"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ((), {"whenUnsatisfiable": "DoNotSchedule", "minDomains": 3}),
        (("--set=restate.spread.hosts=preferred",), {"whenUnsatisfiable": "ScheduleAnyway"}),
    ],
    ids=["required", "preferred"],
)
def test_three_nodes_are_on_three_hosts_unless_that_is_taken_back(argument: tuple[str, ...], expected: Object) -> None:
    objects = render("--set=restate.replicas=3,restate.snapshots.destination=s3://a/b", *argument)
    restate = one(objects, "StatefulSet", "betting-restate")
    spread, *_ = restate["spec"]["template"]["spec"]["topologySpreadConstraints"]

    assert spread == expected | {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": restate["spec"]["selector"],
    }
    kubernetes_validate.validate(restate, KUBERNETES[0], strict=True)


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


@pytest.mark.parametrize("name", ["betting-release", "betting-books"])
def test_tools_stay_at_work_until_those_of_a_new_image_are_ready(name: str) -> None:
    spec = one(render(*UPGRADED), "Deployment", name)["spec"]

    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert "readinessProbe" in spec["template"]["spec"]["containers"][0]
    assert spec["minReadySeconds"] > PAUSE_SECONDS, "one that falls at its first look has been ready for a moment"
