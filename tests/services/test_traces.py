"""One deposit is one tree of spans, from the ingress to the provider, and replays add nothing to it."""

from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.helpers.deposits import request as deposit_request
from tests.running import REPLAYING, System, running
from tests.telemetry.collector import Collector, Span, collecting

OURS = "betting"
DEPOSIT = Counter(
    [
        "PaymentService/deposit",
        "step charge",
        "provider charge",
        "PlayerService/reserveDeposit",
        "PlayerService/creditDeposit",
    ]
)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module", params=["plain", "replayed"])
def traced(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[System]:
    environment = {
        "BETTING_OTEL_ENDPOINT": collector.url,
        "RESTATE_TRACING_ENDPOINT": f"otlp+{collector.url}/v1/traces",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    environment |= REPLAYING if request.param == "replayed" else {}
    with running(tmp_path_factory.mktemp("traced"), environment=environment) as system:
        yield system


def deposited(betting: System, amount: int = 100) -> tuple[str, dict[str, object]]:
    """Deposit as a customer whose browser began a trace; the trace's id, and the request."""
    trace, body = uuid4().hex, deposit_request(amount=amount)
    betting.call("PaymentService", "deposit", body, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    return trace, body


def ours(spans: list[Span]) -> Counter[str]:
    return Counter(span.name for span in spans if span.source == OURS)


def ancestors(span: Span, by_id: dict[str, Span]) -> Iterator[Span]:
    while (above := by_id.get(span.parent)) is not None:
        yield above
        span = above


def whole(traced: System, collector: Collector, trace: str) -> list[Span]:
    """The trace's spans once the last of them are there: the ingress's, the invocation's end, our handler's."""

    def complete() -> list[Span]:
        spans = collector.trace(trace)
        names = {span.name for span in spans}
        last = {"PaymentService/deposit", "invocation-end PaymentService/deposit", "ingress PaymentService/deposit"}
        return spans if last <= names else []

    return traced.eventually(complete)


def test_a_deposit_is_one_tree_from_the_ingress_to_the_provider(traced: System, collector: Collector) -> None:
    trace, _ = deposited(traced)

    spans = whole(traced, collector, trace)
    by_id = {span.id: span for span in spans}
    tops = [span for span in spans if span.parent not in by_id]
    assert [top.name for top in tops] == ["ingress PaymentService/deposit"]
    assert ours(spans) == DEPOSIT
    called = next(span for span in spans if span.name == "provider charge")
    above = [span.name for span in ancestors(called, by_id) if span.source == OURS]
    assert above == ["step charge", "PaymentService/deposit"]
    assert called.attributes["betting.outcome"] == "done"


def test_what_a_deposit_sends_is_linked_to_its_trace(traced: System, collector: Collector) -> None:
    trace, _ = deposited(traced)

    def sent() -> set[str]:
        linked = {span.trace for span in collector.spans if trace in span.links}
        return {span.name for span in collector.spans if span.trace in linked and span.source == OURS}

    mail = "hand over to the mail server"
    traced.eventually(lambda: sent() == {"DepositFollowUp/begin", "CommsService/send", mail})


def test_a_refused_request_says_why_in_its_span(traced: System, collector: Collector) -> None:
    trace, _ = deposited(traced, amount=1_000_000)

    spans = whole(traced, collector, trace)
    span = next(span for span in spans if span.source == OURS and span.name == "PaymentService/deposit")
    assert (span.attributes["betting.outcome"], span.attributes["betting.reason"]) == ("refused", "deposit_limit")


def test_no_span_of_ours_tells_who(traced: System, collector: Collector) -> None:
    trace, body = deposited(traced)

    for span in whole(traced, collector, trace):
        if span.source == OURS:
            told = " ".join(span.attributes.values())
            assert not any(str(body[name]) in told for name in ("userId", "walletId", "email"))
