"""The door's settings as the chart has them: Helm fills in what `values.yaml` says."""

from app.edge.settings import EdgeSettings, KeyServer, Limits
from app.edge.template import Given

_URI = "(urlParse .Values.edge.jwksUri)"
_ENCRYPTED = f'(eq {_URI}.scheme "https")'
_HOST_AND_PORT = f'(splitList ":" {_URI}.host)'

IN_CHART = EdgeSettings(
    issuer=Given('include "betting.issuer" .'),
    audience=Given(".Values.edge.audience"),
    restate_host=Given('printf "%s-restate" (include "betting.name" .)'),
    restate_port=8080,
    jwks=Given(".Values.edge.jwks"),
    has_jwks=Given(".Values.edge.jwks"),
    jwks_file="/etc/envoy/keys/jwks.json",
    has_jwks_file=Given("not .Values.edge.jwks"),
    has_local_keys=Given("not .Values.edge.jwksUri"),
    key_server=KeyServer(
        uri=Given(".Values.edge.jwksUri"),
        host=Given(f"first {_HOST_AND_PORT}"),
        port=Given(f'(index (append {_HOST_AND_PORT} (ternary "443" "80" {_ENCRYPTED})) 1) | int'),
        encrypted=Given(_ENCRYPTED),
    ),
    has_key_server=Given(".Values.edge.jwksUri"),
    roles_claim=Given(".Values.edge.rolesClaim"),
    origins=Given('.Values.edge.origins | join " " | regexQuoteMeta | replace " " "|"'),
    has_origins=Given(".Values.edge.origins"),
    limits=Limits(
        body_bytes=Given("int .Values.edge.limits.bodyBytes"),
        per_user=Given("int .Values.edge.limits.perUser"),
        per_address=Given("int .Values.edge.limits.perAddress"),
        answer_seconds=Given("int .Values.edge.limits.answerSeconds"),
    ),
    trusted_proxies=Given("int .Values.edge.trustedProxies"),
    tls=Given(".Values.edge.tls.secret"),
    key_seconds=Given("int .Values.edge.keySeconds"),
    openapi="/etc/envoy/openapi.json",
    has_openapi=Given('.Files.Get "files/openapi.json"'),
)
"""Its files are the ConfigMap's, in /etc/envoy; in /etc/envoy/tls the certificate's Secret, and in /etc/envoy/keys the
public key of the sandbox's tokens."""
