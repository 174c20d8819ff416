"""What a dashboard is to us: sections of panels, each with its queries, laid out from left to right."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

COLUMNS = 24
"""How many columns Grafana's grid has."""


class Look(StrEnum):
    """How a panel shows its series."""

    NUMBER = "stat"
    LINES = "timeseries"
    LAYERS = "layers"  # lines that add up
    TABLE = "table"  # one row a version, one column a query


class Unit(StrEnum):
    """What a panel counts in, by Grafana's names."""

    NUMBER = "short"
    SECONDS = "s"
    BYTES = "bytes"
    BYTES_A_SECOND = "Bps"
    SHARE = "percentunit"
    A_SECOND = "reqps"
    A_MINUTE = "cpm"


@dataclass(frozen=True)
class Query:
    """One PromQL expression; it may use `$namespace`, `$__rate_interval` and `$__range`."""

    expr: str
    legend: str = ""
    """Grafana's legend of each series, or the title of a table's column."""
    empty: str = ""
    """Why nothing may come of it while all is well; else series must come from a system with traffic."""
    unit: Unit | None = None
    """Of a table's column that is no plain number."""


@dataclass(frozen=True)
class Panel:
    """One answer."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: Unit = Unit.NUMBER
    look: Look = Look.LINES
    width: int = 8
    height: int = 8
    bad_from: float | None = None
    """From this value on it is shown in red."""
    bad_below: float | None = None
    """Below this value it is shown in red."""
    words: Mapping[int, str] = field(default_factory=dict)
    """Words in place of values."""
    nothing: str = "-"
    """What stands where no series comes."""
    names: bool = False
    """Show the legend in place of the value."""


@dataclass(frozen=True)
class Section:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Place:
    """Where something stands in Grafana's grid."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    name: str
    """Of its file."""
    title: str
    description: str
    sections: tuple[Section, ...]

    @property
    def uid(self) -> str:
        """The name in its address, which links rely on."""
        return f"betting-{self.name}"

    def panels(self) -> Iterator[Panel]:
        """All panels."""
        for section in self.sections:
            yield from section.panels

    def placed(self) -> Iterator[tuple[Section | Panel, Place]]:
        """Headings and panels with their places, from top to bottom; a panel that does not fit starts a new line."""
        y = 0
        for section in self.sections:
            yield section, Place(0, y, COLUMNS, 1)
            x, y, below = 0, y + 1, y + 1
            for panel in section.panels:
                if x + panel.width > COLUMNS:
                    x, y = 0, below
                yield panel, Place(x, y, panel.width, panel.height)
                x, below = x + panel.width, max(below, y + panel.height)
            y = below


def one(expr: str, legend: str = "", empty: str = "") -> tuple[Query, ...]:
    """The queries of a panel that needs only one."""
    return (Query(expr, legend, empty),)
