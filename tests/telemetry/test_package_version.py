from importlib.metadata import PackageNotFoundError

import pytest

from app import composition


def test_code_that_is_not_installed_as_a_package_has_a_version_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(composition, "version", not_installed)

    assert composition.package_version() == "unpackaged"
