"""The version is one fact, wherever it has to be written."""

import json
import re
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from app import __version__
from tests.dev.commands import betting

ROOT = Path(__file__).parents[1]


def pyproject() -> str:
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def chart(field: str) -> str:
    found: str = yaml.safe_load((ROOT / "charts" / "betting" / "Chart.yaml").read_text())[field]
    return found


def image_label() -> str:
    """What the image is labelled with when nobody says otherwise, as the release does not."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert 'org.opencontainers.image.version="$VERSION"' in dockerfile
    [found] = re.findall(r"^ARG VERSION=(\S+)$", dockerfile, re.MULTILINE)
    return str(found)


def description() -> str:
    found: str = json.loads((ROOT / "charts" / "betting" / "files" / "openapi.json").read_text())["info"]["version"]
    return found


PLACES: dict[str, Callable[[], str]] = {
    "pyproject.toml": pyproject,
    "the installed package": lambda: version("betting"),
    "Chart.yaml: version": lambda: chart("version"),
    "Chart.yaml: appVersion": lambda: chart("appVersion"),
    "the image's label": image_label,
    "the description of the API: make edge": description,
    "betting --version": lambda: betting("--version").stdout.removeprefix("betting, version ").strip(),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_names_the_version_of_the_code(place: str) -> None:
    assert PLACES[place]() == __version__


def test_a_release_is_built_with_the_version_of_the_code() -> None:
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text()

    assert "VERSION=" not in workflow
    assert "--app-version" not in workflow
