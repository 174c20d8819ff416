"""The commands on the pages exist, and so do their options: also those that need a cluster, which no test runs here."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from app.__main__ import betting
from app.release.cli import main as release
from tests.chart.rendered import CHART, ROOT, helm

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
COMMAND = re.compile(
    r"(?:^ {4,}|^\$ |`|-- |&& )(?:\.venv/bin/)?(betting release|betting|release|helm|kubectl) (?=[a-z-])(?=([^'`\n]*))",
    re.MULTILINE,
)
"""In an indented or a console block, in backticks, or after what runs it: `kubectl exec ... -- betting books`."""
ENDS = re.compile(r" (?:\||&|&&|#|--|>|<<.*)(?: |$)")
"""Where a command ends on its line: a pipe, the next command, a comment, or a command of its own."""

HELM_OPTIONS = {
    "install": {"--wait", "--values", "--set"},
    "upgrade": {"--reset-then-reuse-values", "--values", "--set"},
    "uninstall": set(),
    "rollback": set(),
    "history": set(),
    "test": set(),
    "template": {"--namespace", "--skip-tests", "--no-hooks", "--show-only", "--values", "--set"},
}
"""Helm is a library here, without the program's options: these are Helm 4's, and no page uses another."""
INSTALLED = ("--set=image.repository=REPOSITORY", "--set=versions.v1.image.tag=TAG")
"""What a release has that the pages upgrade."""


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Each program on a page with its arguments, also where they go over several lines."""
    joined = re.sub(r" *\\\n\s*", " ", page)
    for program, rest in COMMAND.findall(joined):
        yield program, ENDS.split(f"{rest} ")[0].strip()


def options(arguments: str) -> set[str]:
    """The options among the arguments."""
    return {word.split("=")[0] for word in arguments.split() if re.match(r"--?[a-z]", word)}


def of_betting(group: click.Group, arguments: str) -> set[str]:
    """What our own command does not know: its name, or some of its options."""
    name = arguments.split()[0]
    if name.startswith("-"):
        return options(arguments) - known(group) - {"--help"}
    if name not in group.commands:
        return {name}
    command = group.commands[name]
    if isinstance(command, click.Group):
        rest = arguments.removeprefix(name).strip()
        return of_betting(command, rest) if rest else set()
    return options(arguments) - known(command) - {"--help"}


def known(command: click.Command) -> set[str]:
    """The options of one of our commands."""
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def of_kubectl(arguments: str) -> set[str]:
    """What kubectl does not know, by its own help, which needs no cluster."""
    before_options = re.split(r" -", arguments)[0].split()
    path = before_options[: {"rollout": 2, "config": 2, "create": 3}.get(before_options[0], 1)]
    program = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or "kubectl"
    asked = subprocess.run([program, *path, "--help"], capture_output=True, text=True, timeout=60, check=False)
    if asked.returncode != 0:
        return set(path)
    shared = subprocess.run([program, "options"], capture_output=True, text=True, timeout=60, check=True)
    there = re.findall(r"^ +(?:(-\w), )?(--[\w-]+)=", asked.stdout + shared.stdout, re.MULTILINE)
    return options(arguments) - {option for pair in there for option in pair}


def of_helm(arguments: str) -> set[str]:
    """What Helm does not know; values that the chart refuses are a HelmError. A bare file name is the reader's."""
    name = arguments.split()[0]
    if name not in HELM_OPTIONS:
        return {name}
    given = [*INSTALLED]
    for option, value in re.findall(r"(--set|--values)[ =](\S+)", arguments):
        if option == "--set":
            given.append(f"{option}={re.sub(r'=[A-Z]+$', '=v1', value)}")
        elif "/" in value:
            given.append(f"{option}={ROOT / value}")
    helm(*given)
    return options(arguments) - HELM_OPTIONS[name]


def unknown(program: str, arguments: str) -> set[str]:
    """The words of a command that its program does not know."""
    if program == "kubectl":
        return of_kubectl(arguments)
    if program == "helm":
        return of_helm(arguments)
    return of_betting(betting if program == "betting" else release, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_a_page_exists_with_its_options(page: Path) -> None:
    for program, arguments in commands(page.read_text()):
        assert unknown(program, arguments) == set(), f"{program} {arguments}"


def test_commands_are_found_wherever_pages_have_them() -> None:
    page = """
    kubectl exec deploy/betting-books -- betting books --once | grep x
| look | `release status`, one row |
$ helm upgrade betting charts/betting \\
    --set current=v2 && kubectl get pvc
"""

    assert list(commands(page)) == [
        ("kubectl", "exec deploy/betting-books"),
        ("betting", "books --once"),
        ("release", "status"),
        ("helm", "upgrade betting charts/betting --set current=v2"),
        ("kubectl", "get pvc"),
    ]


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        ("betting", "books --twice", {"--twice"}),
        ("betting", "bocks", {"bocks"}),
        ("release", "rescue v1 --to v2 --sometimes", {"--sometimes"}),
        ("release", "node replace betting-restate-2 --dry-run", set()),
        ("release", "node replace betting-restate-2 --twice", {"--twice"}),
        ("betting release", "status --output json", set()),
        ("kubectl", "logs deploy/betting-books --tial=50", {"--tial"}),
        ("kubectl", "create secret generic mine --from-litral=a=b", {"--from-litral"}),
        ("kubectl", "lags deploy/betting-books", {"lags"}),
        ("helm", "upgrade betting charts/betting --reuse-value", {"--reuse-value"}),
    ],
)
def test_a_command_that_is_wrong_is_found(program: str, arguments: str, words: set[str]) -> None:
    assert unknown(program, arguments) == words


def test_a_value_that_the_chart_does_not_have_is_found() -> None:
    with pytest.raises(Exception, match="replicsa"):
        of_helm("upgrade betting charts/betting --set restate.replicsa=3")


def test_values_on_a_page_are_values_of_the_chart(tmp_path: Path) -> None:
    keys = set(yaml.safe_load((CHART / "values.yaml").read_text()))
    blocks = [
        (page, block)
        for page in PAGES
        for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        if set(yaml.safe_load(block)) & keys
    ]

    assert {page.name for page, _ in blocks} >= {"observability.md", "settings.md"}
    for _, block in blocks:
        (tmp_path / "values.yaml").write_text(block)
        helm(*INSTALLED, f"--values={tmp_path / 'values.yaml'}")
