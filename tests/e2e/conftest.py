from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.console import Terminal, terminal
from tests.e2e.running import NAMESPACE, Release, door, images, run


@pytest.fixture(scope="session")
def release() -> Iterator[Release]:
    given = images()
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
def typing(release: Release, tmp_path: Path) -> Iterator[Terminal]:
    """A shell of an operator of the release."""
    with terminal(NAMESPACE, tmp_path) as shell:
        yield shell


@pytest.fixture
def users() -> Iterator[httpx.Client]:
    """Where users come in; each request says by whom."""
    with door() as http:
        yield http
