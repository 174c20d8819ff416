"""What a page tells operators to do has been tried, or the page says that it has not.

A row of a table names the test that reaches it: `<!-- test_NAME -->`. One that no test reaches is marked †. A console
block that needs a cluster names the step of tests/e2e that runs it: `<!-- on a cluster: test_NAME -->`.
"""

import re

import pytest

from tests.chart.rendered import ROOT
from tests.helpers.console import blocks

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
TABLES = ("The everyday commands", "When a step fails")
PAGES = [
    page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if "```console" in page.read_text()
]
MODULES = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}


def rows(table: str) -> list[str]:
    """The rows of the table under a heading, without its head."""
    part = OPERATIONS.split(f"\n## {table}\n")[1].split("\n## ")[0]
    return [line for line in part.splitlines() if line.startswith("| ")][1:]


def there_is(test: str, folder: str = "") -> bool:
    """Whether there is a test of this name."""
    return any(f"def {test}(" in text for path, text in MODULES.items() if folder in str(path))


@pytest.mark.parametrize("table", TABLES)
def test_a_row_names_the_test_that_reaches_it_or_is_marked(table: str) -> None:
    assert len(rows(table)) > 5
    for row in rows(table):
        named = re.findall(r"<!-- (test_\w+) -->", row)
        assert bool(named) != ("†" in row), row
        assert all(map(there_is, named)), row


def test_a_block_that_needs_a_cluster_is_run_by_a_step_of_the_story() -> None:
    steps = {(page, block.on_a_cluster) for page in PAGES for block in blocks(page.read_text()) if block.on_a_cluster}

    assert {page.name for page, _ in steps} == {"README.md", "gitops.md", "operations.md"}
    for page, step in steps:
        assert there_is(step, "e2e"), f"{page}: {step}"
        name = str(page.relative_to(ROOT))
        [text] = [text for text in MODULES.values() if f"def {step}(" in text]
        assert f'"{name}"' in text, f"{step} does not run what {name} says"


def test_every_block_about_a_cluster_is_run_or_says_what_else_it_needs() -> None:
    for page in PAGES:
        for block in blocks(page.read_text()):
            if re.search(r"^\$ (kubectl|helm|release) ", block.text, re.MULTILINE):
                reason = block.on_a_cluster or block.not_run
                assert reason, f"{page.name}:{block.line}"
                assert reason != "needs a cluster", f"{page.name}:{block.line}: the tests have one"
