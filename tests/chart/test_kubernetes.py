"""What Kubernetes will say to the chart: each of its versions, and Pod Security."""

from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.chart.rendered import ENVIRONMENTS, KUBERNETES, Object, environment, pod_specs

NOT_KUBERNETES = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_object_is_valid(name: str, kubernetes: str) -> None:
    for found in environment(name):
        if found["kind"] not in NOT_KUBERNETES:
            kubernetes_validate.validate(found, kubernetes, strict=True)


def restricted(spec: Object) -> None:
    """Pod Security "restricted", and more: a fixed user, a root that is never written, no API token by chance."""
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 10_000
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert all({"secret", "configMap", "emptyDir"} & set(volume) for volume in spec.get("volumes", ()))
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert not any("hostPort" in port for port in container.get("ports", ()))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_pod_is_restricted(name: str) -> None:
    specs = pod_specs(environment(name))
    assert {
        "betting-v1",
        "betting-restate",
        "betting-release",
        "betting-books",
        "betting-edge",
        "betting-register",
        "betting-test",
    } <= set(specs)

    for spec in specs.values():
        restricted(spec)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_only_what_ships_versions_has_an_api_token(name: str) -> None:
    specs = pod_specs(environment(name))

    with_token = {pod for pod, spec in specs.items() if spec.get("automountServiceAccountToken") is not False}

    assert with_token == {"betting-release", "betting-register", "betting-prepare"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_rights_end_at_the_namespace(name: str) -> None:
    kinds = {found["kind"] for found in environment(name)}

    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_names_are_short_dns_labels(name: str) -> None:
    for found in environment(name):
        label: Any = found["metadata"]["name"]
        assert len(label) <= 47, label
