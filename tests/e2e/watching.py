"""The Prometheus of k8s/observability beside the release, and what it sees."""

import json
import os
from pathlib import Path
from typing import Any

from k8s.observability.dashboards.versions import VERSIONS
from tests.e2e.running import NAMESPACE, ROOT, WAITS, forward, kubectl


def watch(folder: Path) -> None:
    """Put the Prometheus of k8s/observability beside the release; Grafana's manifests too, without a pod of it."""
    kustomization: dict[str, Any] = {
        "namespace": NAMESPACE,
        "resources": [os.path.relpath(ROOT / "k8s" / "observability", folder)],
        "replicas": [{"name": "betting-grafana", "count": 0}],
    }
    if image := os.environ.get("BETTING_E2E_IMAGE_PROMETHEUS"):
        name, tag = image.rsplit(":", 1)
        kustomization["images"] = [{"name": "prom/prometheus", "newName": name, "newTag": tag}]
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    kubectl("apply", "--kustomize", str(folder))
    kubectl("rollout", "status", "deploy/betting-prometheus", WAITS)


def seen(query: str) -> list[dict[str, Any]]:
    """The series of a query that Prometheus has now, their labels with the value."""
    with forward("service/betting-prometheus", 9090) as prometheus:
        answer = prometheus.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", f"{query}: {answer}"
    return [series["metric"] | {"value": float(series["value"][1])} for series in answer["data"]["result"]]


def unwatch(folder: Path) -> None:
    """Take it away again."""
    kubectl("delete", "--kustomize", str(folder), "--wait")


def panel(title: str) -> str:
    """The query of a panel of the dashboard Versions, as it is for all namespaces and the last minutes."""
    [query] = next(each for each in VERSIONS.panels() if each.title == title).queries
    return query.expr.replace("$namespace", ".*").replace("$__rate_interval", "1m")


def in_sight() -> dict[str, int]:
    """How many pods of each job answer Prometheus."""
    answering = seen('sum by (job) (up{job=~"betting-.*"})')
    return {found["job"].removeprefix("betting-"): int(found["value"]) for found in answering}
