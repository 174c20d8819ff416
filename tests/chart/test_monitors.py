"""How the chart lets itself be watched: what is scraped, by which job, once, and who may."""

import pytest

from app.settings import Settings
from tests.chart.rendered import Object, environment, one, pod_specs, render

JOBS = {
    "betting-versions": "betting-service",
    "betting-release": "betting-release",
    "betting-books": "betting-books",
    "betting-edge": "betting-edge",
    "betting-restate": "betting-restate",
}
PROMETHEUS = '--set-json=monitoring.from=[{"namespaceSelector":{"matchLabels":{"name":"watching"}}}]'
WATCHED = ("--set=monitoring.serviceMonitor=true", "--set=monitoring.podMonitor=true", PROMETHEUS)


def monitors() -> dict[str, Object]:
    return {found["metadata"]["name"]: found for found in render(*WATCHED) if found["kind"].endswith("Monitor")}


def endpoint(monitor: Object) -> Object:
    [found] = monitor["spec"].get("podMetricsEndpoints") or monitor["spec"]["endpoints"]
    told: Object = found
    return told


def labels_of(found: Object) -> Object:
    """The labels of the pods of an object."""
    labels: Object = found["spec"]["template"]["metadata"]["labels"]
    return labels


def selects(selector: Object, labels: Object) -> bool:
    return selector.items() <= labels.items()


def workloads() -> dict[str, Object]:
    return {found["metadata"]["name"]: found for found in render(*WATCHED) if "template" in found.get("spec", {})}


def setting(container: Object, name: str) -> str | None:
    values = [known.get("value") for known in container["env"] if known["name"] == name]
    assert len(values) <= 1, f"{name} is set twice"
    return values[0] if values else None


def test_every_monitor_names_the_job_that_dashboards_and_alerts_ask_for() -> None:
    jobs = {
        name: [rule["replacement"] for rule in endpoint(monitor)["relabelings"] if rule["targetLabel"] == "job"]
        for name, monitor in monitors().items()
    }

    assert jobs == {name: [job] for name, job in JOBS.items()}


def test_the_numbers_of_a_version_bear_its_key() -> None:
    rules = endpoint(monitors()["betting-versions"])["relabelings"]

    assert {"sourceLabels": ["__meta_kubernetes_pod_label_betting_version"], "targetLabel": "version"} in rules
    assert labels_of(workloads()["betting-v1"])["betting/version"] == "v1"


PATHS = {"betting-versions": "/metrics", "betting-release": "/metrics", "betting-books": "/metrics",
         "betting-edge": "/stats/prometheus"}  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_a_pod_monitor_selects_the_pods_of_one_workload_that_have_its_port(name: str) -> None:
    monitor = monitors()[name]
    selected = [
        found for found in workloads().values() if selects(monitor["spec"]["selector"]["matchLabels"], labels_of(found))
    ]

    [workload] = selected
    [container] = workload["spec"]["template"]["spec"]["containers"]
    assert endpoint(monitor)["port"] in {port["name"] for port in container["ports"]}
    assert endpoint(monitor)["path"] == PATHS[name]


def test_restate_is_behind_one_monitored_service_so_that_no_pod_is_scraped_twice() -> None:
    monitor = monitors()["betting-restate"]
    pods = labels_of(workloads()["betting-restate"])
    services = [found for found in render(*WATCHED) if found["kind"] == "Service"]

    before_its_pods = [found for found in services if selects(found["spec"]["selector"], pods)]
    selector = monitor["spec"]["selector"]["matchLabels"]
    monitored = [found for found in before_its_pods if selects(selector, found["metadata"]["labels"])]

    assert [[port["name"] for port in service["spec"]["ports"]] for service in before_its_pods] == [
        ["ingress"],
        ["admin"],
        ["node"],
    ]
    [service] = monitored
    assert endpoint(monitor)["port"] in {port["name"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize(
    ("policy", "port"),
    [
        ("betting-versions", "metrics"),
        ("betting-release", "metrics"),
        ("betting-books", "metrics"),
        ("betting-edge", "metrics"),
        ("betting-restate", "node"),
    ],
)
def test_prometheus_reaches_every_metrics_port_only_where_the_values_say_that_it_is(policy: str, port: str) -> None:
    peer = {"namespaceSelector": {"matchLabels": {"name": "watching"}}}

    def let_in(*arguments: str) -> list[Object]:
        rules = one(render(*arguments), "NetworkPolicy", policy)["spec"].get("ingress", ())
        return [known for rule in rules if {"port": port} in rule["ports"] for known in rule["from"]]

    assert peer in let_in(PROMETHEUS)
    assert peer not in let_in()


def test_the_bookkeeper_reaches_restate_and_needs_no_right_of_kubernetes() -> None:
    objects = render()
    spec = pod_specs(objects)["betting-books"]
    [container] = spec["containers"]
    books = labels_of(one(objects, "Deployment", "betting-books"))
    policy = one(objects, "NetworkPolicy", "betting-restate")
    admin = next(rule for rule in policy["spec"]["ingress"] if rule["ports"] == [{"port": "admin"}])

    assert setting(container, "BETTING_BOOKS_ADMIN") == "http://betting-restate-admin:9070"
    assert setting(container, "BETTING_BOOKS_INGRESS") == "http://betting-restate:8080"
    assert any(selects(peer["podSelector"]["matchLabels"], books) for peer in admin["from"])
    assert spec["automountServiceAccountToken"] is False


def test_the_bookkeeper_runs_the_current_version_and_waits_as_long_as_its_deposits_do() -> None:
    wait = "BETTING_CHARGE_WAIT_SECONDS"
    arguments = ("--set=versions.v1.image.tag=a", "--set=versions.v2.image.tag=b", "--set=current=v2")
    [usual] = pod_specs(render(*arguments))["betting-books"]["containers"]
    [longer] = pod_specs(render(*arguments, f"--set=versions.v2.settings.{wait}=40"))["betting-books"]["containers"]

    assert usual["image"] == "betting:b"
    assert setting(usual, wait) is None
    assert setting(longer, wait) == "40"


def test_the_bookkeeper_asks_the_provider_that_the_versions_have_with_their_secrets_and_repairs() -> None:
    url = "BETTING_PROVIDER_URL"
    arguments = ("--set=sandbox.enabled=false", f"--set=service.settings.{url}=https://psp.example.com",
                 "--set=service.settings.BETTING_SMTP_HOST=mail", "--set=service.secrets={psp}",
                 "--set=edge.issuer=i,edge.jwksUri=https://i/keys")  # fmt: skip
    [usual] = pod_specs(render())["betting-books"]["containers"]
    [real] = pod_specs(render(*arguments, "--set=books.repair=false"))["betting-books"]["containers"]

    assert (setting(usual, url), setting(usual, "BETTING_BOOKS_REPAIR")) == ("http://betting-sandbox:9090", "true")
    assert (setting(real, url), setting(real, "BETTING_BOOKS_REPAIR")) == ("https://psp.example.com", "false")
    assert {"secretRef": {"name": "psp"}} in real["envFrom"]


def test_without_a_bookkeeper_nothing_of_it_is_there() -> None:
    objects = render(*WATCHED, "--set=books.enabled=false")

    assert not [found for found in objects if "books" in found["metadata"]["name"]]
    assert "books" not in str(one(objects, "NetworkPolicy", "betting-restate"))


def test_a_version_counts_in_memory_that_outlives_its_process_and_is_bounded() -> None:
    spec = pod_specs(render())["betting-v1"]
    [container] = spec["containers"]
    [volume] = spec["volumes"]
    [mount] = container["volumeMounts"]
    folder = setting(container, "BETTING_METRICS_DIR")

    assert {"name": "metrics", "containerPort": 9095} in container["ports"]
    assert setting(container, "BETTING_METRICS_PORT") == "9095"
    assert setting(container, "BETTING_VERSION") == "v1"
    assert folder is not None
    assert folder.startswith(mount["mountPath"] + "/")
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}


@pytest.mark.parametrize("given", [None, "text"])
def test_logs_are_json_unless_the_values_say_otherwise(given: str | None) -> None:
    arguments = () if given is None else (f"--set=service.settings.BETTING_LOG_FORMAT={given}",)
    [container] = pod_specs(render(*arguments))["betting-v1"]["containers"]

    assert setting(container, "BETTING_LOG_FORMAT") == (given or "json")


@pytest.mark.parametrize("endpoint", ["http://collector:4318", "http://collector:4318/"])
def test_traces_of_service_and_restate_go_to_one_collector_by_otlp_over_http(endpoint: str) -> None:
    specs = pod_specs(render(f"--set=otel.endpoint={endpoint}"))
    [service] = specs["betting-v1"]["containers"]
    [restate] = specs["betting-restate"]["containers"]

    assert setting(service, "BETTING_OTEL_ENDPOINT") == endpoint.rstrip("/")
    assert setting(restate, "RESTATE_TRACING_ENDPOINT") == "otlp+http://collector:4318/v1/traces"


def test_without_a_collector_nothing_is_traced() -> None:
    for spec in pod_specs(render()).values():
        assert not {"BETTING_OTEL_ENDPOINT", "RESTATE_TRACING_ENDPOINT"} & {
            known["name"] for known in spec["containers"][0].get("env", ())
        }


def test_every_setting_that_the_chart_makes_is_one() -> None:
    [container] = pod_specs(render("--set=otel.endpoint=http://collector:4318"))["betting-v1"]["containers"]
    known = {f"BETTING_{name.upper()}" for name in Settings.model_fields}

    assert {setting["name"] for setting in container["env"]} <= known


def test_production_is_watched() -> None:
    kinds = [found["kind"] for found in environment("prod")]

    assert (kinds.count("ServiceMonitor"), kinds.count("PodMonitor")) == (1, 4)
