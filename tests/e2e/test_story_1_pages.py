"""A release on a real cluster, then: what pages say to operators is typed as it stands there."""

import re

import pytest

from tests.e2e.console import Terminal, marked
from tests.e2e.people import deposited
from tests.e2e.running import NAMESPACE, door, run

pytestmark = pytest.mark.e2e

STEP = "test_1k_the_commands_for_operators_work"
OF_ANOTHER_STEP = re.compile(r"^helm upgrade|release rollback v1$")
"""What Helm's notes say about a second version: there is none yet."""


def test_1k_the_commands_for_operators_work(typing: Terminal) -> None:
    with door() as users:
        deposited(users, "ann", 100)

    typing.type("USER=ops")
    said = [typing.follow(example) for example in marked("docs/operations.md", STEP)]

    for what in ("v1 (wanted)", '"userId":"ann"', "balanced: all wallets"):
        assert [told for told in said if what in told], what


def test_1l_the_commands_of_helms_notes_work(typing: Terminal) -> None:
    notes = run("helm", "get", "notes", "betting", f"--namespace={NAMESPACE}")
    commands = re.findall(r"^  ((?:TOKEN=|kubectl|curl|helm) ?.*)$", notes, re.MULTILINE)
    typed = [command for command in commands if not OF_ANOTHER_STEP.search(command)]
    assert (len(commands), len(typed)) == (12, 10), commands

    said = [typing.type(command) for command in typed]

    assert [told for told in said if '"status":"credited"' in told]
    assert [told for told in said if "balanced: all wallets" in told]
