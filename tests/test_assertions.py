"""Whatever moves money or exposure asserts what must be true: a broken assertion is better than a wrong balance."""

import ast
from collections.abc import Iterator
from pathlib import Path

DOMAIN = Path(__file__).parent.parent / "app" / "domain"

MOVERS = {"post", "post_entry", "_used"}
"""What enters a movement into a wallet, and what changes how much of its share a shard has used."""
WITHOUT = {
    "shards.py:_with_exposure": "`_used` asserts that the shard gives back no more than it had, which is all there is",
}
"""Functions that move something and have nothing of their own to assert, and why."""


def movers() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(DOMAIN.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and _called(node) & MOVERS:
                yield f"{path.name}:{node.name}", node


def _called(function: ast.FunctionDef) -> set[str]:
    return {
        node.func.id for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def asserts(function: ast.FunctionDef) -> bool:
    own = any(isinstance(node, ast.Assert) for node in ast.walk(function))
    return own or any(name.startswith("_assert_") for name in _called(function))


def test_whatever_moves_money_or_exposure_asserts_something() -> None:
    found = dict(movers())

    assert len(found) > 8
    assert {name for name, function in found.items() if not asserts(function)} == set(WITHOUT)
