"""A configuration as YAML: whole, or as a Helm template in which the chart's values stand for what operators decide."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Given:
    """A Helm expression, such as `.Values.edge.issuer`, in the place of the value that it gives."""

    expression: str

    def __str__(self) -> str:
        """How it stands inside a longer text."""
        return f"{{{{ {self.expression} }}}}"

    @property
    def as_json(self) -> str:
        """How it stands as a whole value, of whatever type."""
        return f"{{{{ {self.expression} | toJson }}}}"


@dataclass(frozen=True)
class When:
    """A value that is there under a Helm condition only."""

    condition: str
    then: object


Text = str | Given
Number = int | Given
Choice = bool | Given


def only(condition: Choice, value: object) -> object:
    """A value that is there under a condition only; None, which is never written, stands for none."""
    if isinstance(condition, Given):
        return When(condition.expression, value)
    return value if condition else None


def as_yaml(config: object) -> str:
    """Write a configuration; fields and items that are None are left out."""
    return "\n".join(_lines(config, 0)) + "\n"


def _lines(value: object, depth: int) -> Iterator[str]:
    """A mapping or a list in lines of their own."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _under_condition(one, partial(_field, f"{_name(name)}:", depth))
    else:
        assert isinstance(value, list)
        for one in value:
            yield from _under_condition(one, partial(_item, depth))


def _under_condition(value: object, write: Callable[[object], Iterator[str]]) -> Iterator[str]:
    if isinstance(value, When):
        yield f"{{{{- if {value.condition} }}}}"
        yield from write(value.then)
        yield "{{- end }}"
    elif value is not None:
        yield from write(value)


def _field(name: str, depth: int, value: object) -> Iterator[str]:
    margin = "  " * depth
    if isinstance(value, dict | list) and value:
        yield margin + name
        yield from _lines(value, depth + 1)
    elif isinstance(value, str) and "\n" in value:
        yield f"{margin}{name} |"
        yield from (f"{margin}  {line}".rstrip() for line in value.splitlines())
    else:
        yield f"{margin}{name} {_scalar(value)}"


def _item(depth: int, value: object) -> Iterator[str]:
    margin = "  " * depth
    if isinstance(value, dict | list) and value:
        yield f"{margin}-"
        yield from _lines(value, depth + 1)
    else:
        yield f"{margin}- {_scalar(value)}"


def _scalar(value: object) -> str:
    return value.as_json if isinstance(value, Given) else json.dumps(value, ensure_ascii=False)


def _name(text: str) -> str:
    return text if text.isidentifier() else json.dumps(text)
