"""docs/capacity.md has what the calculator prints, and says how long answers are kept."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.__main__ import betting
from app.composition import SERVICES
from app.services.shell.access import public_handlers
from app.services.shell.wire import FORGET_AT_ONCE

PAGE = (Path(__file__).parents[2] / "docs" / "capacity.md").read_text()
TABLES = re.findall(r"^<!-- betting (capacity .+) -->\n\n((?:\|.*\n)*)", PAGE, re.MULTILINE)
"""The commands in comments, each with the table below it."""


def test_the_page_has_the_loads_and_the_constants() -> None:
    assert len(TABLES) == 3
    assert "--constants" in TABLES[-1][0]


@pytest.mark.parametrize(("command", "table"), TABLES, ids=[command.split()[1] for command, _ in TABLES])
def test_a_table_of_the_page_is_what_the_calculator_prints(command: str, table: str) -> None:
    printed = CliRunner().invoke(betting, shlex.split(command)).output

    assert printed.partition("\n\n")[0].strip() == table.strip()


def test_the_page_names_the_handlers_whose_answers_are_kept() -> None:
    [row] = re.findall(r"^\| answers to (`.+?) \| 2 hours", PAGE, re.MULTILINE)

    handlers = {service.name: service.handlers for service in SERVICES}
    kept = [
        one.handler
        for one in public_handlers(SERVICES)
        if handlers[one.service][one.handler].idempotency_retention != FORGET_AT_ONCE
    ]
    assert sorted(re.findall(r"`(\w+)`", row)) == sorted(kept)
