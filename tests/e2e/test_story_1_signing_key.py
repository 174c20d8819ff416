"""A release on a real cluster, then: the key by which Restate signs its requests is lost, and becomes another one."""

import base64

import httpx
import pytest

from tests.e2e.console import Terminal, marked
from tests.e2e.people import deposited
from tests.e2e.running import WAITS, Release, get, kubectl, load

pytestmark = pytest.mark.e2e

PAGE = "docs/operations.md"
FIRST, SECOND = "betting-signing-key", "betting-signing-key-2"


def public(secret: str) -> str:
    """The public key in a Secret."""
    return base64.b64decode(kubectl("get", "secret", secret, "--output=jsonpath={.data.public}")).decode()


def accepted() -> str:
    """The public keys by which v1 knows Restate."""
    return kubectl("exec", "deploy/betting-v1", "--", "printenv", "BETTING_IDENTITY_KEYS").strip()


def refused() -> list[str]:
    """What Restate's pod has logged of requests that the service refused for their signature."""
    return [line for line in kubectl("logs", "betting-restate-0").splitlines() if "Unauthorized" in line]


def test_1o_a_deleted_signing_key_is_brought_back_from_the_pods(
    release: Release, users: httpx.Client, typing: Terminal
) -> None:
    before = public(FIRST)
    kubectl("delete", "secret", FIRST)
    assert f"the Secret {FIRST} is gone" in release.upgrade(ok=False)

    for example in marked(PAGE, "test_1o_a_deleted_signing_key_is_brought_back_from_the_pods"):
        typing.type(example.command)

    assert public(FIRST) == before
    release.upgrade()
    kubectl("rollout", "restart", "deploy/betting-v1")
    kubectl("rollout", "status", "deploy/betting-v1", WAITS)
    deposited(users, "ann", 1)


def test_1p_the_signing_key_becomes_another_and_no_request_is_refused(
    release: Release, users: httpx.Client, typing: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    old = public(FIRST)

    with load(release.images["v1"], players=2) as told:
        for example in marked(PAGE, "test_1p_the_signing_key_becomes_another_and_no_request_is_refused"):
            typing.type(example.command)
            assert refused() == []

    with capsys.disabled():
        print(f"\nwhile the signing key became another: {told}")
    assert told["sent"] == told["succeeded"] > 50, told
    assert all("unavailable" in error for error in told["errors"]), told
    assert accepted() == public(SECOND) != old
    deposited(users, "ann", 1)
    assert FIRST not in [found["metadata"]["name"] for found in get("secrets")]
