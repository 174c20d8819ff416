"""The door as resources for Envoy Gateway: the Kubernetes Gateway API, and that project's own policies.

What has no field there is said in Envoy's own words, by an EnvoyPatchPolicy. Without it every token is refused: the
script that reads tokens finds no header of theirs.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from app.edge.bootstrap import (
    CLOCK_SKEW_SECONDS,
    CONNECTIONS,
    HEADER_KIB,
    HEADERS,
    ID,
    MIB,
    UNWANTED_OF_ANSWERS,
    Config,
    access_log,
    limit_of_address,
    limit_of_user,
    refusals,
    script,
)
from app.edge.routes import KEY, METHOD, Route, by_service
from app.edge.settings import EdgeSettings
from app.edge.template import as_yaml

GATEWAY = "betting"
LISTENER = "https"
CERTIFICATE = "betting-tls"
"""The Secret with the certificate of the address."""
CLASS = "betting"
PROVIDER = "payload"
"""The name under which Envoy Gateway passes the verified token on, as door.lua reads it."""
HEADERS_POLICY = "betting-headers"
SCRIPTS = 2
ENVOY_GATEWAY = "gateway.envoyproxy.io/v1alpha1"
GATEWAY_API = "gateway.networking.k8s.io/v1"
LISTENER_TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener"
QUERY = (Path(__file__).parent / "query.lua").read_text()
"""What its routes leave open: see there."""

MANAGER = '$..filters[?(@.name=="envoy.filters.network.http_connection_manager")].typed_config'
ISSUER = '$..http_filters[?(@.name=="envoy.filters.http.jwt_authn")].typed_config.providers.*'
BEFORE_ROUTER = 6
"""The place of the last filter but one: the limit of an address, two that verify and hold a request, two scripts, a
change of headers, and the router are the others."""


def resources(routes: Iterable[Route], settings: EdgeSettings, namespace: str) -> str:
    """Everything that Envoy Gateway has to know, as YAML documents; the Secret with the certificate is the team's."""
    return "---\n".join(as_yaml(one) for one in _documents(list(routes), settings, namespace))


def _documents(routes: list[Route], settings: EdgeSettings, namespace: str) -> Iterator[Config]:
    def named(kind: str, name: str, **spec: object) -> Config:
        version = ENVOY_GATEWAY if kind.endswith("Policy") else GATEWAY_API
        return {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }

    gateway = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GATEWAY}]
    yield {
        "apiVersion": GATEWAY_API,
        "kind": "GatewayClass",
        "metadata": {"name": CLASS},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    }
    yield named("Gateway", GATEWAY, gatewayClassName=CLASS, listeners=[_listener()])
    for name, needs_token in (("betting-signed-in", True), ("betting-for-anyone", False)):
        rules = [_rule(settings, *group) for group in by_service(routes) if group[1] is needs_token]
        yield named("HTTPRoute", name, parentRefs=[{"name": GATEWAY}], rules=rules)
    signed_in = [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "betting-signed-in"}]
    yield named("SecurityPolicy", "betting-token", targetRefs=signed_in, jwt={"providers": [_issuer(settings)]})
    yield named("ClientTrafficPolicy", "betting-clients", targetRefs=gateway, **_clients(settings))
    yield named("BackendTrafficPolicy", "betting-restate", targetRefs=gateway, **_restate(settings))
    scripts = [{"type": "Inline", "inline": text} for text in (QUERY, script(settings))]
    assert len(scripts) == SCRIPTS
    yield named("EnvoyExtensionPolicy", HEADERS_POLICY, targetRefs=gateway, lua=scripts)
    yield named(
        "EnvoyPatchPolicy",
        "betting-rest",
        targetRef=gateway[0],
        type="JSONPatch",
        jsonPatches=[
            {"type": LISTENER_TYPE, "name": f"{namespace}/{GATEWAY}/{LISTENER}", "operation": operation}
            for operation in _patches(settings, namespace)
        ],
    )


def _listener() -> Config:
    return {
        "name": LISTENER,
        "protocol": "HTTPS",
        "port": 443,
        "tls": {"mode": "Terminate", "certificateRefs": [{"name": CERTIFICATE}]},
    }


def _rule(settings: EdgeSettings, service: str, _needs_token: bool, handlers: list[Route]) -> Config:
    return {
        "matches": [{"method": METHOD, "path": _path(service, route)} for route in handlers],
        "backendRefs": [{"name": settings.restate_host, "port": settings.restate_port}],
    }


def _path(service: str, route: Route) -> Config:
    if route.keyed:
        return {"type": "RegularExpression", "value": f"/{service}/{KEY}/{route.handler}"}
    return {"type": "Exact", "value": f"/{service}/{route.handler}"}


def _issuer(settings: EdgeSettings) -> Config:
    remote = (
        {
            "uri": settings.key_server.uri,
            "cacheDuration": f"{settings.key_seconds}s",
            "failedRefetchDuration": "2s",
        }
        if settings.key_server
        else None
    )
    return {
        "name": PROVIDER,
        "issuer": settings.issuer,
        "audiences": [settings.audience],
        "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
        "remoteJWKS": remote,
        "localJWKS": {"type": "Inline", "inline": settings.jwks} if settings.jwks else None,
    }


def _clients(settings: EdgeSettings) -> Config:
    """What a client may send, before it is looked at further."""
    hops = settings.trusted_proxies
    return {
        "clientIPDetection": {"xForwardedFor": {"numTrustedHops": hops}} if hops else None,
        "path": {"escapedSlashesAction": "RejectRequest", "disableMergeSlashes": True},
        "headers": {
            "withUnderscoresAction": "DropHeader",
            "requestID": "Disable",
            "disableRateLimitHeaders": True,
            "lateResponseHeaders": {
                "set": [
                    {"name": "cache-control", "value": "no-store"},
                    {"name": "x-content-type-options", "value": "nosniff"},
                ],
                "remove": UNWANTED_OF_ANSWERS,
            },
        },
        "timeout": {
            "http": {
                "requestHeadersReceivedTimeout": "10s",
                "requestReceivedTimeout": "20s",
                "streamIdleTimeout": "120s",
                "idleTimeout": "300s",
            }
        },
        "connection": {"bufferLimit": str(MIB), "connectionLimit": {"value": CONNECTIONS}},
        "http2": {
            "maxConcurrentStreams": 128,
            "initialStreamWindowSize": "64Ki",
            "initialConnectionWindowSize": "1Mi",
        },
    }


def _restate(settings: EdgeSettings) -> Config:
    """How Restate is asked. A body is held until it is whole, and nothing is upgraded to another protocol."""
    bounds = {"maxConnections": CONNECTIONS, "maxPendingRequests": CONNECTIONS, "maxParallelRequests": CONNECTIONS}
    return {
        "requestBuffer": {"limit": str(settings.limits.body_bytes)},
        "timeout": {
            "tcp": {"connectTimeout": "2s"},
            "http": {"requestTimeout": f"{settings.limits.answer_seconds}s", "connectionIdleTimeout": "30s"},
        },
        "retry": {
            "numRetries": 2,
            "retryOn": {"triggers": ["connect-failure", "refused-stream", "reset-before-request"]},
        },
        "circuitBreaker": bounds,
    }


def _patches(settings: EdgeSettings, namespace: str) -> Iterator[Config]:
    """What only Envoy has words for. Its own rates of Envoy Gateway count each route apart, and after the token."""
    of_tokens: dict[str, object] = {
        "subjects": {"safe_regex": {"regex": ID}},
        "require_expiration": True,
        "clock_skew_seconds": CLOCK_SKEW_SECONDS,
        "header_in_metadata": "header",
    }
    for name, value in of_tokens.items():
        yield _add(ISSUER, f"/{name}", value)
    for number in range(SCRIPTS):
        name = f"envoy.filters.http.lua/envoyextensionpolicy/{namespace}/{HEADERS_POLICY}/lua/{number}"
        # What was let in is let in by the route that it was checked for.
        yield _add(f'$..http_filters[?(@.name=="{name}")].typed_config', "/clear_route_cache", False)
    yield _add(MANAGER, "/max_request_headers_kb", HEADER_KIB)
    yield _add(MANAGER, "/common_http_protocol_options/max_headers_count", HEADERS)
    yield _add(MANAGER, "/local_reply_config", refusals())
    yield _add(MANAGER, "/access_log", [access_log()])
    yield _add(MANAGER, "/http_filters/0", limit_of_address(settings))
    yield _add(MANAGER, f"/http_filters/{BEFORE_ROUTER}", limit_of_user(settings))


def _add(place: str, path: str, value: object) -> Config:
    return {"op": "add", "jsonPath": place, "path": path, "value": value}
