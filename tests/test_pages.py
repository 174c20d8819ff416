"""Every page can be found, every link leads somewhere, and decisions have one form."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
PAGES = (*ROOT.glob("*.md"), *DOCS.rglob("*.md"))


def links(page: Path) -> list[str]:
    """Where a page points to in this repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The addresses of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_has_every_page() -> None:
    indexed = {(DOCS / link).resolve() for link in links(DOCS / "README.md")}

    pages = {page for page in PAGES if page.parent != DOCS / "runbooks"} - {DOCS / "README.md"}
    assert pages <= indexed
    assert DOCS / "runbooks" in indexed


@pytest.mark.parametrize("number", range(1, len(DECISIONS) + 1))
def test_a_decision_has_its_number_its_date_and_one_form(number: int) -> None:
    page = DECISIONS[number - 1]
    text = page.read_text()

    assert page.name.startswith(f"{number:04}-")
    assert re.match(rf"# {number}\. \S.*\n\nDate: 20\d\d-\d\d-\d\d\n\n## ", text)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]


def test_the_changelog_has_its_three_headings_in_every_release() -> None:
    releases = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]

    assert releases[0].startswith("Unreleased\n")
    for release in releases:
        headings = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert headings == ["Public API", "Stored state", "What an operator must do"], release.splitlines()[0]


@pytest.mark.parametrize("page", sorted((DOCS / "adding").glob("*.md")), ids=lambda page: str(page.name))
def test_a_page_about_adding_names_files_and_tests_that_there_are(page: Path) -> None:
    code = "\n".join(module.read_text() for module in (ROOT / "tests").rglob("*.py"))
    named = re.findall(r"`([\w./]+)`", page.read_text())

    assert [name for name in named if re.match(r"(app|tests|docs|charts)/", name) and not _exists(name)] == []
    assert [name for name in named if re.fullmatch(r"test_\w+", name) and f"def {name}(" not in code] == []


def _exists(name: str) -> bool:
    return "NAME" in name or (ROOT / name).exists()
