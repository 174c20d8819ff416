"""An Envoy as Envoy Gateway would configure it, with what it gets from a cluster given by hand."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.dev.certificate import certificate
from app.edge.settings import EdgeSettings
from app.edge.template import Number
from tests.edge.envoys import HOST, RunningEnvoy, envoy_with
from tests.edge.translated import KEPT, SECRET

GATEWAY_LISTENER = "default/betting/https"
METRICS_CLUSTER = "prometheus_stats"


@contextmanager
def running_gateway(settings: EdgeSettings, folder: Path) -> Iterator[RunningEnvoy]:
    """Start it where these settings say, with their keys and issuer, in front of their Restate."""
    text = json.dumps(_standing(json.loads(KEPT.read_text()), settings, certificate(folder / "gateway.pem")))
    with envoy_with(text, settings) as running:
        yield running


def _standing(kept: dict[str, Any], settings: EdgeSettings, both: Path) -> dict[str, Any]:
    """The whole configuration of one Envoy: its own of before the first answer, and what it would be sent then."""
    told = {config["@type"].rpartition(".")[2]: config for config in kept["configs"]}
    first = told["BootstrapConfigDump"]["bootstrap"]
    [routes] = [_plain(one["routeConfig"]) for one in told["RoutesConfigDump"]["dynamicRouteConfigs"]]
    listeners = [_plain(one["activeState"]["listener"]) for one in told["ListenersConfigDump"]["dynamicListeners"]]
    [listener] = [one for one in listeners if one["name"] == GATEWAY_LISTENER]
    clusters = [_plain(one["cluster"]) for one in told["ClustersConfigDump"]["dynamicActiveClusters"]]
    [metrics] = [one for one in first["staticResources"]["clusters"] if one["name"] == METRICS_CLUSTER]
    [stats] = first["staticResources"]["listeners"]
    _listen(listener, settings.port)
    _listen(stats, settings.metrics_port)
    _admitting(stats)
    _serve(listener, routes, settings)
    return {
        "admin": {"address": {"pipe": {"path": settings.admin}}},
        "layered_runtime": first["layeredRuntime"],
        "overload_manager": first["overloadManager"],
        "static_resources": {
            "listeners": [listener, stats],
            "clusters": [
                *(_restate(one, settings) for one in clusters if one["name"].startswith("httproute/")),
                _at(metrics, {"pipe": {"path": settings.admin}}),
            ],
            "secrets": [
                {
                    "name": SECRET,
                    "tls_certificate": {
                        "certificate_chain": {"filename": str(both)},
                        "private_key": {"filename": str(both)},
                    },
                }
            ],
        },
    }


def _listen(listener: dict[str, Any], port: Number) -> None:
    listener["address"] = {"socketAddress": {"address": HOST, "portValue": port}}


def _admitting(stats: dict[str, Any]) -> None:
    """Envoy Gateway has another listener for readiness; here, that of the numbers tells it."""
    [host] = _manager(stats)["routeConfig"]["virtualHosts"]
    host["routes"].append({"match": {"path": "/ready"}, "route": {"cluster": METRICS_CLUSTER}})


def _serve(listener: dict[str, Any], routes: dict[str, Any], settings: EdgeSettings) -> None:
    """Give the listener what it would ask for: routes, certificate and keys."""
    manager = _manager(listener)
    del manager["rds"]
    manager["routeConfig"] = routes
    [chain] = listener["filterChains"]
    for secret in chain["transportSocket"]["typedConfig"]["commonTlsContext"]["tlsCertificateSdsSecretConfigs"]:
        assert secret["name"] == SECRET
        del secret["sdsConfig"]
    [tokens] = [one["typedConfig"] for one in manager["httpFilters"] if one["name"] == "envoy.filters.http.jwt_authn"]
    [provider] = tokens["providers"].values()
    assert provider["remoteJwks"].pop("asyncFetch")
    del provider["remoteJwks"]
    provider["issuer"] = settings.issuer
    provider["localJwks"] = {"inlineString": settings.jwks}


def _plain(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource without its type, which its place tells."""
    return {name: value for name, value in resource.items() if name != "@type"}


def _manager(listener: dict[str, Any]) -> dict[str, Any]:
    [chain] = listener["filterChains"]
    manager: dict[str, Any] = chain["filters"][-1]["typedConfig"]
    return manager


def _restate(cluster: dict[str, Any], settings: EdgeSettings) -> dict[str, Any]:
    address = {"socketAddress": {"address": settings.restate_host, "portValue": settings.restate_port}}
    del cluster["edsClusterConfig"]
    return _at({**cluster, "type": "STATIC"}, address)


def _at(cluster: dict[str, Any], address: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": address}}
    return {
        **cluster,
        "loadAssignment": {"clusterName": cluster["name"], "endpoints": [{"lbEndpoints": [endpoint]}]},
    }
