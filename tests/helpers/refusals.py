"""Which refusals the code of a handler can reach: read from its source, through every function that it names.

What a handler sends to another is left out, for nobody hears its answer; what it calls is followed.
"""

import ast
import enum
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from types import FunctionType
from typing import Any

import app.domain
import app.providers
from app.domain.refusals import Refusal
from tests.helpers.modules import modules_of

OURS = {"app", "tests"}
SENDS = {"object_send", "service_send", "workflow_send", "generic_send"}


@cache
def reachable(function: FunctionType) -> frozenset[Refusal]:
    """The refusals that a function names, or one that it names, and so on."""
    found: set[Refusal] = set()
    seen: set[FunctionType] = set()
    waiting = [function]
    while waiting:
        one = inspect.unwrap(waiting.pop())
        if one in seen:
            continue
        seen.add(one)
        for value in _named_in(one):
            if isinstance(value, Refusal):
                found.add(value)
            elif isinstance(value, FunctionType):
                waiting.append(value)
    return frozenset(found)


def _named_in(function: FunctionType) -> Iterator[Any]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in _without_sends(tree.body[0]):
        for value in _resolved(node, function.__globals__):
            yield from _members(value)


def _without_sends(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SENDS:
        for argument in node.args[1:]:
            yield from _without_sends(argument)
        return
    yield node
    decorators = getattr(node, "decorator_list", [])
    for child in ast.iter_child_nodes(node):
        if child not in decorators:
            yield from _without_sends(child)


def _resolved(node: ast.AST, names: Mapping[str, Any]) -> list[Any]:
    """What a name or an attribute stands for; of what only a value at run time knows, every method of that name."""
    if isinstance(node, ast.Name):
        return [names[node.id]] if node.id in names else []
    if not isinstance(node, ast.Attribute):
        return []
    owners = _resolved(node.value, names)
    if owners:
        return [getattr(owner, node.attr) for owner in owners if hasattr(owner, node.attr)]
    return _methods().get(node.attr, [])


@cache
def _methods() -> dict[str, list[Any]]:
    """The methods and properties of the classes that decide, by name: the domain's, and the provider's adapter's."""
    found: dict[str, list[Any]] = {}
    for module in modules_of(app.domain) + modules_of(app.providers):
        for owner in vars(module).values():
            if inspect.isclass(owner) and owner.__module__ == module.__name__ and not issubclass(owner, enum.Enum):
                for name, method in vars(owner).items():
                    if isinstance(function := getattr(method, "fget", method), FunctionType):
                        found.setdefault(name, []).append(function)
    return found


def _members(value: Any) -> Iterator[Any]:
    """A function or refusal of ours; those in a table of ours."""
    if isinstance(value, Refusal):
        yield value
    elif isinstance(value, Mapping) and len(value) != len(Refusal):
        for one in value.values():
            yield from _members(one)
    elif isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from _members(one)
    elif isinstance(value, FunctionType) and value.__module__.split(".")[0] in OURS:
        yield value
