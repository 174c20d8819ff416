"""What a load needs, for people and for programs: each number with where it is from."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.capacity.constants import CONSTANTS, GIB, MIB, Basis
from app.capacity.needs import Load, Needs, needs_of

Row = Sequence[str]
Table = tuple[Row, Sequence[Row]]
"""A heading, and rows."""


@dataclass(frozen=True)
class Number:
    """A number that is told: its name, how it is shown, and where it is from."""

    name: str
    shown: Callable[[Needs], str]
    basis: Basis
    why: str


def _size(size: float) -> str:
    for unit, name in ((2**40, "TiB"), (GIB, "GiB"), (MIB, "MiB")):
        if size >= unit:
            return f"{size / unit:,.3g} {name}"
    return f"{size / 1024:,.3g} KiB"


NUMBERS = (
    Number(
        "service: cores",
        lambda needs: f"{needs.service_cores:,.3g}",
        Basis.EXTRAPOLATED,
        "CPU of each request, measured at 16 clients in one process, times the rate",
    ),
    Number(
        "service: pods",
        lambda needs: f"{needs.service_pods:,}",
        Basis.EXTRAPOLATED,
        "a pod uses one core; that many pods side by side were not measured",
    ),
    Number(
        "door: pods",
        lambda needs: f"{needs.door_pods:,}",
        Basis.EXTRAPOLATED,
        "CPU of a bet through the door, measured, for each request; of one core each",
    ),
    Number(
        "memory a pod",
        lambda needs: f"{_size(needs.service_pod_bytes)}, {_size(needs.door_pod_bytes)}",
        Basis.EXTRAPOLATED,
        "of the service and of the door: measured at 16 clients, and room",
    ),
    Number(
        "Restate: cores, all nodes",
        lambda needs: f"{needs.restate_cores:,.3g}",
        Basis.EXTRAPOLATED,
        "CPU of each request, measured on one node, times the rate and the copies; a second copy was not measured",
    ),
    Number(
        "cores a node",
        lambda needs: f"{needs.nodes} x {needs.node_cores:,}",
        Basis.EXTRAPOLATED,
        "that partitions scale over cores and nodes was not measured",
    ),
    Number(
        "partitions",
        lambda needs: f"{needs.partitions:,}",
        Basis.EXTRAPOLATED,
        "two for each core: measured on two cores alone",
    ),
    Number(
        "rocksdbMemory",
        lambda needs: _size(needs.rocksdb_bytes),
        Basis.ASSUMED,
        "so much for each copy of a partition that a node has; never measured",
    ),
    Number(
        "memory a node",
        lambda needs: _size(needs.node_memory_bytes),
        Basis.ASSUMED,
        "the same, and what Restate may take beside it by its own settings",
    ),
    Number(
        "volume a node",
        lambda needs: _size(needs.volume_bytes),
        Basis.EXTRAPOLATED,
        "bytes of each thing, measured, times as many as there will be, and room",
    ),
    Number(
        "written a node, a second",
        lambda needs: _size(needs.written_bytes),
        Basis.EXTRAPOLATED,
        "measured for each request, times the rate and the copies",
    ),
    Number(
        "rows kept",
        lambda needs: f"{needs.rows:,.0f}",
        Basis.EXTRAPOLATED,
        "rows of each request, counted, times the rate and how long they are kept",
    ),
)


def table_of(loads: Sequence[Load], nodes: int) -> Table:
    """A heading, and a row for each load."""
    heading = ["bets a second", "players", *(number.name for number in NUMBERS)]
    rows = []
    for load in loads:
        needs = needs_of(load, nodes)
        rows.append([f"{load.bets:,g}", f"{load.players:,.0f}", *(number.shown(needs) for number in NUMBERS)])
    return heading, rows


def numbers_of(load: Load, nodes: int) -> Table:
    """What one load needs, with where each number is from."""
    needs = needs_of(load, nodes)
    return ["what", "need", "from", "how"], [[one.name, one.shown(needs), one.basis, one.why] for one in NUMBERS]


def bases() -> Table:
    """Where each number is from, whatever the load."""
    return ["number", "from", "how"], [[one.name, one.basis, one.why] for one in NUMBERS]


def constants() -> Table:
    """All constants."""
    rows = [[name, f"{one.value:,g}", one.unit, one.basis, one.how] for name, one in CONSTANTS.items()]
    return ["constant", "value", "unit", "from", "how"], rows


def warnings(loads: Sequence[Load], nodes: int) -> list[str]:
    """What speaks against believing it, and why."""
    most = CONSTANTS["most_node_cores"].value
    return [
        f"{load.bets:,g} bets a second want nodes of {needs.node_cores:,} cores, which is no plan: "
        f"more than {most:g} are rare, and the chart knows no more than three nodes"
        for load in {load.bets: load for load in loads}.values()
        if (needs := needs_of(load, nodes)).node_cores > most
    ]


def as_markdown(heading: Row, rows: Sequence[Row]) -> str:
    """A table as it stands in a page."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(loads: Sequence[Load], nodes: int) -> dict[str, Any]:
    """Everything, for programs: each load with what it needs, in base units, and the constants."""
    return {
        "nodes": nodes,
        "loads": [{"load": asdict(load), "needs": asdict(needs_of(load, nodes))} for load in loads],
        "warnings": warnings(loads, nodes),
        "from": {one.name: {"basis": one.basis, "how": one.why} for one in NUMBERS},
        "constants": {name: asdict(one) for name, one in CONSTANTS.items()},
    }
