"""The door as the chart brings it into a cluster: where users come in, by whose tokens, and how it ends."""

import json
import re
from typing import Any

import pytest
import yaml

from app.edge.bootstrap import CONNECTION_SECONDS, DRAIN_SECONDS, certificate
from app.edge.chart import IN_CHART
from app.edge.template import as_yaml
from app.sandbox.identity import AUDIENCE, ISSUER, ROLES_CLAIM
from tests.chart.rendered import CHART, ENVIRONMENTS, Object, environment, one, pod_specs, render

OWN_ISSUER = "--set=edge.issuer=https://id.example,edge.jwksUri=https://id.example/keys"
TLS = "--set=edge.tls.secret=certificate"
NO_DOOR = "--set=edge.enabled=false"
TOKEN_KEY = "betting-token-key"


def envoy(objects: tuple[Object, ...]) -> Object:
    """The configuration that its pods read."""
    config: Object = yaml.safe_load(one(objects, "ConfigMap", "betting-edge")["data"]["envoy.yaml"])
    return config


def issuer(objects: tuple[Object, ...]) -> Object:
    filters = envoy(objects)["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    [verified] = [each for each in filters["http_filters"] if each["name"] == "envoy.filters.http.jwt_authn"]
    told: Object = verified["typed_config"]["providers"]["issuer"]
    return told


def secrets(spec: Object) -> dict[str, set[str]]:
    """What a pod sees of each Secret."""
    mounted = [volume["secret"] for volume in spec.get("volumes", ()) if "secret" in volume]
    return {secret["secretName"]: {item["key"] for item in secret["items"]} for secret in mounted}


def command(objects: tuple[Object, ...]) -> list[str]:
    told: list[str] = pod_specs(objects)["betting-test"]["containers"][0]["command"][3:]
    return told


def test_its_pods_start_again_with_each_new_configuration_and_with_no_other_change() -> None:
    def started(*arguments: str) -> str:
        template = one(render(*arguments), "Deployment", "betting-edge")["spec"]["template"]
        return json.dumps(template, sort_keys=True)

    assert started() == started("--set=versions.v2.image.tag=b,current=v2")
    assert started() != started("--set=edge.limits.perUser=51")


def test_a_pod_that_is_to_end_goes_on_until_no_connection_is_left_and_the_longest_answer_has_come() -> None:
    spec = pod_specs(render())["betting-edge"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())["edge"]
    [container] = spec["containers"]
    goes_on: int = container["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert goes_on >= CONNECTION_SECONDS + DRAIN_SECONDS + values["limits"]["answerSeconds"]
    assert goes_on < spec["terminationGracePeriodSeconds"]


def test_the_shortest_time_that_is_taken_still_ends_all_connections() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["edge"]["properties"]
    shortest = schema["terminationGracePeriodSeconds"]["minimum"]
    spec = pod_specs(render(f"--set=edge.terminationGracePeriodSeconds={shortest}"))["betting-edge"]

    assert spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] >= CONNECTION_SECONDS + DRAIN_SECONDS


def test_there_are_two_of_it_on_different_nodes_and_one_may_be_away() -> None:
    deployment = one(render(), "Deployment", "betting-edge")["spec"]
    [spread] = deployment["template"]["spec"]["topologySpreadConstraints"]
    budget = one(render(), "PodDisruptionBudget", "betting-edge")["spec"]

    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert deployment["selector"] == spread["labelSelector"] == budget["selector"]


@pytest.mark.parametrize(
    ("arguments", "port", "entrance"),
    [
        ((), {"name": "http", "port": 8080, "targetPort": "door"}, "http://betting-edge:8080"),
        ((TLS,), {"name": "https", "port": 443, "targetPort": "door"}, "https://betting-edge"),
    ],
    ids=["plain", "tls"],
)
def test_users_come_in_by_one_port(arguments: tuple[str, ...], port: Object, entrance: str) -> None:
    objects = render(*arguments)

    assert one(objects, "Service", "betting-edge")["spec"]["ports"] == [port]
    assert command(objects) == [entrance, "deposit"]


def test_an_address_of_its_own_lets_it_count_each_clients_address() -> None:
    arguments = ("--set=edge.service.type=LoadBalancer", r"--set=edge.service.annotations.example\.com/a=b")
    service = one(render(*arguments), "Service", "betting-edge")

    assert (service["spec"]["type"], service["spec"]["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    assert service["metadata"]["annotations"] == {"example.com/a": "b"}
    assert "externalTrafficPolicy" not in one(render(), "Service", "betting-edge")["spec"]


def test_the_certificate_is_named_apart_so_that_a_renewed_one_is_taken_without_a_start() -> None:
    kept = (CHART / "files" / "edge-tls.yaml").read_text()
    objects = render(TLS)

    assert kept == as_yaml(certificate(IN_CHART)), "stale: make edge"
    assert yaml.safe_load(one(objects, "ConfigMap", "betting-edge")["data"]["tls.yaml"]) == yaml.safe_load(kept)
    assert secrets(pod_specs(objects)["betting-edge"])["certificate"] == {"tls.crt", "tls.key"}
    assert secrets(pod_specs(objects)["betting-test"])["certificate"] == {"tls.crt"}


def test_without_an_issuer_the_sandbox_signs_tokens_and_the_door_has_the_public_key_alone() -> None:
    objects = render()
    specs = pod_specs(objects)

    assert "--make-token-key" in specs["betting-prepare"]["containers"][0]["command"]
    assert secrets(specs["betting-edge"]) == {TOKEN_KEY: {"jwks.json"}}
    assert secrets(specs["betting-sandbox"]) == secrets(specs["betting-test"]) == {TOKEN_KEY: {"private.pem"}}
    assert issuer(objects)["issuer"] == ISSUER
    assert issuer(objects)["audiences"] == [AUDIENCE]
    assert issuer(objects)["local_jwks"] == {"filename": "/etc/envoy/keys/jwks.json"}
    assert f'local ROLES_CLAIM = "{ROLES_CLAIM}"' in str(envoy(objects))


def test_the_key_that_signs_tokens_is_where_the_command_looks_for_it() -> None:
    for name in ("betting-sandbox", "betting-test"):
        [container] = pod_specs(render())[name]["containers"]
        [key] = [each["value"] for each in container["env"] if each["name"] == "BETTING_TOKEN_KEY"]
        [mount] = [each for each in container["volumeMounts"] if each["name"] == "token-key"]

        assert key == f"{mount['mountPath']}/private.pem"


@pytest.mark.parametrize("arguments", [(OWN_ISSUER,), (NO_DOOR,)], ids=["an issuer", "no door"])
def test_no_key_of_ours_is_made_or_mounted_where_none_is_needed(arguments: tuple[str, ...]) -> None:
    specs = pod_specs(render(*arguments))

    assert "--make-token-key" not in specs["betting-prepare"]["containers"][0]["command"]
    assert TOKEN_KEY not in str([secrets(spec) for spec in specs.values()])
    assert "'name': 'BETTING_TOKEN_KEY'" not in str(specs)


def test_an_issuer_of_ones_own_is_the_only_one() -> None:
    told = issuer(environment("prod"))

    assert (told["issuer"], told["audiences"]) == ("https://id.example.com", ["betting"])
    assert told["remote_jwks"]["http_uri"]["uri"] == "https://id.example.com/keys"
    assert "local_jwks" not in told


def test_keys_can_be_given_as_they_are() -> None:
    keys = '{"keys": []}'
    told = issuer(render("--set=edge.issuer=https://id.example", f"--set-json=edge.jwks={json.dumps(keys)}"))

    assert told["local_jwks"] == {"inline_string": keys}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), ["http://betting-edge:8080", "deposit"]),
        ((OWN_ISSUER,), ["http://betting-edge:8080", "anyone"]),
        ((NO_DOOR,), ["http://betting-restate:8080", "deposit"]),
    ],
    ids=["the sandbox signs", "an issuer signs", "no door"],
)
def test_helm_test_goes_where_users_come_in(arguments: tuple[str, ...], told: list[str]) -> None:
    assert command(render(*arguments)) == told


def test_where_a_gateway_stands_in_production_is_tested_without_moving_money() -> None:
    gateway = '--set-json=networkPolicy.ingressFrom=[{"podSelector": {"matchLabels": {"app": "gateway"}}}]'
    prod = f"--values={CHART.parents[1]}/k8s/prod.yaml"

    assert command(render(prod, NO_DOOR, gateway)) == ["http://betting-restate:8080", "look"]


def test_without_a_door_nothing_of_it_is_there() -> None:
    names = [found["metadata"]["name"] for found in render(NO_DOOR, "--set=monitoring.podMonitor=true")]

    assert not [name for name in names if "edge" in name]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_identity_is_required_unless_the_sandbox_is_on(name: str) -> None:
    [container] = pod_specs(environment(name))["betting-v1"]["containers"]
    told: dict[str, Any] = {each["name"]: each.get("value") for each in container["env"]}

    assert told["BETTING_REQUIRE_IDENTITY"] == ("true" if name == "prod" else "false")


def test_its_image_can_be_named_by_digest_and_is_never_one_that_moves() -> None:
    digest = f"registry.example/envoy@sha256:{'0' * 64}"
    usual = pod_specs(render())["betting-edge"]["containers"][0]["image"]

    assert pod_specs(render(f"--set=edge.image={digest}"))["betting-edge"]["containers"][0]["image"] == digest
    assert re.fullmatch(r"envoyproxy/envoy:distroless-v\d+\.\d+\.\d+", usual)
