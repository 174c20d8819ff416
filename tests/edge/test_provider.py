"""The door with a real OpenID Connect provider: found, its keys rotated, and away."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest

from app.edge.settings import EdgeSettings, KeyServer, Limits
from tests.edge.envoys import ACCOUNT, HOST, RunningEnvoy, echo, running_envoy
from tests.edge.provider import Provider, providing
from tests.edge.raw import Answer, ask, bearer
from tests.edge.tokens import stranger
from tests.helpers.ports import free_port
from tests.helpers.waiting import eventually

FETCH_FAILED = "envoy_http_jwt_authn_jwks_fetch_failed"


def of(provider_uri: str, issuer: str, upstream: int) -> EdgeSettings:
    return EdgeSettings(
        issuer=issuer,
        audience="betting",
        key_server=KeyServer.at(provider_uri),
        key_seconds=6,
        limits=Limits(per_user=100_000, per_address=100_000),
        roles_claim="realm_access.roles",
        restate_host=HOST,
        restate_port=upstream,
        host=HOST,
        port=free_port(),
        metrics_port=free_port(),
        admin=f"@betting-edge-test-{uuid4()}",
    )


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with providing(free_port(), tmp_path / "keys.json") as provider:
        yield provider


@pytest.fixture
def upstream() -> Iterator[int]:
    with echo(port := free_port()):
        yield port


@pytest.fixture
def envoy(provider: Provider, upstream: int) -> Iterator[RunningEnvoy]:
    told = provider.discovered()
    with running_envoy(of(told["jwks_uri"], told["issuer"], upstream)) as running:
        yield running


def as_bearer(envoy: RunningEnvoy, token: str) -> Answer:
    return ask(envoy.url, ACCOUNT, bearer(token))


@contextmanager
def all_the_while(look: Callable[[], int]) -> Iterator[list[int]]:
    """What a look sees again and again until the block ends, complete from then on."""
    seen: list[int] = []
    done = Event()

    def keep_looking() -> None:
        while not done.is_set():
            seen.append(look())

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(keep_looking)
        try:
            yield seen
        finally:
            done.set()
        looking.result()


def test_a_discovered_providers_tokens_name_user_and_roles(envoy: RunningEnvoy, provider: Provider) -> None:
    ann, tom = (dict(as_bearer(envoy, provider.token(user)).body["headers"]) for user in ("ann", "tom"))

    assert (ann["x-betting-user"], ann["x-betting-roles"]) == ("ann", "")
    assert (tom["x-betting-user"], tom["x-betting-roles"]) == ("tom", "trader")


def test_a_rotation_interrupts_nobody(envoy: RunningEnvoy, provider: Provider) -> None:
    old = provider.token("ann")
    with all_the_while(lambda: as_bearer(envoy, old).status) as statuses:
        provider.rotate()
        new = provider.token("ann")
        first = as_bearer(envoy, new)
        eventually(lambda: as_bearer(envoy, new).status == 200)

    assert first.reason in (None, "unauthenticated")  # its keys may have been fetched in between
    assert set(statuses) == {200}


def test_known_keys_go_on_while_the_provider_is_away(envoy: RunningEnvoy, provider: Provider) -> None:
    known = provider.token("ann")
    assert as_bearer(envoy, known).status == 200
    provider.stop()
    eventually(lambda: envoy.number(FETCH_FAILED) >= 2)  # its keys would have been forgotten by now

    unknown = as_bearer(envoy, stranger().token("ann", iss=provider.url))

    assert as_bearer(envoy, known).status == 200
    assert (unknown.status, unknown.reason) == (401, "unauthenticated")
    assert "Jwt" in unknown.body["message"]
    provider.start()
    provider.rotate()
    eventually(lambda: as_bearer(envoy, provider.token("ann")).status == 200)


def test_a_door_that_is_opened_while_the_provider_is_away_waits_for_it(provider: Provider, upstream: int) -> None:
    told, token = provider.discovered(), provider.token("ann")
    provider.stop()
    with running_envoy(of(told["jwks_uri"], told["issuer"], upstream)) as envoy:
        refused = as_bearer(envoy, token)
        provider.start()
        eventually(lambda: as_bearer(envoy, token).status == 200)

    assert (refused.status, refused.reason) == (401, "unauthenticated")
