"""Where Prometheus comes from, and what happens where there is none."""

from pathlib import Path

import pytest

from tests.observability import prometheus


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without programs and without a cache."""
    monkeypatch.setattr(prometheus, "CACHE", tmp_path / "cache" / "prometheus")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(prometheus.REQUIRED, raising=False)
    prometheus._fetch.cache_clear()
    return tmp_path


@pytest.mark.usefixtures("bare")
def test_without_prometheus_tests_are_skipped_aloud() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"NO PROMETHEUS: .*no apt-get"):
        prometheus.program("promtool")


@pytest.mark.usefixtures("bare")
def test_where_it_has_to_run_that_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(prometheus.REQUIRED, "1")

    with pytest.raises(pytest.fail.Exception, match=r"NO PROMETHEUS: .*BETTING_REQUIRE_PROMETHEUS is set"):
        prometheus.program("promtool")


def test_one_on_the_path_comes_first(bare: Path) -> None:
    program = bare / "promtool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    assert prometheus.program("promtool") == program
