"""Whether the engine keeps up, and has room."""

from k8s.observability.dashboards.model import Board, Look, Panel, Query, Section, Unit, one
from k8s.observability.dashboards.promql import a_second, series, total

OURS = 'job="betting-restate"'
SLOW = 'quantile="0.99"'
SLOWEST = 'quantile="1.0"'
HALF_AND_SLOW = 'quantile=~"0.5|0.99"'
NODE_UP = series("up", OURS)
LEADERS = total("restate_num_active_partition_leaders", OURS)
PARTITIONS = f"max({series('restate_num_partitions', OURS)})"
APPEND = "restate_bifrost_sequencer_append_duration_seconds"
FILES = "restate_rocksdb_total_sst_files_size_bytes"
INGRESS_SLOW = f"max by (rpc_service) ({series('restate_ingress_request_duration_seconds', OURS, SLOW)} > 0)"
SLOTS_TAKEN = (
    f"{total('restate_invoker_concurrency_slots_acquired', OURS)}"
    f" - {total('restate_invoker_concurrency_slots_released', OURS)}"
)

NOW = Section(
    "At a glance",
    (
        Panel(
            "Nodes that answer",
            "Restate servers that Prometheus reaches. Red: nothing is served and nothing goes on.",
            one(f"sum({NODE_UP})"),
            look=Look.NUMBER,
            width=4,
            height=4,
            bad_below=1,
        ),
        Panel(
            "Partitions without a leader",
            "Players and markets of such a partition wait. For seconds after a node went, that is how it should be.",
            one(f"{PARTITIONS} - {LEADERS}"),
            look=Look.NUMBER,
            width=4,
            height=4,
            bad_from=1,
        ),
        Panel(
            "Requests a second",
            "Requests that the ingress admitted.",
            one(a_second("restate_ingress_requests_total", OURS, 'status="admitted"')),
            Unit.A_SECOND,
            Look.NUMBER,
            width=4,
            height=4,
        ),
        Panel(
            "p99 latency",
            "From the ingress back to the caller, of the slowest service.",
            one(f"max({INGRESS_SLOW})"),
            Unit.SECONDS,
            Look.NUMBER,
            width=4,
            height=4,
            bad_from=30,
        ),
        Panel(
            "Attempts under way",
            "Attempts that Restate has open with service pods, over all partitions.",
            one(SLOTS_TAKEN),
            look=Look.NUMBER,
            width=4,
            height=4,
        ),
        Panel(
            "Files",
            "Size of all tables. The write-ahead logs come on top: up to some multiples of `restate.rocksdbMemory`.",
            one(total(FILES, OURS)),
            Unit.BYTES,
            Look.NUMBER,
            width=4,
            height=4,
        ),
    ),
)

INGRESS = Section(
    "Requests from outside",
    (
        Panel(
            "Requests a second, by service",
            "Requests that ended, by the service that they called.",
            one(
                a_second("restate_ingress_requests_total", OURS, 'status!="admitted"', by="rpc_service"),
                "{{rpc_service}}",
            ),
            Unit.A_SECOND,
        ),
        Panel(
            "By how they ended",
            "invocation_error is any answer that is an error, also a refusal (402, 403, 409, ...); request_error is a "
            "request that no handler saw.",
            one(a_second("restate_ingress_requests_total", OURS, 'status!="admitted"', by="status"), "{{status}}"),
            Unit.A_SECOND,
        ),
        Panel(
            "p99 latency, by service",
            "From the ingress back to the caller, as Restate saw it in the last minutes.",
            one(INGRESS_SLOW, "{{rpc_service}}"),
            Unit.SECONDS,
        ),
    ),
)

WORK = Section(
    "Invocations",
    (
        Panel(
            "Attempts a second",
            "Attempts of handlers: started, completed, suspended, failed.",
            one(a_second("restate_invoker_invocation_tasks_total", OURS, by="status"), "{{status}}"),
            Unit.A_SECOND,
            width=6,
        ),
        Panel(
            "Answers of service pods",
            "By HTTP status; other than 200 means that pods are away, or check another signing key.",
            one(
                a_second("restate_invoker_client_requests_total", OURS, by="status_code"),
                "{{status_code}}",
            ),
            Unit.A_SECOND,
            width=6,
        ),
        Panel(
            "Duration of attempts: p50, p99",
            "Waiting counts until the attempt is suspended.",
            one(
                f"max by (quantile) ({series('restate_invoker_task_duration_seconds', OURS, HALF_AND_SLOW)} > 0)",
                "quantile {{quantile}}",
            ),
            Unit.SECONDS,
            width=6,
        ),
        Panel(
            "Attempts under way, and room for them",
            "Open attempts beside what the invokers allow at once; what does not fit waits.",
            (
                Query(SLOTS_TAKEN, "under way"),
                Query(total("restate_invoker_concurrency_limit", OURS), "at most"),
            ),
            width=6,
        ),
    ),
)

PARTITION = Section(
    "Partitions and the log",
    (
        Panel(
            "Partitions and leaders",
            "Partitions there are, and those that have a leader.",
            (Query(PARTITIONS, "partitions"), Query(LEADERS, "leaders")),
            width=6,
        ),
        Panel(
            "Records not applied yet",
            "How far the slowest partition is behind its log. If it keeps rising, the engine does not keep up.",
            one(
                f"max by (node_name) ({series('restate_partition_applied_lsn_lag', OURS, SLOWEST)})",
                "{{node_name}}",
            ),
            width=6,
        ),
        Panel(
            "Append latency: p50, p99",
            "Time to append to the log, which is that of the disk and of the other nodes.",
            one(
                f"max by (quantile) ({series(APPEND, OURS, HALF_AND_SLOW)} > 0)",
                "quantile {{quantile}}",
            ),
            Unit.SECONDS,
            width=6,
        ),
        Panel(
            "Written to the log",
            "What all that happens adds to the log.",
            one(
                a_second("restate_bifrost_sequencer_committed_records_bytes_total", OURS, by="node_name"),
                "{{node_name}}",
            ),
            Unit.BYTES_A_SECOND,
            width=6,
        ),
    ),
)

STORAGE = Section(
    "Storage and memory",
    (
        Panel(
            "Files, by database",
            "db is the state of services and of invocations, log-server the log that is still needed.",
            one(total(FILES, OURS, by="node_name,db"), "{{node_name}} {{db}}"),
            Unit.BYTES,
            Look.LAYERS,
        ),
        Panel(
            "Written to disk",
            "By flushes and compactions, and to write-ahead logs.",
            (
                Query(a_second("restate_rocksdb_wal_bytes_total", OURS), "write-ahead logs"),
                Query(a_second("restate_rocksdb_flush_write_bytes_total", OURS), "flushes"),
                Query(a_second("restate_rocksdb_compact_write_bytes_total", OURS), "compactions"),
            ),
            Unit.BYTES_A_SECOND,
        ),
        Panel(
            "Writes held up",
            "Share of time for which a database made its writers wait. More than nothing: the disk is too slow.",
            one(f"{a_second('restate_rocksdb_stall_micros_total', OURS, by='db')} / 1e6", "{{db}}"),
            Unit.SHARE,
        ),
        Panel(
            "Compaction to be done",
            "What RocksDB has still to put in order. Growing for hours: the disk is too slow.",
            one(total("restate_rocksdb_estimate_pending_compaction_bytes", OURS, by="db"), "{{db}}"),
            Unit.BYTES,
        ),
        Panel(
            "Memory",
            "Resident, and the part of it that RocksDB keeps as cache and not yet written tables.",
            (
                Query(total("restate_jemalloc_resident_bytes", OURS, by="node_name"), "{{node_name}}"),
                Query(
                    f"sum by (node_name) (max by (node_name, instance)"
                    f" ({series('restate_rocksdb_block_cache_usage_bytes', OURS)}))",
                    "{{node_name}}: cache",
                ),
                Query(
                    total("restate_rocksdb_memory_write_buffer_manager_usage_bytes", OURS, by="node_name"),
                    "{{node_name}}: not yet written",
                ),
            ),
            Unit.BYTES,
        ),
        Panel(
            "Age of the last snapshot",
            "Of the partition where it is oldest, where snapshots are set up (`restate.snapshots`).",
            one(
                f"max by (node_name) ({series('restate_partition_snapshot_age_seconds', OURS, SLOWEST)} >= 0)",
                "{{node_name}}",
                empty="no snapshots are set up",
            ),
            Unit.SECONDS,
        ),
    ),
)

RESTATE = Board(
    "restate",
    "Betting: Restate",
    "Whether the engine answers, keeps up and has room.",
    (NOW, INGRESS, WORK, PARTITION, STORAGE),
)
