"""The chart as Helm renders it; Helm itself is a library here, so that no program is needed."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import yaml

KUBERNETES = tuple(f"1.{minor}" for minor in range(30, 38))


ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "betting"
ENVIRONMENTS = ("dev", "kind", "prod")
LEFT_TO_RESTATE = 384
"""MiB of Restate's memory limit that none of its parts has: an empty one takes 160, and what it sends comes on top."""

Object = dict[str, Any]

VALUES: dict[str, Callable[[str], Object]] = {
    "--values": lambda file: helm_python.values_from_yaml(Path(file).read_text()),
    "--set": helm_python.parse_set_string,
    "--set-json": helm_python.parse_set_json,
}
"""How Helm reads each of its options."""


class AsHelm(yaml.CSafeLoader):
    """Reads YAML as Helm does: to it 12e4567 is a number, and n is a truth value."""


AsHelm.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("+-.0123456789"),
)
AsHelm.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[ynYN]$"), list("ynYN"))


def helm(*arguments: str, name: str = "betting", namespace: str = "shop") -> str:
    """What `helm template` prints with these options; a refusal is a HelmError in its words."""
    rendered = _rendered(*arguments, name=name, namespace=namespace)
    return "".join(f"---\n{text}\n" for name, text in rendered.items() if name.endswith(".yaml"))


def notes(*arguments: str) -> str:
    """What Helm prints after an install or upgrade with these options."""
    [text] = [text for name, text in _rendered(*arguments).items() if name.endswith("/NOTES.txt")]
    return text


def _rendered(*arguments: str, name: str = "betting", namespace: str = "shop") -> dict[str, str]:
    values: Object = {}
    for argument in arguments:
        option, _, told = argument.partition("=")
        values = overlaid(values, VALUES[option](told))
    with helm_python.Chart.load(CHART) as chart:
        return dict(chart.render(values, name=name, namespace=namespace))


def overlaid(values: Object, later: Object) -> Object:
    """Values with later ones on top, as Helm lays them: objects are merged, anything else takes the place."""
    merged = dict(values)
    for name, value in later.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = overlaid(merged[name], value) if both else value
    return merged


@functools.cache
def render(*arguments: str, name: str = "betting", namespace: str = "shop") -> tuple[Object, ...]:
    text = helm(*arguments, name=name, namespace=namespace)
    return tuple(found for found in yaml.load_all(text, AsHelm) if found)


def environment(name: str) -> tuple[Object, ...]:
    return render(f"--values={ROOT}/k8s/{name}.yaml")


def one(objects: tuple[Object, ...], kind: str, name: str) -> Object:
    [found] = [found for found in objects if (found["kind"], found["metadata"]["name"]) == (kind, name)]
    return found


def rights(objects: tuple[Object, ...], role: str, verb: str) -> list[str]:
    """The Secrets of which a role may do something; "*" stands for all."""
    rules = [rule for rule in one(objects, "Role", role)["rules"] if "secrets" in rule["resources"]]
    return [name for rule in rules if verb in rule["verbs"] for name in rule.get("resourceNames", ["*"])]


def pod_specs(objects: tuple[Object, ...]) -> dict[str, Object]:
    """The pods that come of these objects, each by the name of its object; a Job's without the hash of its content."""
    specs = {}
    for found in objects:
        name = found["metadata"]["name"]
        if found["kind"] == "Pod":
            specs[name] = found["spec"]
        elif "template" in found.get("spec", {}):
            specs[re.sub("-[0-9a-f]{8}$", "", name)] = found["spec"]["template"]["spec"]
    return specs
