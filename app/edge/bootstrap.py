"""Envoy's configuration: who comes in, through which filters, and where to."""

import json
from collections.abc import Iterable
from pathlib import Path

from app.domain.access import GRANTED
from app.edge.routes import DOTS, Route, by_service, match_of
from app.edge.settings import EdgeSettings
from app.edge.template import Given, Number, Text, only

Config = dict[str, object]

RESTATE = "restate"
KEY_SERVER = "key_server"
ADMIN = "admin"
NOWHERE = "nowhere"
CERTIFICATE = "door"
DOOR = (Path(__file__).parent / "door.lua").read_text()

HTTP = "envoy.extensions.filters.http"
UPSTREAM_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
MIB = 1_048_576
CONNECTIONS = 10_000
"""Connections of clients at once, and requests at once to Restate."""
RETRIES = 1_000
"""Requests at once that wait to be sent again."""
ADDRESSES = 10_000
"""How many addresses, and users, are counted at once; who has not come for longest is forgotten first."""
NETWORK: Config = {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}
"""What counts as one address: of IPv6, a whole network is one customer's."""
CONNECTION_SECONDS = 30
"""After that, a client is asked to connect again. A door that ends, and is sent no new connection, so has soon none."""
DRAIN_SECONDS = 5
"""How long a connection that is to end still takes requests."""
HEADER_KIB = 16
HEADERS = 64
REGEX_SIZE = 50_000
CLOCK_SKEW_SECONDS = 30
ID = r"[A-Za-z0-9._:@-]{1,64}"

UNWANTED_OF_ANSWERS = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-expose-headers",
    "vary",
    "x-envoy-upstream-service-time",
]
"""Headers of answers that end here: Restate lets the pages of any origin read, and we do not."""

WHOSE_STATUS = "x-betting-whose-status"
"""Who chose an answer's status, and which, as in `ingress/404`: Envoy can decide to ask again by one header only."""
PAUSE = "x-betting-ask-again"
PAUSE_SECONDS = 1
"""How long is waited before Restate is asked again; Envoy adds up to half of it."""

REFUSED = {
    400: (400, "invalid_request"),
    401: (401, "unauthenticated"),
    403: (401, "unauthenticated"),  # a token for another audience or subject
    404: (404, "not_found"),
    408: (408, "too_slow"),
    413: (413, "too_large"),
    429: (429, "too_many_requests"),
    431: (431, "too_large"),
    503: (503, "unavailable"),
    504: (504, "no_answer"),
}
"""The statuses that Envoy answers with by itself: how we tell them, and the reason."""

MESSAGES = {
    404: "there is no such address, or it takes another method",
    408: "the request did not arrive in time",
    413: "the body is too large",
    429: "too many requests; slow down",
    431: "the headers are too large, or too many",
    503: "not available now; ask again",
    504: "no answer in time; it may have been done all the same: ask again with the same id",
}
"""What those say whose own words would not help."""


def bootstrap(routes: Iterable[Route], settings: EdgeSettings) -> Config:
    """The whole configuration of an Envoy that lets these routes through."""
    return {
        "node": {"id": "edge", "cluster": "edge"},  # whoever watches a file needs a name
        "admin": {"address": {"pipe": {"path": settings.admin}}},
        "static_resources": {
            "listeners": [_door(routes, settings), _metrics(settings)],
            "clusters": [
                _restate(settings),
                _key_server(settings),
                _admin(settings),
                {"name": NOWHERE, "type": "STATIC"},
            ],
        },
        # Keys of bounded length make long programs of the expressions for paths.
        "layered_runtime": {
            "layers": [
                {
                    "name": "bounds",
                    "static_layer": {
                        "re2.max_program_size.error_level": REGEX_SIZE,
                        "re2.max_program_size.warn_level": REGEX_SIZE,
                    },
                }
            ]
        },
        "overload_manager": {
            "resource_monitors": [
                _typed(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=CONNECTIONS,
                )
            ]
        },
    }


def _door(routes: Iterable[Route], settings: EdgeSettings) -> Config:
    return {
        "name": "door",
        "address": _address(settings.host, settings.port),
        "per_connection_buffer_limit_bytes": MIB,
        "filter_chains": [
            {
                "filters": [_connections(routes, settings)],
                "transport_socket": only(settings.tls, _certificate(settings)),
                "transport_socket_connect_timeout": "10s",
            }
        ],
    }


def certificate(settings: EdgeSettings) -> Config:
    """The file that names the door's certificate: apart from the rest, so that Envoy takes a new one while it runs."""
    folder = settings.tls_folder
    named = {
        "@type": _url("envoy.extensions.transport_sockets.tls.v3.Secret"),
        "name": CERTIFICATE,
        "tls_certificate": {
            "certificate_chain": {"filename": f"{folder}/tls.crt"},
            "private_key": {"filename": f"{folder}/tls.key"},
            "watched_directory": {"path": folder},
        },
    }
    return {"resources": [named]}


def _certificate(settings: EdgeSettings) -> Config:
    named = {"name": CERTIFICATE, "sds_config": {"path_config_source": {"path": settings.tls_file}}}
    return _typed(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={"alpn_protocols": ["h2", "http/1.1"], "tls_certificate_sds_secret_configs": [named]},
    )


def _connections(routes: Iterable[Route], settings: EdgeSettings) -> Config:
    return _manager(
        "door",
        use_remote_address=True,
        xff_num_trusted_hops=settings.trusted_proxies,
        skip_xff_append=True,
        generate_request_id=False,
        server_header_transformation="PASS_THROUGH",
        normalize_path=False,  # a path that would have to be is refused
        merge_slashes=False,
        request_headers_timeout="10s",
        request_timeout="20s",
        stream_idle_timeout="120s",
        drain_timeout=f"{DRAIN_SECONDS}s",
        max_request_headers_kb=HEADER_KIB,
        common_http_protocol_options={
            "idle_timeout": "300s",
            "max_connection_duration": f"{CONNECTION_SECONDS}s",
            "max_headers_count": HEADERS,
            "headers_with_underscores_action": "DROP_HEADER",
        },
        http2_protocol_options={
            "max_concurrent_streams": 128,
            "initial_stream_window_size": 65_536,
            "initial_connection_window_size": MIB,
        },
        local_reply_config=refusals(),
        access_log=[access_log()],
        http_filters=_filters(settings),
        route_config={
            "name": "door",
            "max_direct_response_body_size_bytes": MIB,
            "virtual_hosts": [_host(routes, settings)],
        },
    )


def _manager(name: str, **fields: object) -> Config:
    kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return _typed("envoy.filters.network.http_connection_manager", kind, stat_prefix=name, **fields)


def _filters(settings: EdgeSettings) -> list[object]:
    """In the order in which a request meets them: the cheapest refusals first, the body last."""
    return [
        only(settings.has_origins, _typed("envoy.filters.http.cors", f"{HTTP}.cors.v3.Cors")),
        limit_of_address(settings),
        _typed(
            "envoy.filters.http.jwt_authn",
            f"{HTTP}.jwt_authn.v3.JwtAuthentication",
            providers={"issuer": _issuer(settings)},
            requirement_map={"token": {"provider_name": "issuer"}},
        ),
        _typed("envoy.filters.http.buffer", f"{HTTP}.buffer.v3.Buffer", max_request_bytes=settings.limits.body_bytes),
        _typed(
            "envoy.filters.http.lua",
            f"{HTTP}.lua.v3.Lua",
            default_source_code={"inline_string": script(settings)},
            clear_route_cache=False,  # what was let in is let in by the route that it was checked for
        ),
        limit_of_user(settings),
        _typed("envoy.filters.http.router", f"{HTTP}.router.v3.Router", suppress_envoy_headers=True),
    ]


def script(settings: EdgeSettings) -> str:
    """The script that decides what is passed on, with whom tokens are for and the roles that it knows."""
    given = {"AUDIENCE": settings.audience, "ROLES_CLAIM": settings.roles_claim}
    lines = [f"local {name} = {_in_lua(text)}" for name, text in given.items()]
    return "\n".join([*lines, _roles_in_lua(), "", DOOR])


def limit_of_address(settings: EdgeSettings) -> Config:
    """How much one address may ask, whoever it is."""
    return _limit("address", {"masked_remote_address": NETWORK}, "masked_remote_address", settings.limits.per_address)


def limit_of_user(settings: EdgeSettings) -> Config:
    """How much one user may ask; it stands behind what adds who that is."""
    asked: Config = {"request_headers": {"header_name": "x-betting-user", "descriptor_key": "user"}}
    return _limit("user", asked, "user", settings.limits.per_user)


def _limit(name: str, action: Config, key: str, a_second: Number) -> Config:
    """A bucket of requests for each value of something; who has none is not limited here."""
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    burst = Given(f"mul 2 ({a_second.expression})") if isinstance(a_second, Given) else 2 * a_second
    bucket = {"max_tokens": burst, "tokens_per_fill": a_second, "fill_interval": "1s"}
    return _typed(
        "envoy.filters.http.local_ratelimit",
        f"{HTTP}.local_ratelimit.v3.LocalRateLimit",
        stat_prefix=name,
        filter_enabled=always,
        filter_enforced=always,
        always_consume_default_token_bucket=False,
        token_bucket={"max_tokens": 4_294_967_295, "tokens_per_fill": 4_294_967_295, "fill_interval": "1s"},
        max_dynamic_descriptors=ADDRESSES,
        descriptors=[{"entries": [{"key": key}], "token_bucket": bucket}],
        rate_limits=[{"actions": [action]}],
        response_headers_to_add=[{"header": {"key": "retry-after", "value": "1"}}],
    )


def _issuer(settings: EdgeSettings) -> Config:
    """Whose tokens are taken: signed by their keys, for us, of a subject that can be a user, and not for ever."""
    remote = (
        {
            "http_uri": {"uri": settings.key_server.uri, "cluster": KEY_SERVER, "timeout": "5s"},
            "cache_duration": f"{settings.key_seconds}s",
            # In the background: keys that are known go on while the server is away.
            "async_fetch": {"failed_refetch_duration": "2s"},
        }
        if settings.key_server
        else None
    )
    local = {
        "inline_string": settings.jwks and only(settings.has_jwks, settings.jwks),
        "filename": settings.jwks_file and only(settings.has_jwks_file, settings.jwks_file),
    }
    return {
        "issuer": settings.issuer,
        "audiences": [settings.audience],
        "subjects": {"safe_regex": {"regex": ID}},
        "require_expiration": True,
        "clock_skew_seconds": CLOCK_SKEW_SECONDS,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "payload_in_metadata": "payload",
        "header_in_metadata": "header",
        "remote_jwks": remote and only(settings.has_key_server, remote),
        "local_jwks": only(settings.has_local_keys, local) if any(local.values()) else None,
    }


def _host(routes: Iterable[Route], settings: EdgeSettings) -> Config:
    """Everything that is not named is not found, and nothing is asked of it."""
    not_found: Config = {
        "direct_response": {"status": 404, "body": {"inline_string": "not found"}},
        "typed_per_filter_config": _answered_here(),
    }
    return {
        "name": "door",
        "domains": ["*"],
        "retry_policy": _retries(),
        "routes": [
            only(settings.has_origins, _preflight(settings)),
            {"match": _path(DOTS), **not_found},
            *_described(settings),
            *(_route(settings, *group) for group in by_service(routes)),
            {"match": {"prefix": "/"}, **not_found},
            {"match": {"connect_matcher": {}}, **not_found},
        ],
        "response_headers_to_remove": [*UNWANTED_OF_ANSWERS, WHOSE_STATUS, PAUSE],
        "response_headers_to_add": [
            _always("cache-control", "no-store"),
            _always("x-content-type-options", "nosniff"),
        ],
        "typed_per_filter_config": {"envoy.filters.http.cors": only(settings.has_origins, _cors(settings))},
    }


def _retries() -> Config:
    """Only what has certainly not been accepted is sent again: it did not arrive, or Restate knew of no such handler.

    A node that has just started says so until it has learnt what is registered. A handler's own 404 is left alone.
    """
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request,retriable-headers",
        "num_retries": 2,
        "retriable_headers": [{"name": WHOSE_STATUS, "string_match": {"exact": "ingress/404"}}],
        "rate_limited_retry_back_off": {"reset_headers": [{"name": PAUSE, "format": "SECONDS"}]},
    }


def _route(settings: EdgeSettings, service: str, needs_token: bool, handlers: list[Route]) -> Config:
    return {
        "match": match_of(service, handlers),
        "route": {
            "cluster": RESTATE,
            "timeout": f"{settings.limits.answer_seconds}s",
            "host_rewrite_literal": RESTATE,
        },
        "typed_per_filter_config": _token(needs_token),
    }


def _preflight(settings: EdgeSettings) -> Config:
    """What a browser asks before a page of a named origin may call; the CORS filter answers it by itself."""
    origin = {"name": "origin", "string_match": {"safe_regex": {"regex": settings.origins}}}
    asked = {"name": "access-control-request-method", "present_match": True}
    method = {"name": ":method", "string_match": {"exact": "OPTIONS"}}
    return {
        "match": {"prefix": "/", "headers": [method, origin, asked]},
        "route": {"cluster": NOWHERE},
        "typed_per_filter_config": _answered_here(),
    }


def _described(settings: EdgeSettings) -> list[object]:
    """The description of the API, for anyone."""
    if settings.openapi is None:
        return []
    route = {
        "match": {"path": "/openapi.json", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
        "direct_response": {"status": 200, "body": {"filename": settings.openapi}},
        "response_headers_to_add": [_always("content-type", "application/json")],
        "typed_per_filter_config": _answered_here(),
    }
    return [only(settings.has_openapi, route)]


def _token(needed: bool) -> Config:
    wanted: Config = {"requirement_name": "token"} if needed else {"disabled": True}
    return {"envoy.filters.http.jwt_authn": {"@type": _url(f"{HTTP}.jwt_authn.v3.PerRouteConfig"), **wanted}}


def _answered_here() -> Config:
    """Of whom Envoy answers by itself, neither token nor body is waited for."""
    return {
        **_token(needed=False),
        "envoy.filters.http.buffer": {"@type": _url(f"{HTTP}.buffer.v3.BufferPerRoute"), "disabled": True},
        "envoy.filters.http.lua": {"@type": _url(f"{HTTP}.lua.v3.LuaPerRoute"), "disabled": True},
    }


def _cors(settings: EdgeSettings) -> Config:
    return {
        "@type": _url(f"{HTTP}.cors.v3.CorsPolicy"),
        "allow_origin_string_match": [{"safe_regex": {"regex": settings.origins}}],
        "allow_methods": "POST",
        "allow_headers": "authorization, content-type, idempotency-key, traceparent",
        "max_age": "600",
    }


def refusals() -> Config:
    """What Envoy answers by itself, in the shape of every other refusal."""
    own = [_mapper("EQ", status, reason) | {"status_code": told} for status, (told, reason) in REFUSED.items()]
    return {"mappers": [*own, _mapper("GE", 500, "unavailable"), _mapper("GE", 400, "invalid_request")]}


def _mapper(comparison: str, status: int, reason: str) -> Config:
    key = f"edge.{comparison}.{status}"  # there has to be one, and nothing sets it
    compared = {"comparison": {"op": comparison, "value": {"default_value": status, "runtime_key": key}}}
    message = MESSAGES.get(status, "%LOCAL_REPLY_BODY%") if comparison == "EQ" else "%LOCAL_REPLY_BODY%"
    return {"filter": {"status_code_filter": compared}, "body_format_override": _body(reason, message)}


def _body(reason: str, message: str) -> Config:
    shape = {"code": "%RESPONSE_CODE%", "message": message, "metadata": {"reason": reason}, "source": "edge"}
    return {"json_format": shape, "content_type": "application/json"}


def access_log() -> Config:
    """A line for each request: no header that a client chose but the user that was verified, and no query."""
    shape = {
        "at": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "why": "%RESPONSE_CODE_DETAILS%",
        "milliseconds": "%DURATION%",
        "received": "%BYTES_RECEIVED%",
        "sent": "%BYTES_SENT%",
        "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "user": "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%",
    }
    kind = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
    return _typed("envoy.access_loggers.stdout", kind, log_format={"json_format": shape})


def _metrics(settings: EdgeSettings) -> Config:
    """Readiness and numbers, and nothing else of the admin interface."""
    routes = [
        {
            "match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
            "route": {"cluster": ADMIN, "prefix_rewrite": path},
        }
        for path in ("/ready", "/stats/prometheus")
    ]
    manager = _manager(
        "metrics",
        http_filters=[_typed("envoy.filters.http.router", f"{HTTP}.router.v3.Router")],
        route_config={"virtual_hosts": [{"name": "metrics", "domains": ["*"], "routes": routes}]},
    )
    return {
        "name": "metrics",
        "address": _address(settings.host, settings.metrics_port),
        "ignore_global_conn_limit": True,  # a door that is full is well: to end it would help nobody
        "filter_chains": [{"filters": [manager]}],
    }


def _restate(settings: EdgeSettings) -> Config:
    """Restate's ingress, by HTTP/1.1: by HTTP/2, one answer in a hundred was seen to wait 40 ms for its second packet.

    A connection is closed by us before it could be by Restate, for a request may be lost that goes out just then.
    """
    protocol: Config = {
        "explicit_http_config": {"http_protocol_options": {}},
        "common_http_protocol_options": {"idle_timeout": "30s"},
        "http_filters": [
            _typed(
                "envoy.filters.http.header_mutation",
                f"{HTTP}.header_mutation.v3.HeaderMutation",
                mutations={
                    "response_mutations": [
                        {"append": _always(WHOSE_STATUS, "%RESP(x-restate-error-source)%/%RESP(:status)%")},
                        {"append": _always(PAUSE, str(PAUSE_SECONDS))},
                    ]
                },
            ),
            _typed("envoy.filters.http.upstream_codec", f"{HTTP}.upstream_codec.v3.UpstreamCodec"),
        ],
    }
    bounds = {"max_connections": CONNECTIONS, "max_pending_requests": CONNECTIONS, "max_requests": CONNECTIONS}
    return {
        **_cluster(RESTATE, settings.restate_host, settings.restate_port),
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [{**bounds, "max_retries": RETRIES}]},
        "typed_extension_protocol_options": {UPSTREAM_HTTP: {"@type": _url(UPSTREAM_HTTP), **protocol}},
    }


def _key_server(settings: EdgeSettings) -> object:
    if (server := settings.key_server) is None:
        return None
    checked = {
        "trusted_ca": {"filename": settings.ca_file},
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": server.host}}],
    }
    encrypted = _typed(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=server.host,
        common_tls_context={"validation_context": checked},
    )
    cluster = {
        **_cluster(KEY_SERVER, server.host, server.port),
        "connect_timeout": "3s",
        "transport_socket": only(server.encrypted, encrypted),
    }
    return only(settings.has_key_server, cluster)


def _cluster(name: str, host: Text, port: Number) -> Config:
    endpoint = {"endpoint": {"address": _address(host, port)}}
    return {
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _admin(settings: EdgeSettings) -> Config:
    endpoint = {"endpoint": {"address": {"pipe": {"path": settings.admin}}}}
    return {
        "name": ADMIN,
        "type": "STATIC",
        "load_assignment": {"cluster_name": ADMIN, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _path(matcher: object) -> Config:
    return {"prefix": "/", "headers": [{"name": ":path", "string_match": matcher}]}


def _always(name: str, value: str) -> Config:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _address(host: Text, port: Number) -> Config:
    return {"socket_address": {"address": host, "port_value": port}}


def _typed(name: str, kind: str, **fields: object) -> Config:
    return {"name": name, "typed_config": {"@type": _url(kind), **fields}}


def _url(kind: str) -> str:
    return f"type.googleapis.com/{kind}"


def _in_lua(text: Text) -> str:
    """A text as Lua's source has it; its quotes and escapes are those of JSON."""
    return text.as_json if isinstance(text, Given) else json.dumps(text)


def _roles_in_lua() -> str:
    return f"local ROLES = {{ {', '.join(json.dumps(role.value) for role in sorted(GRANTED))} }}"
