"""Which version takes new work, and what holds the others."""

from k8s.observability.dashboards.model import Board, Look, Panel, Query, Section, Unit, one
from k8s.observability.dashboards.promql import NAMESPACE, PROMPT, a_second, age, quantile, series, total

ROUTED = total("betting_release_routed", by="version")
IN_FLIGHT = f"({total('betting_release_in_flight', by='version')} or 0 * {ROUTED})"
"""Of a version that nothing needs it is 0, as long as the release loop sees everything."""
DRAINS = series("betting_release_verdict", 'verdict=~"draining|stuck"')
GOING = f"max by (version) ({DRAINS} == 1)"
LIVE = series("betting_release_verdict", 'verdict="live"')
PODS_UP = series("up", 'job="betting-service"')
FAILED = a_second("betting_handler_attempts_total", 'outcome="failed"', by="version")
ATTEMPTS_OF = a_second("betting_handler_attempts_total", by="version")
ALL_LIVE = "no version drains"
NO_WATCH = "no version has gone live a moment ago, and none was taken back"
WINDOW = "15m"
FALLING = f"-deriv({IN_FLIGHT}[{WINDOW}:])"
"""By how many a second the unfinished invocations of a version get fewer."""
DRAINED_IN = one(f"{IN_FLIGHT} / ({FALLING} > 0) and {GOING}", "{{version}}", empty=ALL_LIVE)

NOW = Section(
    "At a glance",
    (
        Panel(
            "Takes new work",
            "The version that starts all new work.",
            one(f"max by (version) ({LIVE} == 1)", "{{version}}"),
            look=Look.NUMBER,
            width=4,
            height=4,
            nothing="none is live",
            names=True,
        ),
        Panel(
            "Drains",
            "Versions that take no new work and are still needed.",
            one(GOING, "{{version}}", empty=ALL_LIVE),
            look=Look.NUMBER,
            width=4,
            height=4,
            nothing="none",
            names=True,
        ),
        Panel(
            "Drained in",
            "Time until the draining version has no work left, at the pace of the last 15 minutes.",
            DRAINED_IN,
            Unit.SECONDS,
            Look.NUMBER,
            width=4,
            height=4,
            nothing="nothing drains",
        ),
        Panel(
            "Paused",
            "Paused invocations: they used up their retries, and hold their player or market. See `rescue`.",
            one(total("betting_release_paused")),
            look=Look.NUMBER,
            width=4,
            height=4,
            bad_from=1,
        ),
        Panel(
            "Orphans",
            "Unfinished invocations that began on a version that is not there: nothing can finish them but `rescue`.",
            one(f"max({series('betting_release_orphans')})"),
            look=Look.NUMBER,
            width=4,
            height=4,
            bad_from=1,
        ),
        Panel(
            "Age of the last round",
            "Time since the release loop last saw everything. It looks every five seconds.",
            one(age("betting_release_round_timestamp_seconds")),
            Unit.SECONDS,
            Look.NUMBER,
            width=4,
            height=4,
            bad_from=120,
        ),
        Panel(
            "Every version",
            "What each version is, serves and still owes. `betting release why VERSION` names the work itself.",
            (
                Query(f"max by (version, verdict) ({series('betting_release_verdict')} == 1)"),
                Query(total("betting_release_available_pods", by="version"), "pods ready"),
                Query(ROUTED, "services routed"),
                Query(IN_FLIGHT, "in flight"),
                Query(age("betting_release_oldest_timestamp_seconds", by="version"), "oldest", unit=Unit.SECONDS),
                Query(total("betting_release_paused", by="version"), "paused"),
                Query(total("betting_release_backing_off", by="version"), "backing off"),
            ),
            look=Look.TABLE,
            width=24,
            height=6,
        ),
    ),
)

DRAIN = Section(
    "Draining",
    (
        Panel(
            "In flight",
            "Unfinished invocations that need each version. That of a version that drains falls to nothing.",
            one(IN_FLIGHT, "{{version}}"),
            look=Look.LAYERS,
            width=12,
        ),
        Panel(
            "In flight on versions that drain, by service",
            "What a version still waits for: WithdrawalWorkflow waits for a review, DepositFollowUp for the provider.",
            one(
                f"{total('betting_release_in_flight_by_service', by='version,service')} and on (version) {GOING}",
                "{{version}} {{service}}",
                empty=ALL_LIVE,
            ),
            look=Look.LAYERS,
            width=12,
        ),
        Panel(
            "Drained in",
            "Time left at the pace of the last 15 minutes; nothing while nothing ends.",
            DRAINED_IN,
            Unit.SECONDS,
        ),
        Panel(
            "Oldest",
            "Age of each version's oldest unfinished invocation. A review takes up to a day, an unknown deposit three.",
            one(age("betting_release_oldest_timestamp_seconds", by="version"), "{{version}}"),
            Unit.SECONDS,
        ),
        Panel(
            "Services routed to it",
            "How many services start their new work on each version; all of them on one, but for what it dropped.",
            one(ROUTED, "{{version}}"),
        ),
    ),
)

WATCH = Section(
    "Watch",
    (
        Panel(
            "Watched",
            "The version that has just gone live, while it is compared with the one before.",
            one(f"max by (version) ({series('betting_release_watching')} == 1)", "{{version}}", empty=NO_WATCH),
            look=Look.NUMBER,
            height=4,
            nothing="none",
            names=True,
        ),
        Panel(
            "Taken back",
            "Versions that were worse than the one before, and how long ago. `betting release history` tells why.",
            one(age("betting_release_taken_back_timestamp_seconds", by="version"), "{{version}}", empty=NO_WATCH),
            Unit.SECONDS,
            Look.NUMBER,
            height=4,
            nothing="none",
        ),
    ),
)

TROUBLE = Section(
    "Trouble",
    (
        Panel(
            "Paused",
            "Paused invocations, by the version that they need; an operator has to decide.",
            one(total("betting_release_paused", by="version"), "{{version}}"),
            width=6,
        ),
        Panel(
            "Backing off",
            "Invocations that failed and will be retried.",
            one(total("betting_release_backing_off", by="version"), "{{version}}"),
            width=6,
        ),
        Panel(
            "Orphans",
            "Unfinished invocations that began on a version that is not there.",
            one(f"max({series('betting_release_orphans')})", "orphans"),
            width=6,
        ),
        Panel(
            "Status of all in flight",
            "What unfinished invocations do, over all versions.",
            one(total("betting_release_in_flight", by="status"), "{{status}}"),
            look=Look.LAYERS,
            width=6,
        ),
    ),
)

ATTEMPTS = Section(
    "What versions do",
    (
        Panel(
            "Attempts a second",
            "By version and outcome. A draining version finishes what it began.",
            one(a_second("betting_handler_attempts_total", by="version,outcome"), "{{version}} {{outcome}}"),
            Unit.A_SECOND,
        ),
        Panel(
            "Share of attempts that fail",
            "By version. Compare a new version with its predecessor.",
            one(
                f"({FAILED} or 0 * {ATTEMPTS_OF}) / {ATTEMPTS_OF} >= 0",
                "{{version}}",
            ),
            Unit.SHARE,
        ),
        Panel(
            "p95 latency",
            "By version, without handlers that wait for people or the provider. Compare a new version with the old.",
            one(quantile(0.95, "betting_handler_duration_seconds", PROMPT, by="version"), "{{version}}"),
            Unit.SECONDS,
        ),
        Panel(
            "Pods",
            "Pods that Kubernetes calls ready, and pods that answer Prometheus.",
            (
                Query(total("betting_release_available_pods", by="version"), "{{version}} ready"),
                Query(f"sum by (version) ({PODS_UP})", "{{version}} answers"),
            ),
        ),
        Panel(
            "Packages",
            "How many pods say that they run which package.",
            one(
                f"count by (version, package) (betting_build_info{{{NAMESPACE}}})",
                "{{version}}: {{package}}",
            ),
        ),
    ),
)

VERSIONS = Board(
    "versions",
    "Betting: versions",
    "Which version takes new work, what holds the others, and when they will be gone.",
    (NOW, DRAIN, WATCH, TROUBLE, ATTEMPTS),
)
