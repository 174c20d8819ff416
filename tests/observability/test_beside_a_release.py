"""The small Prometheus and Grafana beside a release: valid, restricted, and with the same targets as the monitors."""

import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.chart.rendered import KUBERNETES, ROOT, Object, one, pod_specs, render
from tests.observability.prometheus import program

PLACE = ROOT / "k8s" / "observability"
VALUES = f"--values={PLACE}/values.yaml"
MONITORED = (VALUES, "--set=monitoring.serviceMonitor=true", "--set=monitoring.podMonitor=true")
KUBECTL = Path(sys.executable).parent / "kubectl"
"""It comes with the virtual environment, as a wheel."""
META = "__meta_kubernetes_pod_label_"

Labels = dict[str, str]


@functools.cache
def kustomized() -> tuple[Object, ...]:
    command = [str(KUBECTL), "kustomize", str(PLACE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(found for found in yaml.safe_load_all(done.stdout) if found)


def prometheus_config() -> Object:
    config: Object = yaml.safe_load((PLACE / "prometheus.yml").read_text())
    return config


def relabelled(rules: list[Object], labels: Labels) -> Labels | None:
    """What Prometheus makes of a target's labels; None if it drops the target."""
    labels = dict(labels)
    for rule in rules:
        names: list[str] = rule.get("source_labels") or rule.get("sourceLabels") or []
        joined = ";".join(labels.get(name, "") for name in names)
        found = re.fullmatch(rule.get("regex", "(.*)"), joined)
        match rule.get("action", "replace"):
            case "keep" if found is None:
                return None
            case "drop" if found is not None:
                return None
            case "replace" if found is not None:
                target = rule.get("target_label") or rule["targetLabel"]
                labels[target] = found.expand(rule.get("replacement", "$1").replace("$", "\\"))
    return {name: value for name, value in labels.items() if value and not name.startswith("__")}


def pods() -> dict[str, tuple[Labels, list[str]]]:
    """The labels of the pods of each workload, as Prometheus discovers them, and the names of their ports."""
    found = {}
    for workload in render(*MONITORED):
        if "template" in workload.get("spec", {}):
            template: Object = workload["spec"]["template"]
            told = {META + re.sub(r"\W", "_", name): value for name, value in template["metadata"]["labels"].items()}
            ports = [port["name"] for port in template["spec"]["containers"][0].get("ports", ())]
            found[workload["metadata"]["name"]] = (told, ports)
    return found


def selected_pods(monitor: Object) -> Labels:
    """The labels by which a monitor finds pods; a monitor of Services finds those behind them."""
    wanted: Labels = monitor["spec"]["selector"]["matchLabels"]
    if monitor["kind"] == "PodMonitor":
        return wanted
    services = [found for found in render(*MONITORED) if found["kind"] == "Service"]
    [service] = [found for found in services if wanted.items() <= found["metadata"]["labels"].items()]
    pods: Labels = service["spec"]["selector"]
    return pods


def test_its_targets_have_the_jobs_and_versions_that_the_monitors_give_them() -> None:
    [scraped] = prometheus_config()["scrape_configs"]
    targets = set()
    for labels, ports in pods().values():
        for port in ports or [""]:
            target = relabelled(
                scraped["relabel_configs"], {**labels, "__meta_kubernetes_pod_container_port_name": port}
            )
            if target is not None:
                targets.add((target["job"], target.get("version")))

    monitored = set()
    for monitor in (found for found in render(*MONITORED) if found["kind"].endswith("Monitor")):
        [endpoint] = monitor["spec"].get("podMetricsEndpoints") or monitor["spec"]["endpoints"]
        wanted = selected_pods(monitor).items()
        for labels, ports in pods().values():
            known = {META + re.sub(r"\W", "_", name): value for name, value in wanted}
            if known.items() <= labels.items() and endpoint["port"] in ports:
                target = relabelled(endpoint["relabelings"], labels) or {}
                monitored.add((target["job"], target.get("version")))

    jobs = {("betting-service", "v1"), *((f"betting-{name}", None) for name in ("release", "books", "edge", "restate"))}
    assert targets == monitored == jobs


def test_pods_that_have_ended_are_no_targets_and_namespaces_are_labels() -> None:
    [scraped] = prometheus_config()["scrape_configs"]
    labels, _ = pods()["betting-books"]
    there = {**labels, "__meta_kubernetes_pod_container_port_name": "metrics", "__meta_kubernetes_namespace": "shop"}

    running = relabelled(scraped["relabel_configs"], {**there, "__meta_kubernetes_pod_phase": "Running"})

    assert running is not None
    assert running["namespace"] == "shop"
    assert relabelled(scraped["relabel_configs"], {**there, "__meta_kubernetes_pod_phase": "Failed"}) is None


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    config = prometheus_config()
    [scraped] = config["scrape_configs"]
    del scraped["kubernetes_sd_configs"]  # Debian's Prometheus is built without
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    command = [str(program("promtool")), "check", "config", "--syntax-only", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_every_object_is_valid(kubernetes: str) -> None:
    for found in kustomized():
        kubernetes_validate.validate(found, kubernetes, strict=True)


def test_every_pod_is_restricted_and_its_image_pinned() -> None:
    specs = pod_specs(kustomized())

    assert set(specs) == {"betting-prometheus", "betting-grafana"}
    for spec in specs.values():
        [container] = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert re.search(r":v?\d+\.\d+\.\d+$", container["image"])
        assert "memory" in container["resources"]["limits"]


def test_only_prometheus_has_a_right_and_it_is_to_see_pods() -> None:
    [role] = [found for found in kustomized() if found["kind"] == "Role"]

    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    assert pod_specs(kustomized())["betting-grafana"]["automountServiceAccountToken"] is False
    assert not [found for found in kustomized() if found["kind"].startswith("Cluster")]


def volume(spec: Object, name: str) -> Object:
    [found] = [known for known in spec["volumes"] if known["name"] == name]
    told: Object = found
    return told


def test_it_mounts_the_dashboards_and_alerts_that_the_chart_makes() -> None:
    config_maps = [found for found in render(VALUES) if found["kind"] == "ConfigMap"]
    made = {found["metadata"]["name"]: found.get("data", {}) for found in config_maps}
    specs = pod_specs(kustomized())
    rules = volume(specs["betting-prometheus"], "rules")["configMap"]
    sources = volume(specs["betting-grafana"], "dashboards")["projected"]["sources"]
    [grafana] = specs["betting-grafana"]["containers"]
    home: Any = next(known["value"] for known in grafana["env"] if known["name"].endswith("HOME_DASHBOARD_PATH"))

    dashboards = {source["configMap"]["name"] for source in sources}
    assert dashboards == {name for name in made if "-dashboard-" in name}
    assert home.removeprefix("/dashboards/") in {file for name in dashboards for file in made[name]}
    assert rules["name"] in made
    assert rules["optional"] is True
    assert all(source["configMap"]["optional"] for source in sources)


def test_the_rule_file_holds_the_same_alerts_as_the_prometheus_rule() -> None:
    objects = render(VALUES, "--set=monitoring.rules=true")

    [file] = one(objects, "ConfigMap", "betting-rules")["data"].values()
    assert yaml.safe_load(file) == one(objects, "PrometheusRule", "betting")["spec"]


def test_the_policies_of_the_release_let_this_prometheus_in_and_its_own_let_grafana_in() -> None:
    prometheus = {"app.kubernetes.io/name": "betting-prometheus"}
    policy = one(kustomized(), "NetworkPolicy", "betting-prometheus")["spec"]
    deployment = one(kustomized(), "Deployment", "betting-grafana")["spec"]["template"]["metadata"]["labels"]

    for name in ("versions", "release", "books", "restate"):
        let_in = one(render(VALUES), "NetworkPolicy", f"betting-{name}")["spec"]["ingress"][-1]
        assert {"podSelector": {"matchLabels": prometheus}} in let_in["from"]
    assert one(kustomized(), "Deployment", "betting-prometheus")["spec"]["template"]["metadata"]["labels"] == prometheus
    assert policy["ingress"][0]["from"] == [{"podSelector": {"matchLabels": deployment}}]


def test_grafana_asks_the_prometheus_beside_it() -> None:
    [source] = yaml.safe_load((PLACE / "datasources.yaml").read_text())["datasources"]
    service = one(kustomized(), "Service", "betting-prometheus")

    assert source["url"] == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"


def test_of_the_release_it_needs_nothing_of_the_operator() -> None:
    assert not {found["kind"] for found in render(VALUES)} & {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
