"""The constants of the calculator, in this one place: each with its unit, where it is from, and how that was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Basis(StrEnum):
    """Where a constant is from."""

    MEASURED = "measured"
    """By `python -m tests.bench --only sizes`, which prints it under this name."""
    SETTING = "setting"
    """A default of ours, of the chart or of Restate, which somebody may have changed."""
    EXTRAPOLATED = "extrapolated"
    """Concluded from something smaller that was measured; larger ones were never run."""
    ASSUMED = "assumed"
    """A rule of thumb, or a habit of players: look at your own."""


@dataclass(frozen=True)
class Constant:
    """A number with its unit, where it is from, and how it was found."""

    value: float
    unit: str
    basis: Basis
    how: str


def _measured(value: float, unit: str, how: str) -> Constant:
    return Constant(value, unit, Basis.MEASURED, how)


def _setting(value: float, unit: str, how: str) -> Constant:
    return Constant(value, unit, Basis.SETTING, how)


def _extrapolated(value: float, unit: str, how: str) -> Constant:
    return Constant(value, unit, Basis.EXTRAPOLATED, how)


def _assumed(value: float, unit: str, how: str) -> Constant:
    return Constant(value, unit, Basis.ASSUMED, how)


MIB = 2**20
GIB = 2**30

CONSTANTS: Mapping[str, Constant] = {
    # At 16 clients, on two cores that did other work too. Medians of three runs, less what is spent when idle.
    "bet_service_ms": _measured(
        5.34, "ms of CPU", "a bet of a player with 1,000 bets before, over 64 markets, 3,000 of them"
    ),
    "bet_restate_ms": _measured(4.43, "ms of CPU", "restate-server: the same"),
    "bet_written_bytes": _measured(
        39_300, "bytes", "given to the disk by restate-server for it: logs, what is stored, and compactions"
    ),
    "settlement_service_ms": _measured(
        1.03, "ms of CPU", "a bet as it is settled, of a market with 2,000 bets of as many players, who had none before"
    ),
    "settlement_restate_ms": _measured(0.825, "ms of CPU", "restate-server: the same"),
    "settlement_written_bytes": _measured(
        4_780, "bytes", "given to the disk by restate-server for it: logs, what is stored, and compactions"
    ),
    "deposit_service_ms": _measured(
        9.7, "ms of CPU", "a deposit of a player with 1,000 bets, with the provider and the mail, 2,000 of them"
    ),
    "deposit_restate_ms": _measured(9.63, "ms of CPU", "restate-server: the same"),
    "deposit_written_bytes": _measured(
        95_500, "bytes", "given to the disk by restate-server for it: logs, what is stored, and compactions"
    ),
    "withdrawal_service_ms": _measured(
        12, "ms of CPU", "a withdrawal without review, with the provider and the mail, 1,500 of them"
    ),
    "withdrawal_restate_ms": _measured(12.2, "ms of CPU", "restate-server: the same"),
    "withdrawal_written_bytes": _measured(
        198_000, "bytes", "given to the disk by restate-server for it: logs, what is stored, and compactions"
    ),
    "price_change_service_ms": _measured(
        11.8, "ms of CPU", "a change of a price on a market with 16 shards in use, 300 of them"
    ),
    "price_change_restate_ms": _measured(12.9, "ms of CPU", "restate-server: the same"),
    "price_change_written_bytes": _measured(
        73_300, "bytes", "given to the disk by restate-server for it: logs, what is stored, and compactions"
    ),
    "read_service_ms": _measured(1.66, "ms of CPU", "getAccount of a player with 1,000 bets, 1,000 of them"),
    "read_restate_ms": _measured(1.13, "ms of CPU", "restate-server: the same"),
    "read_written_bytes": _measured(
        9_690, "bytes", "given to the disk by restate-server for it: logs, what is stored, and compactions"
    ),
    "request_door_ms": _measured(0.743, "ms of CPU", "Envoy: a bet through the door with a token, 1,000 of them"),
    "idle_service_ms": _measured(0, "ms of CPU a second", "watched for three seconds while nothing was asked"),
    "idle_restate_ms": _measured(20, "ms of CPU a second", "restate-server: the same"),
    "idle_door_ms": _measured(0, "ms of CPU a second", "Envoy: the same"),
    # What is stored, in bytes of documents before RocksDB compresses them: exact, by Restate's SQL.
    "player_bytes": _measured(
        30_300, "bytes", "a player with 1,000 bets: the document, the archive's index, filter and buckets"
    ),
    "market_bytes": _measured(5_370, "bytes", "a market of two selections with 16 shards in use and no bets"),
    "bet_bytes": _measured(
        1_050,
        "bytes for ever",
        "a bet that was settled: the market's page, movements, and the archive's page; 4,400 of them",
    ),
    "deposit_bytes": _measured(501, "bytes for ever", "a deposit: movements and the archive's page"),
    "withdrawal_bytes": _measured(
        603, "bytes for ever", "a withdrawal: the same, and what its workflow keeps while it is known"
    ),
    "follow_up_bytes": _measured(358, "bytes", "the DepositFollowUp of a deposit, until it is forgotten"),
    "deposit_journal_bytes": _measured(1_800, "bytes", "the journal of a deposit, as long as its answer is kept"),
    "withdrawal_journal_bytes": _measured(
        1_680, "bytes", "the journal of a withdrawal's request, as long as its answer is kept"
    ),
    "workflow_journal_bytes": _measured(1_290, "bytes", "the journal of a withdrawal's workflow, kept for a day"),
    "answer_bytes": _measured(99, "bytes on disk", "a row of a request that has ended, with no journal; 5,500 of them"),
    "disk_factor": _measured(
        0.256,
        "bytes on disk a byte",
        "RocksDB's files to what is stored and journaled, in the end; real documents are less alike, and compress less",
    ),
    "record_bytes": _measured(
        550, "bytes on disk", "a record of the log on disk, of what 2,200 deposits appended; one run"
    ),
    "node_bytes": _measured(
        231_000_000, "bytes on disk", "restate-server's folder when nothing is stored: files that are made in advance"
    ),
    "service_memory_bytes": _measured(112_000_000, "bytes", "resident, of the service in the end"),
    "door_memory_bytes": _measured(79_700_000, "bytes", "resident, of Envoy in the end"),
    # What is kept for how long, and what the chart and Restate are set to.
    "answer_seconds": _setting(
        7_200, "s", "BETTING_IDEMPOTENCY_SECONDS: answers to deposits, withdrawals, changes of prices and the like"
    ),
    "journal_seconds": _setting(
        86_400, "s", "Restate's default-journal-retention: the journal of a withdrawal's workflow"
    ),
    "workflow_days": _setting(
        90, "days", "RETENTION in settlement.py and withdrawals.py: rows of workflows that have ended"
    ),
    "follow_up_days": _setting(90, "days", "books.forgetAfterDays: a deposit's follow-up after the deposit has ended"),
    "copies": _setting(
        2, "copies", "of all that is written, on two of three nodes: RESTATE_DEFAULT_REPLICATION in the chart"
    ),
    "log_records": _setting(
        30_000, "records a partition", "restate.snapshots: everyRecords, times one more than retained"
    ),
    "node_memory_bytes": _setting(
        3450 * MIB,
        "bytes",
        "Restate beside RocksDB, at most: calls 1.5 GiB, queries 1 GiB, records 250 MiB, messages 256, the rest 384",
    ),
    "least_pods": _setting(2, "pods", "of the service and of the door, so that one may end"),
    "least_rocksdb_bytes": _setting(512 * MIB, "bytes", "restate.rocksdbMemory"),
    "least_partitions": _setting(8, "partitions", "restate.partitions"),
    # What was never measured.
    "partitions_a_core": _extrapolated(
        2, "partitions", "four were fastest on two cores; no more cores than two were measured"
    ),
    "rocksdb_bytes_a_partition": _extrapolated(
        128 * MIB, "bytes", "of each copy of a partition that a node has; Restate's own default has 85 MiB"
    ),
    "pod_room": _assumed(2, "times", "memory of a pod to what one had in the measurement"),
    "least_node_cores": _assumed(1, "cores", "a node of Restate"),
    "most_node_cores": _assumed(64, "cores", "of one machine; a node that would need more is no plan"),
    "busy": _assumed(
        0.6, "of a core", "as busy as a pod or a node should be at the peak; with three nodes, two of them"
    ),
    "volume_room": _assumed(2, "times", "room for compactions, snapshots on their way and what comes unexpected"),
    "average_of_peak": _assumed(0.25, "of the peak", "the average of a day to its busiest second"),
    "deposits_a_bet": _assumed(0.05, "deposits", "one for twenty bets"),
    "withdrawals_a_bet": _assumed(0.01, "withdrawals", "one for a hundred bets"),
    "price_changes_a_bet": _assumed(0.1, "changes", "one for ten bets, all on markets with 16 shards in use"),
    "reads_a_bet": _assumed(2, "reads", "of an account"),
    "bets_a_market": _assumed(1_000, "bets", "markets are opened for so many bets each"),
}
