"""What tests share is in helper modules, so that a test module can be read, moved and run by itself."""

import ast
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
