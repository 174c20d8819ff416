"""What Envoy Gateway makes of k8s/envoy-gateway: kept, as no cluster is here, and its translator is a program in Go.

    go install github.com/envoyproxy/gateway/cmd/egctl@v1.9.1
    python -m tests.edge.translated

translates it again.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from app.dev.certificate import certificate

ROOT = Path(__file__).parents[2]
RESOURCES = ROOT / "k8s" / "envoy-gateway" / "betting.yaml"
KEPT = Path(__file__).parent / "envoy_gateway.json"
VERSION = "v1.9.1"
OVERRIDE = "BETTING_EGCTL"
SECONDS = 120
SECRET = "default/betting-tls"
"""The certificate, by the name under which the listener asks for it."""


def documents() -> list[dict[str, Any]]:
    """The resources as they are kept for a team."""
    return list(yaml.safe_load_all(RESOURCES.read_text()))


def fingerprint() -> str:
    """What tells whether a translation is of these resources. A handler more or less changes no more than its line."""
    fixed = json.loads(json.dumps(documents()))
    for document in fixed:
        if document["kind"] == "HTTPRoute":
            for rule in document["spec"]["rules"]:
                del rule["matches"]
            document["spec"]["rules"] = sorted({json.dumps(rule) for rule in document["spec"]["rules"]})
    return hashlib.sha256(json.dumps([VERSION, fixed]).encode()).hexdigest()


def egctl() -> Path | None:
    """The translator, if it is here."""
    found = os.environ.get(OVERRIDE) or shutil.which("egctl")
    return Path(found) if found else None


def translated(program: Path) -> dict[str, Any]:
    """Have the resources translated, with what a cluster has beside them."""
    with tempfile.TemporaryDirectory() as folder:
        every = Path(folder) / "every.yaml"
        every.write_text(yaml.safe_dump_all([*documents(), *_beside(Path(folder))]))
        command = [str(program), "x", "translate", "--from", "gateway-api", "--to", "gateway-api,xds", "-o", "json"]
        said = subprocess.run([*command, "-f", str(every)], check=True, capture_output=True, timeout=SECONDS).stdout
    told = json.loads(said)
    assert (refused := list(_refusals(told))) == [], refused
    [xds] = told["xds"].values()
    return {"of": fingerprint(), "configs": [_bare(config) for config in xds["configs"]]}


def _beside(folder: Path) -> Iterator[dict[str, Any]]:
    key, mark, chain = certificate(folder / "both.pem").read_text().partition("-----BEGIN CERTIFICATE")
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "betting-restate", "namespace": "default"},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "ingress", "port": 8080, "protocol": "TCP"}]},
    }
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "betting-tls", "namespace": "default"},
        "data": {
            name: base64.b64encode(text.encode()).decode()
            for name, text in (("tls.crt", mark + chain), ("tls.key", key))
        },
    }


def _refusals(told: Any) -> Iterator[str]:
    """What Envoy Gateway did not accept, wherever it says so."""
    if isinstance(told, dict):
        for condition in told.get("conditions", []):
            if condition["status"] != "True":
                yield f"{condition['type']}: {condition['message']}"
        for value in told.values():
            yield from _refusals(value)
    elif isinstance(told, list):
        for value in told:
            yield from _refusals(value)


def _bare(told: Any) -> Any:
    """Without the names of the resources that something is of, at which Envoy does not look."""
    if isinstance(told, dict):
        return {name: _bare(value) for name, value in told.items() if not _names_resources(value)}
    return [_bare(value) for value in told] if isinstance(told, list) else told


def _names_resources(told: Any) -> bool:
    return isinstance(told, dict) and list(told.get("filterMetadata", {})) == ["envoy-gateway"]


def written(configuration: dict[str, Any]) -> str:
    """As it is kept."""
    return json.dumps(configuration, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    program = egctl()
    assert program is not None, f"put egctl {VERSION} on the PATH, or its path into {OVERRIDE}"
    KEPT.write_text(written(translated(program)))
