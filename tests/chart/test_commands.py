"""Every image is started by the console script: versions of it run side by side, and their code may have moved."""

import re
import tomllib

import click
import pytest

from app.__main__ import betting
from app.release.cli import main as release
from tests.chart.rendered import ENVIRONMENTS, ROOT, environment, pod_specs

OURS = ("service", "books", "sandbox", "release")
"""The containers that the image is started in; the test's runs a program of the chart's."""


def commands(name: str) -> list[list[str]]:
    """How each container of ours is started."""
    specs = pod_specs(environment(name)).values()
    return [container["command"] for spec in specs for container in spec["containers"] if container["name"] in OURS]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_chart_names_commands_and_options_that_there_are(name: str) -> None:
    assert commands(name)
    for script, command, *arguments in commands(name):
        found = betting.commands[command]
        if command == "release":
            found, arguments = release.commands[arguments[0]], arguments[1:]
        assert script == "betting"
        found.make_context(command, list(arguments), resilient_parsing=False).close()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_container_is_started_by_the_path_of_a_module(name: str) -> None:
    for spec in pod_specs(environment(name)).values():
        for container in spec["containers"]:
            words = [*container.get("command", ()), *container.get("args", ())]
            assert not any(re.fullmatch(r"app(\.\w+)*", word) for word in words), container["name"]


def test_the_images_script_is_that_of_the_package() -> None:
    module, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["betting"].split(":")
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert f"'from {module} import {function}' '{function}()' > /opt/venv/bin/betting" in dockerfile
    assert 'ENTRYPOINT ["betting"]' in dockerfile
    [default] = re.findall(r'^CMD \["(\w+)"\]$', dockerfile, re.MULTILINE)
    assert isinstance(betting.commands[default], click.Command)
