from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.running import REPLAYING, System, running

# A busy machine is no failure of a rule.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A whole system that all tests of a session share; each test has players of its own."""
    with running(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture(scope="session")
def replaying_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The same, where every wait makes the handler start over from its journal."""
    with running(tmp_path_factory.mktemp("replaying"), environment=REPLAYING) as system:
        yield system


@pytest.fixture(params=["plain", "replayed"])
def betting(request: pytest.FixtureRequest) -> System:
    """Runs a test once on each."""
    system: System = request.getfixturevalue("system" if request.param == "plain" else "replaying_system")
    return system
