"""What the watch reads of pods: the numbers that the service and the bookkeeper really export."""

import math
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.bookkeeper.metrics import Exported
from app.release.evidence import read_handled, scrape
from app.release.numbers import read_books
from app.release.restate_admin import UnknownError
from app.release.watching import Books
from app.telemetry import metrics
from tests.bookkeeper.seen import EARLIER, LOOK
from tests.helpers.ports import free_port


def test_attempts_and_their_durations_are_read_as_the_service_exports_them() -> None:
    for outcome, count in (("done", 3), ("refused", 2), ("failed", 1), ("suspended", 1), ("disconnected", 9)):
        metrics.ATTEMPTS.labels("WatchedService", "bet", outcome).inc(count)
    for seconds in (0.02, 0.02, 0.2, 0.2, 0.2, 60):
        metrics.DURATION.labels("WatchedService", "bet").observe(seconds)

    seen = read_handled(generate_latest().decode())["WatchedService/bet"]

    assert (seen.attempts, seen.failed, seen.finished) == (16, 1, 6)
    assert (seen.slower_than(0.1), seen.slower_than(0.25), seen.slower_than(math.inf)) == (4, 1, 0)
    assert (seen.quantile(0.5), seen.quantile(0.99)) == (0.25, math.inf)


def test_the_books_are_read_as_the_bookkeeper_exports_them() -> None:
    exported, registry = Exported(compares=True), CollectorRegistry()
    registry.register(exported)
    assert read_books(generate_latest(registry).decode()) is None

    exported.show(replace(LOOK, unreadable=2))

    assert read_books(generate_latest(registry).decode()) == Books(
        LOOK.adds_up,
        LOOK.seen_at.timestamp(),
        {"notHere": 1},
        unreadable=2,
        compares=True,
        compared_at=EARLIER.timestamp(),
    )


def test_what_is_no_page_of_numbers_is_unknown() -> None:
    with pytest.raises(UnknownError):
        read_handled("<html>not found</html>")
    with pytest.raises(UnknownError):
        scrape("127.0.0.1", free_port())
