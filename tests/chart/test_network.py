"""Who reaches whom: each of our pods has a policy, both ways, and what it needs and nothing else is in it."""

from itertools import product

import pytest

from tests.chart.rendered import CHART, ENVIRONMENTS, Object, environment, one, pod_specs, render

PROD = f"--values={CHART.parents[1]}/k8s/prod.yaml"
PORTS = {
    "ingress": 8080,
    "admin": 9070,
    "node": 5122,
    "service": 9080,
    "rehearsal": 9080,
    "http": 9090,
    "smtp": 1025,
    "door": 8080,
}
"""The numbers of named ports."""
METRICS = {"version": 9095, "books": 9101}
"""Where the release loop reads their numbers; all have that port under one name."""
GATEWAY = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}
INGRESS_FROM = f"--set-json=networkPolicy.ingressFrom=[{str(GATEWAY).replace(chr(39), chr(34))}]"

REACHED = {
    "edge": {("restate", 8080)},
    "restate": {("version", 9080), ("rehearsal", 9080), ("restate", 5122)},
    "version": {("sandbox", 9090), ("sandbox", 1025)},
    "release": {("restate", 9070), ("version", 9095), ("rehearsal", 9080), ("books", 9101)},
    "books": {("restate", 8080), ("restate", 9070), ("sandbox", 9090)},
    "sandbox": {("restate", 8080)},
    "rehearsal": set[tuple[str, int]](),
    "test": {("edge", 8080)},
    "prepare": {("restate", 9070)},
    "restate-trial": set[tuple[str, int]](),
}
"""What the pods of each component open connections to, of ours."""


def policies(objects: tuple[Object, ...]) -> dict[str, Object]:
    """The policies, each by the component that it is about."""
    found = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
    return {spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: spec for spec in found}


def component(peer: Object) -> str | None:
    labels: dict[str, str] = peer.get("podSelector", {}).get("matchLabels", {})
    return labels.get("app.kubernetes.io/component")


def ours(rules: list[Object], side: str, metrics: int = 0) -> set[tuple[str, int]]:
    """Our own components, with the ports, that rules are about."""
    numbers = PORTS | {"metrics": metrics}
    return {
        (name, numbers.get(port["port"], port["port"]))
        for rule in rules
        for port, peer in product(rule["ports"], rule.get(side, ()))
        if (name := component(peer))
    }


def outside(spec: Object) -> list[Object]:
    """What else a component reaches, but for the resolution of names."""
    return [
        rule
        for rule in spec.get("egress", ())
        if not any(component(peer) for peer in rule.get("to", ())) and rule["ports"][0]["port"] != 53
    ]


def ports(rules: list[Object]) -> list[int]:
    return [port["port"] for rule in rules for port in rule["ports"]]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_pod_has_a_policy_for_what_comes_in_and_what_goes_out(name: str) -> None:
    objects = environment(name)
    components = set()
    for found in objects:
        pod = found if found["kind"] == "Pod" else found.get("spec", {}).get("template")
        if pod:
            components.add(pod["metadata"]["labels"]["app.kubernetes.io/component"])

    assert set(policies(objects)) == components
    assert len(pod_specs(objects)) >= len(components)
    assert {tuple(spec["policyTypes"]) for spec in policies(objects).values()} == {("Ingress", "Egress")}


def test_our_pods_reach_of_each_other_what_they_need_and_are_let_in_there() -> None:
    specs = policies(render())
    goes = {name: ours(spec["egress"], "to") for name, spec in specs.items()}
    comes = {name: ours(spec.get("ingress", []), "from", METRICS.get(name, 0)) for name, spec in specs.items()}

    assert goes == REACHED
    for name, reached in REACHED.items():
        for target, port in reached - {("edge", 8080)}:  # which everyone reaches
            assert (name, port) in comes[target], f"{target} does not let {name} in"
    for name, let_in in comes.items():
        for source, port in let_in - {("restate-provision", 5122), ("books", 1025)}:
            assert (name, port) in REACHED[source], f"{name} lets {source} in, which does not come"


def test_users_reach_the_door_and_nothing_else() -> None:
    open_to_all = [
        (name, rule["ports"])
        for name, spec in policies(render()).items()
        for rule in spec.get("ingress", ())
        if not rule.get("from")
    ]

    assert open_to_all == [("edge", [{"port": "door"}])]


def test_who_reaches_the_door_can_be_named_and_our_test_may_still() -> None:
    arguments = '--set-json=edge.from=[{"namespaceSelector": {"matchLabels": {"name": "web"}}}]'
    [rule] = policies(render(arguments))["edge"]["ingress"]

    assert rule["from"][0] == {"namespaceSelector": {"matchLabels": {"name": "web"}}}
    assert [component(peer) for peer in rule["from"][1:]] == ["test"]


def test_a_gateway_that_stands_in_reaches_the_ingress_and_not_the_admin_port() -> None:
    [ingress, admin, node] = policies(render("--set=edge.enabled=false", INGRESS_FROM))["restate"]["ingress"]

    assert GATEWAY in ingress["from"]
    assert {component(peer) for peer in ingress["from"]} == {None, "test", "books", "sandbox"}
    assert GATEWAY not in [*admin["from"], *node["from"]]


def test_the_sandbox_lets_nothing_out() -> None:
    specs = policies(render())

    assert {name for name, spec in specs.items() if outside(spec)} == {"release", "prepare"}
    assert set(ports(outside(specs["release"]))) == {443, 6443, 8443, 16443}


def test_production_reaches_what_its_settings_name_each_at_its_port() -> None:
    specs = policies(render(PROD, "--set=otel.endpoint=http://collector:4318"))
    reached = {name: ports(outside(spec)) for name, spec in specs.items() if name not in ("release", "prepare")}

    assert reached == {
        "edge": [443],  # keys of the issuer
        "restate": [443, 4318],  # snapshots, collector
        "version": [443, 587, 4318],  # provider, mail, collector
        "books": [443],  # provider
        "rehearsal": [],
        "restate-provision": [],
        "restate-trial": [],
        "test": [],
    }


@pytest.mark.parametrize(
    ("setting", "name", "port"),
    [
        ("service.settings.BETTING_PROVIDER_URL=http://psp:8000/base", "version", 8000),
        ("service.settings.BETTING_PROVIDER_URL=http://psp:8000/base", "books", 8000),
        ("service.settings.BETTING_PROVIDER_URL=http://psp", "version", 80),
        ("versions.v1.settings.BETTING_SMTP_PORT=2525", "version", 2525),
        ("edge.jwksUri=http://id.example:8080/keys", "edge", 8080),
        ("restate.env.AWS_ENDPOINT_URL=http://store:9000", "restate", 9000),
        ("restate.snapshots.endpoint=http://store:9001,restate.snapshots.region=here", "restate", 9001),
    ],
)
def test_the_port_is_that_of_the_setting(setting: str, name: str, port: int) -> None:
    assert port in ports(outside(policies(render(PROD, f"--set={setting}"))[name]))


def test_every_version_reaches_its_own_provider() -> None:
    both = (
        "--set=versions.v1.settings.BETTING_PROVIDER_URL=https://old:444",
        "--set=versions.v2.settings.BETTING_PROVIDER_URL=https://new:445,current=v2",
    )

    assert {444, 445} <= set(ports(outside(policies(render(PROD, *both))["version"])))


def test_the_outside_can_be_narrowed_to_peers() -> None:
    peer = {"ipBlock": {"cidr": "203.0.113.0/24"}}
    specs = policies(render(PROD, '--set-json=networkPolicy.outside=[{"ipBlock": {"cidr": "203.0.113.0/24"}}]'))

    rules = [rule for spec in specs.values() for rule in outside(spec)]
    assert [rule["to"] for rule in rules] == [[peer]] * len(rules) != []


@pytest.mark.parametrize(
    ("value", "policy"),
    [("edge", "edge"), ("restate", "restate"), ("service", "version"), ("books", "books"), ("release", "release")],
)
def test_each_component_can_be_let_reach_more(value: str, policy: str) -> None:
    kafka = f'--set-json=networkPolicy.egress.{value}=[{{"ports": [{{"port": 9092}}]}}]'

    assert {"ports": [{"port": 9092}]} in policies(render(kafka))[policy]["egress"]


def test_names_are_resolved_in_the_cluster_and_where_the_values_say() -> None:
    for name, spec in policies(render()).items():
        if name == "rehearsal":
            assert spec["egress"] == []
            continue
        [dns] = [rule for rule in spec["egress"] if rule["ports"][0]["port"] == 53]
        assert {port["protocol"] for port in dns["ports"]} == {"UDP", "TCP"}
        assert dns["to"]

    elsewhere = policies(render('--set-json=networkPolicy.dns=[{"ipBlock": {"cidr": "10.0.0.10/32"}}]'))["edge"]
    assert elsewhere["egress"][0]["to"] == [{"ipBlock": {"cidr": "10.0.0.10/32"}}]


def test_each_port_of_restate_is_on_a_service_of_its_own() -> None:
    services = {
        name: [port["port"] for port in one(render(), "Service", name)["spec"]["ports"]]
        for name in ("betting-restate", "betting-restate-admin", "betting-restate-nodes")
    }

    assert services == {
        "betting-restate": [8080],
        "betting-restate-admin": [9070],
        "betting-restate-nodes": [5122],
    }
    for name, spec in pod_specs(render()).items():
        assert "-restate:9070" not in str(spec), name


def test_policies_can_be_left_to_others() -> None:
    assert not policies(render("--set=networkPolicy.enabled=false"))
