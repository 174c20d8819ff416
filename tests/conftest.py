from collections import Counter
from collections.abc import Iterator

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

from tests.running import HURRIED, REPLAYING, System, running

# A busy machine is no failure of a rule.
# One failure at a time: several would be a group of errors, which no mutant is told to expect.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], report_multiple_bugs=False
)
settings.load_profile("unhurried")
# Nor is an answer that takes more than the five seconds that httpx waits where a test names no time.
for wait in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, wait, 30)


LONGEST = ("tests/services/test_crashes", "tests/test_mutants", "tests/simulation/")
"""Files that take minutes each. They go first, or one would be left to a single worker at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A whole system that all tests of a session share; each test has players of its own."""
    with running(tmp_path_factory.mktemp("system"), HURRIED) as system:
        yield system


@pytest.fixture(scope="session")
def replaying_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The same, where every wait makes the handler start over from its journal."""
    with running(tmp_path_factory.mktemp("replaying"), HURRIED | REPLAYING) as system:
        yield system


@pytest.fixture(params=["plain", "replayed"])
def betting(request: pytest.FixtureRequest) -> System:
    """Runs a test once on each."""
    system: System = request.getfixturevalue("system" if request.param == "plain" else "replaying_system")
    return system


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not tested on this machine, and how to get it tested."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    if reasons:
        told = (
            f"{count} test{'s' if count > 1 else ''}: {reason.removeprefix('Skipped: ')}"
            for reason, count in reasons.items()
        )
        terminalreporter.write_line(f"Not tested here: {'; '.join(told)}.")
