"""What tests share is in helper modules, so that a test module can be read, moved and run by itself."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "tests").rglob("*.py"))


def imported(module: Path) -> set[str]:
    """The modules that a module imports names from."""
    nodes = ast.walk(ast.parse(module.read_text()))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_nothing_is_imported_from_a_test_module(module: Path) -> None:
    assert [name for name in imported(module) if name.rpartition(".")[2].startswith("test_")] == []


def test_the_provider_is_chosen_in_one_place() -> None:
    """Otherwise the service could charge at one provider, and the bookkeeper compare with another."""
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "app").rglob("*.py")}

    assert [path for path, text in texts.items() if re.search(r"(?<!class )HttpPaymentProvider\(", text)] == [
        "app/providers/configured.py"
    ]
