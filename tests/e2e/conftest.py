from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.running import NAMESPACE, Release, door, images, run


@pytest.fixture(scope="session")
def release() -> Iterator[Release]:
    given = images()
    if given is None:
        pytest.skip("NO CLUSTER: `make e2e` gives BETTING_E2E_IMAGE_V1 and BETTING_E2E_IMAGE_V2")
    run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    run("kubectl", "create", "namespace", NAMESPACE)
    run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    yield Release(given)
    run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="session")
def look(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the Prometheus beside the release is described."""
    return tmp_path_factory.mktemp("look")


@pytest.fixture
def users() -> Iterator[httpx.Client]:
    """Where users come in; each request says by whom."""
    with door() as http:
        yield http
