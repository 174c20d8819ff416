"""Every number that the service exports, and where Prometheus fetches them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server
from prometheus_client import Counter as TechnicalCounter
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.telemetry.counts import Count, Counter, Counts, CountsCollector
from app.telemetry.folder import current_folder

DEPOSITS = Counter("betting_deposits", "Deposits that ended, and requests refused", ("outcome", "reason"))
DEPOSITED = Counter("betting_deposited_minor_units", "Deposits credited, in minor units", ("currency",))
DEPOSITS_TAKEN_BACK = Counter(
    "betting_deposits_taken_back_minor_units",
    "Credited deposits that were refunded or charged back, in minor units",
    ("currency",),
)
DEPOSITS_REGAINED = Counter(
    "betting_deposits_regained_minor_units",
    "Charged-back deposits that a reversal returned, in minor units",
    ("currency",),
)
WITHDRAWALS = Counter(
    "betting_withdrawals",
    "Withdrawals held, paid, given back and sent back, and requests refused",
    ("outcome", "reason"),
)
WITHDRAWN = Counter("betting_withdrawn_minor_units", "Withdrawals paid out, in minor units", ("currency",))
SENT_BACK = Counter("betting_sent_back_minor_units", "Payouts that were sent back, in minor units", ("currency",))
BETS = Counter("betting_bets", "Bets accepted, refused and cashed out", ("outcome", "reason"))
STAKED = Counter("betting_staked_minor_units", "Stakes of accepted bets, in minor units", ("currency",))
SETTLED = Counter("betting_bets_settled", "Bets that results ended (won: something returned) or moved", ("outcome",))
RETURNED = Counter(
    "betting_returned_minor_units",
    "Returns of settlements, cash-outs and upward corrections, in minor units",
    ("currency",),
)
TAKEN_BACK = Counter(
    "betting_taken_back_minor_units", "Returns that corrections took back, in minor units", ("currency",)
)
FEED_RECORDS = Counter("betting_feed_records", "Records of feeds, by what became of them", ("outcome",))

_FROM_ZERO = (
    *(Count(DEPOSITS, (outcome, "")) for outcome in ("credited", "declined", "failed", "cancelled")),
    *(Count(DEPOSITS, (outcome, "")) for outcome in ("refunded", "chargedBack", "chargebackReversed")),
    *(Count(WITHDRAWALS, (outcome, "")) for outcome in ("held", "paid", "returned", "sentBack")),
    *(Count(BETS, (outcome, "")) for outcome in ("accepted", "cashedOut")),
    *(Count(SETTLED, (outcome,)) for outcome in ("won", "lost", "corrected")),
    *(Count(FEED_RECORDS, (outcome,)) for outcome in ("applied", "conflated", "parked", "repeated")),
    *(
        Count(counter, ("EUR",))
        for counter in (DEPOSITED, DEPOSITS_TAKEN_BACK, DEPOSITS_REGAINED, WITHDRAWN, SENT_BACK)
    ),
    *(Count(counter, ("EUR",)) for counter in (STAKED, RETURNED, TAKEN_BACK)),
)

_HANDLER_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PROVIDER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

ATTEMPTS = TechnicalCounter(
    "betting_handler_attempts",
    "Attempts at invocations: done, refused, failed, suspended, disconnected",
    ["service", "handler", "outcome"],
)
DURATION = Histogram(
    "betting_handler_duration_seconds",
    "Duration of the attempt that finished, in seconds",
    ["service", "handler"],
    buckets=_HANDLER_SECONDS,
)
PROVIDER_CALLS = TechnicalCounter("betting_provider_calls", "Requests to the payment provider", ["call", "outcome"])
PROVIDER_DURATION = Histogram(
    "betting_provider_call_duration_seconds",
    "Duration of requests to the payment provider, in seconds",
    ["call"],
    buckets=_PROVIDER_SECONDS,
)
PROVIDER_EVENTS = TechnicalCounter(
    "betting_provider_events",
    "Signed events of the payment provider: known, and of a kind that we do not know",
    ["kind"],
)
MESSAGES = TechnicalCounter("betting_messages", "Customer messages: sent, undeliverable", ["outcome"])
UNREADABLE = Gauge(
    "betting_unreadable_document_timestamp_seconds",
    "When a document of this object could last not be read",
    ["service", "key"],
    multiprocess_mode="max",
)
MOST_UNREADABLE = 20
"""The most objects that a process names; the others share one name."""
OTHERS = "(others)"
BUILD_INFO = Gauge(
    "betting_build_info", "1, with the version that runs", ["version", "package"], multiprocess_mode="max"
)


_unreadable: set[tuple[str, str]] = set()


def unreadable(service: str, key: str) -> None:
    """Note that a document of an object could not be read now."""
    if (service, key) not in _unreadable and len(_unreadable) >= MOST_UNREADABLE:
        key = OTHERS
    _unreadable.add((service, key))
    UNREADABLE.labels(service, key).set_to_current_time()


class TechnicalCollector(Collector):
    """Shows the numbers that prometheus-client keeps in a folder, added up over processes.

    Its own collector cannot read a file that a process has made and not yet given its size: one killed at that point
    would leave the pod without any number.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Return every number of every process."""
        files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


@contextmanager
def exported(counts: Counts, host: str, port: int) -> Iterator[None]:
    """Serve all numbers of the folder under /metrics; port 0 serves none."""
    if port == 0:
        yield
        return
    registry = CollectorRegistry()
    registry.register(TechnicalCollector(current_folder()))
    registry.register(CountsCollector(counts, _FROM_ZERO))
    server, thread = start_http_server(port, host, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
