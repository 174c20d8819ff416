import sys
from pathlib import Path

import pytest
from click import ClickException

from app.dev import binaries
from tests.dev.commands import betting
from tests.helpers.ports import free_port_base

NO_NETWORK = "import sys; sys.exit('npm error code ENOTFOUND\\nnpm error network request to the registry failed')"
INSTALLS = f"""
from pathlib import Path
program = Path("node_modules/@restatedev/restate-server-{binaries._platform()}/bin/restate-server")
program.parent.mkdir(parents=True)
program.touch()
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(binaries.OVERRIDE, raising=False)
    monkeypatch.setattr(binaries, "_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def npm_does(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(binaries, "_npm", lambda: [sys.executable, "-c", program])


def test_a_program_that_is_not_there_is_said_with_its_cure() -> None:
    answer = betting(
        "dev", f"--port-base={free_port_base()}", environment={binaries.OVERRIDE: "/no/such/restate-server"}
    )

    assert answer.returncode == 1
    assert "BETTING_RESTATE_SERVER=/no/such/restate-server is no program" in answer.stderr
    assert "npm fetches one" in answer.stderr


def test_a_program_is_fetched_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm_does(monkeypatch, INSTALLS)
    program = binaries.restate_server()
    npm_does(monkeypatch, NO_NETWORK)

    assert binaries.restate_server() == program
    assert program.is_file()
    assert program.is_relative_to(cache)


def test_no_network_is_one_clear_sentence_and_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm_does(monkeypatch, NO_NETWORK)

    with pytest.raises(
        ClickException, match=r"could not fetch Restate .*network request to the registry failed\. Check"
    ):
        binaries.restate_server()
    assert list(cache.iterdir()) == []


def test_a_platform_without_packages_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm_does(monkeypatch, "pass")

    with pytest.raises(ClickException, match=rf"npm has no restate-server .* for {binaries._platform()}"):
        binaries.restate_server()


def test_every_package_is_pinned_by_a_hash_and_by_no_address() -> None:
    lock = (binaries.PINNED / "package-lock.json").read_text()

    assert lock.count('"integrity"') == lock.count('"node_modules/')
    assert "://" not in lock


def test_the_locks_name_no_registry() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (binaries.PROJECT / lock).read_text()
