"""The door in front of the system that is measured, with limits that are out of the way."""

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key

from app.composition import SERVICES
from app.edge.routes import Route
from app.edge.settings import Limits
from app.services.shell.access import public_handlers
from tests.edge.envoys import running_envoy, settings_for
from tests.edge.tokens import good_claims
from tests.running import System

UNLIMITED = Limits(per_user=1_000_000, per_address=1_000_000)
THREADS = 2
DAY_SECONDS = 86_400


class Door:
    """Where it is, and who signs for it."""

    def __init__(self, url: str, pid: int, key: EllipticCurvePrivateKey) -> None:
        self.url = url
        self.pid = pid
        self._key = key

    @functools.cache  # noqa: B019, it lives as long as the benchmark
    def token(self, user: str) -> str:
        """A player's token, signed once."""
        claims = good_claims(user)
        return jwt.encode({**claims, "exp": claims["iat"] + DAY_SECONDS}, self._key, "ES256", {"kid": "bench"})


@contextmanager
def opened(system: System) -> Iterator[Door]:
    """The door of a system, with a key of its own."""
    key = generate_private_key(SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    jwks = json.dumps({"keys": [{**public, "kid": "bench"}]})
    settings = settings_for(urlsplit(system.ingress).port or 0, jwks, limits=UNLIMITED)
    routes = [Route(one.service, one.access.needs_token, one.handler, one.keyed) for one in public_handlers(SERVICES)]
    with running_envoy(settings, routes, THREADS) as envoy:
        yield Door(envoy.url, envoy.process.pid, key)
