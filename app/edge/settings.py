"""What an operator decides about the door; in the chart, Helm expressions stand in the place of values."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.edge.template import Choice, Number, Text


@dataclass(frozen=True)
class KeyServer:
    """Where the identity provider publishes its public keys."""

    uri: Text
    host: Text
    port: Number
    encrypted: Choice

    @classmethod
    def at(cls, uri: str) -> "KeyServer":
        """The server of a URI. Raises ValueError for one that is neither http nor https."""
        parts = urlsplit(uri)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{uri!r} is no http or https address")
        encrypted = parts.scheme == "https"
        return cls(uri, parts.hostname, parts.port or (443 if encrypted else 80), encrypted)


@dataclass(frozen=True)
class Limits:
    """How much the door takes. Rates are those of one of its processes."""

    body_bytes: Number = 65_536
    per_user: Number = 50
    """Requests a second of one user; twice as many may come at once."""
    per_address: Number = 200
    """Requests a second of one address, before any token is looked at; twice as many may come at once."""
    answer_seconds: Number = 60
    """How long an answer may take: longer than a deposit waits for its provider, BETTING_CHARGE_WAIT_SECONDS."""


def either_origin(origins: Iterable[str]) -> str:
    """The expression that matches these origins and no others."""
    return "|".join(map(re.escape, origins))


@dataclass(frozen=True)
class EdgeSettings:
    """The door's settings.

    Of `jwks`, `jwks_file` and `key_server`, one is given; the chart has all of them, each under its condition.
    """

    issuer: Text
    audience: Text
    restate_host: Text
    restate_port: Number
    jwks: Text | None = None
    """The public keys themselves, as a JSON Web Key Set."""
    key_server: KeyServer | None = None
    jwks_file: Text | None = None
    """The file with the public keys, in the place of `jwks`."""
    has_jwks: Choice = True
    has_jwks_file: Choice = True
    has_local_keys: Choice = True
    has_key_server: Choice = True
    roles_claim: Text = "roles"
    """The claim that names roles: its name, or a path of names with dots between them."""
    origins: Text = ""
    """Whose pages may call from a browser, as a regular expression of origins: see `either_origin`."""
    has_origins: Choice = False
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: Number = 0
    """How many proxies in front add their client's address to X-Forwarded-For."""
    tls: Choice = False
    tls_folder: str = "/etc/envoy/tls"
    """Where tls.crt and tls.key are; a new certificate that is moved there is taken at once."""
    tls_file: str = "/etc/envoy/tls.yaml"
    """The file that says so: what `certificate` returns."""
    key_seconds: Number = 300
    """From fetching the identity provider's keys until fetching them again."""
    ca_file: Text = "/etc/ssl/certs/ca-certificates.crt"
    """The certificates that sign the key server's."""
    host: str = "0.0.0.0"  # noqa: S104, a pod is reached from outside it
    port: Number = 8080
    metrics_port: Number = 9902
    admin: str = "@betting-edge"
    """The admin socket, which is for Envoy alone: an abstract one, or a path."""
    openapi: Text | None = None
    """The file that GET /openapi.json answers with."""
    has_openapi: Choice = True
