"""The tests are tested: each known bug of tests/mutants.py, put into a copy of the code, turns red the test it names.

Red is a failed assertion: a copy that does not run, or a bug whose place in the code is gone, proves nothing.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.dev.binaries import OVERRIDE, restate_server
from tests.mutants import CONTRACT, MUTANTS, RETURNS, Mutant
from tests.running import clean_environment

PROJECT = Path(__file__).parents[1]
PATIENCE_SECONDS = 1_800
WORKER = "gw3"
"""tests/helpers/ports.py: the tests of a copy have ports of their own. `make test` has three workers, gw0 to gw2."""
HALF_WRITTEN = shutil.ignore_patterns("*.pyc.*")
"""Bytecode that another worker is about to rename."""
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0")
"""With a seed, a bug that examples find is found each time or never."""
ASSERTED = ("AssertionError", "assert ", "Failed: DID NOT RAISE")
"""How pytest's report of a failed assertion begins."""


def copied(folder: Path) -> Path:
    """A copy of the code and its tests, to break; with the bytecode, which Python makes anew for what is changed."""
    for name in ("app", "tests"):
        shutil.copytree(PROJECT / name, folder / name, ignore=HALF_WRITTEN)
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def mutated(folder: Path, mutant: Mutant) -> str:
    """The file with the bug in it; each place must be there, once."""
    source = (folder / mutant.file).read_text()
    for old, new in mutant.changes():
        assert source.count(old) == 1, f"{mutant.file} has this {source.count(old)} times, not once:\n{old}"
        source = source.replace(old, new)
    return source


def verdict(folder: Path, *tests: str) -> str:
    """Run tests in a copy: green, red where one fails with an assertion, or what else came of it."""
    report = folder / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *tests, *OPTIONS, f"--junitxml={report}"],
        cwd=folder,
        env={**clean_environment(), OVERRIDE: str(restate_server()), "PYTEST_XDIST_WORKER": WORKER},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    if done.returncode == pytest.ExitCode.OK:
        return "green"
    failures = ElementTree.parse(report).findall(".//failure") if report.exists() else []
    if any(failure.attrib["message"].startswith(ASSERTED) for failure in failures):
        return "red"
    return done.stdout + done.stderr


def verdict_with(folder: Path, mutant: Mutant) -> str:
    """Run the test that a bug names, in a copy with it."""
    (copied(folder) / mutant.file).write_text(mutated(folder, mutant))
    return verdict(folder, mutant.killer)


def test_each_known_bug_is_of_code_that_is_there() -> None:
    """Told in a second, before the bugs themselves, which take minutes."""
    for mutant in MUTANTS:
        assert mutated(PROJECT, mutant)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_known_bug_turns_its_test_red(tmp_path: Path, mutant: Mutant) -> None:
    assert verdict_with(tmp_path, mutant) == "red"


def test_without_a_bug_all_the_named_tests_are_green(tmp_path: Path) -> None:
    tests = sorted({mutant.killer for mutant in MUTANTS})

    assert verdict(copied(tmp_path), *tests) == "green"


def test_a_change_that_is_no_bug_survives(tmp_path: Path) -> None:
    harmless = Mutant("harmless", RETURNS, "-MAX_TIED = 1_000\n+MAX_TIED = 10 * 100\n", CONTRACT)

    assert verdict_with(tmp_path, harmless) == "green"


@pytest.mark.parametrize("line", ["from math import comb, prod", "raise AssertionError"])
def test_code_that_does_not_run_is_no_proof(tmp_path: Path, line: str) -> None:
    broken = Mutant("broken", RETURNS, f"-from math import comb, floor, prod\n+{line}\n", CONTRACT)

    assert verdict_with(tmp_path, broken) not in ("green", "red")


@pytest.mark.parametrize("place", ["-no such line\n", "-        case Result.WON:\n-            return 0\n", "-\n"])
def test_a_bug_whose_place_is_gone_or_not_the_only_one_is_said_aloud(tmp_path: Path, place: str) -> None:
    with pytest.raises(AssertionError, match="not once"):
        verdict_with(tmp_path, Mutant("gone", RETURNS, place, CONTRACT))
