"""The console blocks of README and docs print what they say: each is run, on a system of its own page.

A block that cannot be run has a comment before it that says why: `<!-- not run: it would run itself -->`. One that
needs a cluster names the step of tests/e2e that runs it: `<!-- on a cluster: test_1k_... -->`. After
`<!-- numbers vary -->` numbers are not compared; `<!-- first: COMMAND -->` is run before the block. A line `...` stands
for any lines.
"""

import difflib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.console import Example, agree, blocks, masked
from tests.running import System, clean_environment, running

ROOT = Path(__file__).parents[1]
PAGES = [
    page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if "```console" in page.read_text()
]
USUAL_PORTS = {8080: "ingress", 9070: "admin", 9080: "service", 9090: "sandbox", 9095: "metrics", 9101: "books"}

COMMAND_SECONDS = 300
SETTLED_SECONDS = 30
"""How long a command that only looks is repeated until it sees what the page says."""


class Shell:
    """Runs the commands of a page against a system on other ports."""

    def __init__(self, system: System) -> None:
        self._system = system

    def run(self, command: str) -> str:
        """What a command prints."""
        for usual, name in USUAL_PORTS.items():
            command = command.replace(f"localhost:{usual}", self._system.ports.url(name).removeprefix("http://"))
        command = command.replace(".venv/bin/betting", f"{sys.executable} -m app")
        options = f"--ingress={self._system.ingress} --sandbox={self._system.sandbox}"
        command = command.replace("-m app simulate", f"-m app simulate {options}")
        here = {
            "BETTING_BOOKS_ADMIN": self._system.admin,
            "BETTING_BOOKS_INGRESS": self._system.ingress,
            "BETTING_PROVIDER_URL": self._system.sandbox,
            "NO_PROXY": "*",
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(
            ["bash", "-c", command],
            env=clean_environment() | here,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return done.stdout if done.returncode == 0 else f"{done.stdout}\n{done.stderr}\nexit code {done.returncode}"

    def difference(self, example: Example, numbers_vary: bool) -> list[str]:
        """What a command prints that the page does not say; one that only looks is repeated until it agrees."""
        expected = masked(example.output, numbers_vary)
        deadline = time.monotonic() + SETTLED_SECONDS
        while True:
            seen = masked(self.run(example.command), numbers_vary)
            if agree(expected, seen):
                return []
            if " -d " in example.command or "simulate" in example.command or time.monotonic() > deadline:
                return list(difflib.unified_diff(expected, seen, "the page", "this system", lineterm=""))
            time.sleep(0.5)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_the_examples_of_a_page_print_what_it_says(page: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("NO CURL: the examples in the documentation are not tested, put curl on the PATH")
    wrong = []
    with running(tmp_path) as system:
        shell = Shell(system)
        for block in blocks(page.read_text()):
            if block.not_run is not None or block.on_a_cluster is not None:
                continue
            if block.first is not None:
                shell.run(block.first)
            for example in block.examples():
                if difference := shell.difference(example, block.numbers_vary):
                    wrong += [f"{page.name}:{example.line}: $ {example.command}", *difference, ""]
    assert not wrong, "\n" + "\n".join(wrong)


PAGE = """
<!-- numbers vary -->
<!-- first: curl -d '{}' a -->
```console
$ curl localhost:8080/a \\
    -d '{
  "b": 1}'
{"c": 2}
$ look
...
3 left
```

<!-- not run: needs a cluster -->
```console
$ helm install
```
"""


def test_a_block_is_read_with_its_comments() -> None:
    run, not_run = blocks(PAGE)

    assert (run.numbers_vary, run.first, run.not_run) == (True, "curl -d '{}' a", None)
    assert not_run.not_run == "needs a cluster"
    curl = "curl localhost:8080/a \\\n    -d '{\n  \"b\": 1}'"
    assert list(run.examples()) == [Example(5, curl, '{"c": 2}'), Example(9, "look", "...\n3 left")]


@pytest.mark.parametrize(
    ("said", "seen", "numbers_vary", "agrees"),
    [
        ("a\nb", "a\nb\n", False, True),
        ("a\nb", "a\nc", False, False),
        ("a\n...\nd", "a\nb\nc\nd", False, True),
        ("a\n...\nd", "a\nd", False, True),
        ("a\n...", "b\na", False, False),
        ("3 left", "4 left", False, False),
        ("3 left, -2.5", "-4 left, 7", True, True),
        ("3 left", "4 right", True, False),
        ("86351.0", "1.10415e+06", True, True),
        (f"d-{'0' * 8}-0000-0000-0000-{'0' * 12}", f"d-{'a' * 8}-1111-2222-3333-{'b' * 12}", False, True),
        ('{"a":1,"at":"2026-11-25T01:32:04.553Z"}', '{"a":1,"at":"2027-01-01T00:00:00Z"}', False, True),
        ('{"a":1}', '{"a":2}', False, False),
        ("", "something", False, False),
    ],
)
def test_outputs_agree_but_for_what_varies(said: str, seen: str, numbers_vary: bool, agrees: bool) -> None:
    assert agree(masked(said, numbers_vary), masked(seen, numbers_vary)) is agrees


def test_a_block_that_is_not_run_says_why() -> None:
    for page in PAGES:
        for block in blocks(page.read_text()):
            assert block.not_run is None or block.not_run.strip(), f"{page.name}:{block.line}"
