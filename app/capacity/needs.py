"""From a load to what it needs: CPU, pods, partitions, memory and volumes."""

from dataclasses import dataclass
from math import ceil

from app.capacity.constants import CONSTANTS

DAY_SECONDS = 86_400

OPERATIONS = ("bet", "settlement", "deposit", "withdrawal", "price_change", "read")
"""What is asked. Of a settlement, one is one bet that is settled; all its bets are one request of an operator."""


@dataclass(frozen=True)
class Load:
    """What is asked of a system: each rate a second, at the busiest time of the day."""

    bets: float = 0
    settlements: float = 0
    """Bets that are settled."""
    deposits: float = 0
    withdrawals: float = 0
    price_changes: float = 0
    reads: float = 0
    players: float = 0
    """Who have an account, whether they bet or not."""
    markets_a_day: float = 0
    days: float = 0
    """For how long what is stored for ever has to fit on the volumes."""

    def rate(self, operation: str) -> float:
        """How many of an operation are asked a second."""
        rates = (self.bets, self.settlements, self.deposits, self.withdrawals, self.price_changes, self.reads)
        return dict(zip(OPERATIONS, rates, strict=True))[operation]

    @property
    def at_the_door(self) -> float:
        """Requests that pass the door each second."""
        return sum(self.rate(operation) for operation in OPERATIONS if operation != "settlement")


def usual_load(bets: float, players: float, days: float) -> Load:
    """A load that has the rest in the usual proportion to its bets. The proportions are assumptions."""
    a_day = bets * value("average_of_peak") * DAY_SECONDS
    return Load(
        bets=bets,
        settlements=bets,
        deposits=bets * value("deposits_a_bet"),
        withdrawals=bets * value("withdrawals_a_bet"),
        price_changes=bets * value("price_changes_a_bet"),
        reads=bets * value("reads_a_bet"),
        players=players,
        markets_a_day=a_day / value("bets_a_market"),
        days=days,
    )


@dataclass(frozen=True)
class Needs:
    """What a load needs. Cores are those that are busy at the peak; pods, nodes and volumes have room above that."""

    service_cores: float
    service_pods: int
    service_pod_bytes: float
    """Memory of each."""
    door_cores: float
    door_pods: int
    door_pod_bytes: float
    restate_cores: float
    """Of all nodes."""
    nodes: int
    node_cores: int
    """Of each node, so that the rest can do the work of one that is away."""
    partitions: int
    rocksdb_bytes: float
    """`restate.rocksdbMemory` of each node."""
    node_memory_bytes: float
    rows: float
    """What Restate keeps of requests that have ended."""
    stored: "Stored"
    volume_bytes: float
    """Of each node."""
    written_bytes: float
    """Given to each node's disk in a second."""


@dataclass(frozen=True)
class Stored:
    """What one copy takes on disk, by what it is, in bytes."""

    players: float
    history: float
    """Bets, movements and markets: what is kept for ever, of as many days as were asked for."""
    follow_ups: float
    answers: float
    """What is kept of requests that have ended, with the journals of some."""
    log: float

    @property
    def total(self) -> float:
        """All of one copy."""
        return self.players + self.history + self.follow_ups + self.answers + self.log


def value(name: str) -> float:
    """A constant by its name."""
    return CONSTANTS[name].value


def needs_of(load: Load, nodes: int) -> Needs:
    """What a load needs with so many nodes of Restate."""
    assert nodes in (1, 3), "the chart knows 1 and 3"
    copies = 1 if nodes == 1 else int(value("copies"))
    busy = value("busy")
    service_cores = value("idle_service_ms") / 1000 + cores(load, "service")
    door_cores = value("idle_door_ms") / 1000 + load.at_the_door * value("request_door_ms") / 1000
    restate_cores = nodes * value("idle_restate_ms") / 1000 + copies * cores(load, "restate")
    node_cores = max(int(value("least_node_cores")), ceil(restate_cores / busy / max(1, nodes - 1)))
    partitions = max(int(value("least_partitions")), int(value("partitions_a_core")) * nodes * node_cores)
    rocksdb = max(value("least_rocksdb_bytes"), value("rocksdb_bytes_a_partition") * ceil(partitions * copies / nodes))
    stored = stored_by(load, partitions)
    written = sum(load.rate(operation) * value(f"{operation}_written_bytes") for operation in OPERATIONS)
    return Needs(
        service_cores=service_cores,
        service_pods=pods(service_cores, busy),
        service_pod_bytes=value("pod_room") * value("service_memory_bytes"),
        door_cores=door_cores,
        door_pods=pods(door_cores, busy),
        door_pod_bytes=value("pod_room") * value("door_memory_bytes"),
        restate_cores=restate_cores,
        nodes=nodes,
        node_cores=node_cores,
        partitions=partitions,
        rocksdb_bytes=rocksdb,
        node_memory_bytes=rocksdb + value("node_memory_bytes"),
        rows=rows_kept(load),
        stored=stored,
        volume_bytes=value("volume_room") * (value("node_bytes") + stored.total * copies / nodes),
        written_bytes=written * copies / nodes,
    )


def cores(load: Load, process: str) -> float:
    """The cores that a process is busy on at the peak, without what it takes when nothing is asked."""
    return sum(load.rate(operation) * value(f"{operation}_{process}_ms") for operation in OPERATIONS) / 1000


def pods(busy_cores: float, busy: float) -> int:
    """So many pods of one core each that none is busier than it should be."""
    return max(int(value("least_pods")), ceil(busy_cores / busy))


def rows_kept(load: Load) -> float:
    """Rows of requests that have ended: kept for hours, or for as long as a workflow is known."""
    hours = value("answer_seconds") * (load.deposits + load.withdrawals + load.price_changes)
    return hours + workflows(load)


def workflows(load: Load) -> float:
    """Withdrawals and settlements of markets whose workflows are known still."""
    return (a_day(load.withdrawals) + load.markets_a_day) * kept_days(load, "workflow_days")


def a_day(peak: float) -> float:
    """How many there are in a day, from how many there are in a second at the busiest time."""
    return peak * value("average_of_peak") * DAY_SECONDS


def kept_days(load: Load, constant: str) -> float:
    """For how many of the days of a load something is kept that goes after a while."""
    return min(load.days, value(constant))


def stored_by(load: Load, partitions: int) -> Stored:
    """What one copy takes on disk in the end of all these days."""
    factor = value("disk_factor")
    history = load.markets_a_day * value("market_bytes") + sum(
        a_day(load.rate(operation)) * value(f"{operation}_bytes") for operation in ("bet", "deposit", "withdrawal")
    )
    journals = value("answer_seconds") * (
        load.deposits * value("deposit_journal_bytes") + load.withdrawals * value("withdrawal_journal_bytes")
    )
    of_runs = load.withdrawals * value("average_of_peak") * value("journal_seconds") * value("workflow_journal_bytes")
    return Stored(
        players=factor * load.players * value("player_bytes"),
        history=factor * load.days * history,
        follow_ups=factor * a_day(load.deposits) * kept_days(load, "follow_up_days") * value("follow_up_bytes"),
        answers=factor * (journals + of_runs) + rows_kept(load) * value("answer_bytes"),
        log=partitions * value("log_records") * value("record_bytes"),
    )
