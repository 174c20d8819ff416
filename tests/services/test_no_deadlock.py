"""No two exclusive handlers can wait for each other: shown from the source of the services, not by trying.

An exclusive handler keeps its key while it waits for a call, and Restate does not notice a circle of such waits, which
would stand still for ever. So components are ordered: an exclusive handler waits only for exclusive handlers further
down, whatever the keys. The same calls show that whatever a read asks knows that it is asked by a read.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from itertools import chain
from pkgutil import walk_packages
from types import FunctionType
from typing import Any, NamedTuple, TypeGuard

from restate.handler import RESTATE_UNIQUE_HANDLER_SYMBOL, Handler

from app import services
from app.composition import SERVICES
from app.services.shell.access import only_reads

AnyHandler = Handler[Any, Any]

CALLS = {"object_call", "service_call", "workflow_call"}
OPAQUE = {"generic_call", "attach_invocation", "awakeable"}
"""Waits of which the source does not tell what for."""
BOUNDED = {("app.services.shell.shield", "attach_invocation")}
"""Those that a sleep beside them ends."""


class Call(NamedTuple):
    """A place in the source where one of some handlers is waited for."""

    module: str
    line: int
    method: str


def all_handlers() -> list[AnyHandler]:
    return [handler for component in SERVICES for handler in component.handlers.values()]


def component(handler: AnyHandler) -> str:
    return handler.service_tag.name


def name(handler: AnyHandler) -> str:
    return f"{component(handler)}/{handler.name}"


def holds_its_key(handler: AnyHandler) -> bool:
    return handler.kind in {"exclusive", "workflow"}


def calls_of(function: FunctionType, seen: set[FunctionType]) -> Iterator[tuple[Call, list[AnyHandler]]]:
    """The calls that a function makes, by itself and through functions of the services, each with who may be called."""
    function = inspect.unwrap(function)
    if function in seen:
        return
    seen.add(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if (method := _method(node)) in CALLS:
            line = function.__code__.co_firstlineno + node.lineno - 1
            targets = list(_handlers_in(_meaning(node.args[0], function, tree)))
            assert targets, f"{function.__module__}:{line}: it cannot be told which handler this calls"
            yield Call(function.__module__, line, method), targets
        elif _is_ours(helper := _meaning(node.func, function, tree)):
            yield from calls_of(helper, seen)


def calls_in(handler: AnyHandler) -> dict[Call, list[AnyHandler]]:
    assert isinstance(handler.fn, FunctionType)
    return dict(calls_of(handler.fn, set()))


def called_by(handler: AnyHandler) -> Iterator[AnyHandler]:
    return chain.from_iterable(calls_in(handler).values())


def waits_for(handler: AnyHandler) -> Iterator[AnyHandler]:
    """The handlers whose keys must be free before this one ends; what is not exclusive waits for what it calls."""
    for called in called_by(handler):
        if holds_its_key(called):
            yield called
        else:
            yield from waits_for(called)


def graph() -> dict[str, set[str]]:
    """For each component, those whose keys its exclusive handlers wait for."""
    waits: dict[str, set[str]] = {component.name: set() for component in SERVICES}
    for handler in filter(holds_its_key, all_handlers()):
        waits[component(handler)].update(map(component, waits_for(handler)))
    return waits


def circle(waits: Mapping[str, set[str]]) -> list[str]:
    """A circle of waits, or none."""
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_exclusive_handlers_never_wait_for_each_other_in_a_circle() -> None:
    assert circle(graph()) == []


def test_a_market_that_is_exclusive_waits_for_nobody_its_books_for_it_and_their_pages_and_its_teller_for_both() -> None:
    waits = graph()

    assert waits["MarketService"] == set()
    assert waits["MarketBook"] == {"MarketService", "MarketBookPage"}
    assert waits["MarketTeller"] == {"MarketService", "MarketBook"}
    assert [name for name, waited_for in waits.items() if "MarketTeller" in waited_for] == ["MarketFeed"]
    assert waits["MarketBookPage"] == set()
    books = [handler for handler in all_handlers() if component(handler) == "MarketBook"]
    called = chain.from_iterable(map(called_by, books))
    assert set(map(name, called)) == {"MarketService/join", "MarketService/lease", "MarketBookPage/read"}


def test_every_wait_in_the_source_has_been_looked_at() -> None:
    looked_at = set(chain.from_iterable(map(calls_in, all_handlers())))

    in_source = {
        call for module in walk_packages(services.__path__, "app.services.") for call in _waits_in(module.name)
    }

    assert looked_at == {call for call in in_source if (call.module, call.method) not in BOUNDED}


def test_a_read_says_that_it_is_one_to_every_component_that_it_asks() -> None:
    asked, calls = [handler for handler in all_handlers() if only_reads(handler)], set[Call]()
    for handler in asked:  # it grows until nobody more is asked
        for call, called in calls_in(handler).items():
            calls.add(call)
            asked += [one for one in called if one not in asked]

    silent = [call for call in calls if "headers=passed_on()" not in _waits_in(call.module)[call]]

    assert calls
    assert silent == [], "who reads would wait for a document that cannot be read"


def _waits_in(module: str) -> dict[Call, str]:
    """The waits of a module, each with its source."""
    nodes = [
        node for node in ast.walk(ast.parse(inspect.getsource(import_module(module)))) if isinstance(node, ast.Call)
    ]
    waits = [node for node in nodes if _method(node) in CALLS | OPAQUE]
    return {Call(module, node.lineno, _method(node)): ast.unparse(node) for node in waits}


def _method(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _meaning(expression: ast.expr, function: FunctionType, tree: ast.Module) -> Any:
    """What a name, or a name in a module, stands for in a function; what is taken from a table may be all of it."""
    match expression:
        case ast.Name(id=known) if known in function.__globals__:
            return function.__globals__[known]
        case ast.Name(id=known):
            assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and known in _assigned_to(node)]
            tables = [node.value.value for node in assigned if isinstance(node.value, ast.Subscript)]
            return [_meaning(table, function, tree) for table in tables]
        case ast.Attribute(value=ast.Name(id=module), attr=known):
            return getattr(function.__globals__.get(module), known, None)
        case _:
            return None


def _assigned_to(node: ast.Assign) -> set[str]:
    return {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}


def _handlers_in(thing: Any) -> Iterator[AnyHandler]:
    if (handler := getattr(thing, RESTATE_UNIQUE_HANDLER_SYMBOL, None)) is not None:
        yield handler
    elif isinstance(thing, Mapping):
        yield from _handlers_in(list(thing.values()))
    elif isinstance(thing, list | tuple):
        yield from chain.from_iterable(map(_handlers_in, thing))


def _is_ours(thing: object) -> TypeGuard[FunctionType]:
    return isinstance(thing, FunctionType) and thing.__module__.startswith("app.services.")
