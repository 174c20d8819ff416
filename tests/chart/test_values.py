"""What the chart takes, and what it refuses in words that help."""

import json
from pathlib import Path

import helm_python
import pytest
import yaml
from helm_python import HelmError

from tests.chart.rendered import CHART, ENVIRONMENTS, ROOT, environment, helm, pod_specs, render

TWO = ("--set=versions.v1.image.tag=a", "--set=versions.v2.image.tag=b", "--set=current=v2")
PROD = f"--values={ROOT}/k8s/prod.yaml"

STORE = "--set=restate.snapshots.destination=s3://a/b"
ISSUER = "--set=edge.issuer=i,edge.jwksUri=https://i/keys"

REFUSED = (
    ("an unknown value", ("--set=verisons.v1.image.tag=a",), "'verisons' not allowed"),
    ("versions as a list", ("--set-json=versions=[]",), "at '/versions': got array, want object"),
    (
        "a key that is no DNS label",
        ("--set=versions.V_1.image.tag=a",),
        "versions.V_1: a version's key is part of the names of Kubernetes objects: at most 20 of a-z, 0-9 and -",
    ),
    ("a current that is no DNS label", ("--set=current=V_1",), "versions.V_1: a version's key is part of the names"),
    ("a key that is too long", (f"--set=versions.{'v' * 21}.image.tag=a",), "at most 20 of a-z, 0-9 and -"),
    (
        "a tag that moves",
        ("--set=versions.v1.image.tag=latest",),
        "versions.v1.image.tag: latest is another image tomorrow, and a version is one image for ever",
    ),
    ("a name that no object may have", ("--set=fullnameOverride=B_1",), "at '/fullnameOverride'"),
    (
        "a current that is no version",
        ("--set=versions.v1.image.tag=a", "--set=current=v9"),
        'current: "v9" is no key of versions (v1)',
    ),
    ("two Restate nodes", ("--set=restate.replicas=2",), "at '/restate/replicas': value must be one of 1, 3"),
    ("three nodes without snapshots", ("--set=restate.replicas=3",), "needs restate.snapshots.destination"),
    (
        "a store without a region",
        (f"{STORE},restate.snapshots.endpoint=http://store:9000",),
        "restate.snapshots.endpoint needs restate.snapshots.region",
    ),
    (
        "credentials for a store that takes none",
        ("--set=restate.snapshots.destination=gs://a,restate.snapshots.credentialsSecret=s",),
        "restate.snapshots.credentialsSecret is about an s3:// store",
    ),
    (
        "credentials twice",
        (f"{STORE},restate.snapshots.credentialsSecret=s,restate.env.AWS_ACCESS_KEY_ID=a",),
        "restate.env.AWS_ACCESS_KEY_ID and restate.snapshots.credentialsSecret say the same",
    ),
    (
        "a store by no web address",
        (f"{STORE},restate.snapshots.endpoint=store:9000",),
        "at '/restate/snapshots/endpoint'",
    ),
    ("a spread that is none", ("--set=restate.spread.hosts=maybe",), "at '/restate/spread/hosts'"),
    ("a spread over zones that is none", ("--set=restate.spread.zones=required",), "at '/restate/spread/zones'"),
    ("a label of hosts that is no text", ("--set=nodeSelector.fast=true",), "at '/nodeSelector/fast'"),
    ("a toleration that is none", ("--set=edge.tolerations[0].keys=x",), "'keys' not allowed"),
    ("an affinity that is none", ('--set-json=service.affinity={"hosts": {}}',), "'hosts' not allowed"),
    (
        "a memory limit that Restate does not fit in",
        ("--set=restate.resources.limits.memory=1000Mi",),
        "limits.memory: 1000Mi leaves 376 MiB beside what Restate's parts share, 250 of it for RocksDB, "
        "and 384 are needed: raise it to 1Gi at least",
    ),
    (
        "a RocksDB that leaves Restate no room",
        ("--set=restate.rocksdbMemory=1GiB",),
        "leaves 256 MiB beside what Restate's parts share, 1024 of it for RocksDB, and 384 are needed: raise it, or "
        "lower restate.rocksdbMemory",
    ),
    ("a setting that is none of ours", ("--set=service.settings.SMTP_HOST=mail",), "'SMTP_HOST' not allowed"),
    (
        "no sandbox and no provider",
        ("--set=sandbox.enabled=false,edge.issuer=i,edge.jwksUri=https://i/keys",),
        "needs service.settings.BETTING_PROVIDER_URL",
    ),
    (
        "no sandbox and no issuer",
        (PROD, "--set=edge.issuer=,edge.jwksUri="),
        "sandbox.enabled: false needs edge.issuer",
    ),
    (
        "no sandbox and no door",
        (PROD, "--set=edge.enabled=false"),
        "sandbox.enabled: false needs a door: edge.enabled with edge.issuer, or networkPolicy.ingressFrom",
    ),
    ("an issuer without keys", ("--set=edge.issuer=i",), "edge.issuer needs its public keys"),
    (
        "an issuer's keys twice",
        (ISSUER, '--set-json=edge.jwks="{}"'),
        "edge.jwksUri or edge.jwks, and one of them only",
    ),
    (
        "keys of no issuer",
        ("--set=edge.jwksUri=https://i/keys",),
        "say how tokens of edge.issuer look, and there is none",
    ),
    (
        "an audience of no issuer",
        ("--set=edge.audience=shop",),
        "say how tokens of edge.issuer look, and there is none",
    ),
    (
        "a private key among the public ones",
        ("--set=edge.issuer=i", r'--set-json=edge.jwks="{\"keys\": [{\"kty\": \"RSA\", \"d\": \"x\"}]}"'),
        "edge.jwks has a private or shared key",
    ),
    ("keys by no web address", ("--set=edge.issuer=i,edge.jwksUri=ldap://i",), "at '/edge/jwksUri'"),
    ("an origin with a path", ("--set=edge.origins={https://bet.example.com/}",), "at '/edge/origins/0'"),
    ("a door that moves", ("--set=edge.image=envoyproxy/envoy:latest",), "at '/edge/image': 'not' failed"),
    ("a door that ends too soon", ("--set=edge.terminationGracePeriodSeconds=10",), "minimum: got 10, want 40"),
    (
        "an egress rule that is a peer",
        ('--set-json=networkPolicy.egress.restate=[{"ipBlock": {}}]',),
        "'ipBlock' not allowed",
    ),
    ("no sandbox and no webhook secret", (PROD, "--set-json=service.secrets=[]"), "has BETTING_WEBHOOK_SECRET"),
    (
        "a secret in the values",
        ("--set=service.settings.BETTING_WEBHOOK_SECRET=x",),
        "BETTING_WEBHOOK_SECRET is a secret and stands in the values",
    ),
    (
        "a secret in a version's values",
        ("--set=versions.v1.settings.BETTING_PROVIDER_KEY=x",),
        "BETTING_PROVIDER_KEY is a secret and stands in the values",
    ),
    ("a storage size that is none", ("--set=restate.storage.size=big",), "at '/restate/storage/size'"),
    (
        "a storage size of half a byte",
        ("--set=restate.storage.size=500m",),
        "restate.storage.size: 500m is 1 bytes; a volume has at least 1Mi (m is a thousandth, M a million)",
    ),
    ("no storage", ("--set=sandbox.storage.size=0",), "sandbox.storage.size: 0 is 0 bytes"),
    ("a collector without a scheme", ("--set=otel.endpoint=collector:4318",), "at '/otel/endpoint'"),
    ("a bookkeeper that never looks", ("--set=books.everySeconds=0",), "minimum: got 0, want 1"),
    (
        "an autoscaler that may give too few pods",
        ("--set=service.autoscaling.enabled=true,service.autoscaling.maxPods=2,versions.v1.pods=3",),
        "service.autoscaling.maxPods: 2 is less than the 3 pods with which v1 serves",
    ),
    (
        "an autoscaler of pods that request no CPU",
        ("--set=service.autoscaling.enabled=true", '--set-json=versions.v1.resources={"limits":{"memory":"512Mi"}}'),
        "service.autoscaling: the pods of v1 request no CPU",
    ),
    (
        "a place for snapshots without a bucket",
        ("--set=restate.snapshots.destination=s3://",),
        "does not match pattern",
    ),
    ("an autoscaler by no load", ("--set=service.autoscaling.cpuPercent=0",), "minimum: got 0, want 1"),
    ("no pods", ("--set=service.pods=0",), "minimum: got 0, want 1"),
)


@pytest.mark.parametrize(("arguments", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_wrong_values_are_refused_with_a_readable_message(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(HelmError) as refused:
        helm(*arguments)

    assert message in str(refused.value)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_values_of_each_environment_are_taken(name: str) -> None:
    assert environment(name)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_helm_finds_nothing_to_warn_of(name: str) -> None:
    values = helm_python.values_from_yaml((ROOT / "k8s" / f"{name}.yaml").read_text())

    report = helm_python.lint(CHART, values, namespace="shop", kube_version="v1.30.0")

    information = 1
    assert [told for told in report["messages"] if told["severity"] > information] == report["errors"] == []


def test_every_default_is_described_by_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert set(schema["properties"]) == {*values, "global"}
    for part, known in values.items():
        if "properties" in schema["properties"][part]:
            assert set(schema["properties"][part]["properties"]) == set(known), part


def test_a_version_is_added_and_taken_out_by_its_key() -> None:
    both = {found["metadata"]["name"] for found in render(*TWO) if found["kind"] == "Deployment"}
    without = {
        found["metadata"]["name"] for found in render(*TWO, "--set=versions.v1=null") if found["kind"] == "Deployment"
    }

    assert both - without == {"betting-v1", "betting-v1-rehearsal"}
    assert "betting-v2" in without


def test_no_key_stands_in_the_defaults_for_it_could_not_be_taken_out() -> None:
    assert yaml.safe_load((CHART / "values.yaml").read_text())["versions"] == {}


@pytest.mark.parametrize(("given", "written"), [("10000000", "10000000"), ("2.5", "2.5"), ("true", "true")])
def test_a_setting_is_written_as_it_is_read(tmp_path: Path, given: str, written: str) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(f"service: {{settings: {{BETTING_A: {given}}}}}\nrestate: {{env: {{RESTATE_A: {given}}}}}")
    specs = pod_specs(render(f"--values={values}"))

    assert {"name": "BETTING_A", "value": written} in specs["betting-v1"]["containers"][0]["env"]
    assert {"name": "RESTATE_A", "value": written} in specs["betting-restate"]["containers"][0]["env"]
