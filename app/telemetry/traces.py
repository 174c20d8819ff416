"""Spans of what this process really did, hung into the trace that Restate began.

A handler's span is exported by the attempt that finishes, whatever went before; its id follows from the invocation's,
so that steps that earlier attempts did are below it. Replaying does nothing, so it exports nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.telemetry.attempts import Attempt, current

_next_span: ContextVar[int | None] = ContextVar("next_span", default=None)
_tracers: list[Tracer] = []


class _Ids(IdGenerator):
    """Generates random IDs, except for a handler's span."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_span_id(self) -> int:
        return _next_span.get() or self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        return self._random.generate_trace_id()


@contextmanager
def traced(endpoint: str, version: str) -> Iterator[None]:
    """Export spans to an OTLP endpoint (HTTP), such as http://collector:4318, in the background; empty: none."""
    if not endpoint:
        yield
        return
    provider = TracerProvider(
        resource=Resource.create({"service.name": "betting", "service.version": version}),
        id_generator=_Ids(),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracers[:] = [provider.get_tracer("betting")]
    try:
        yield
    finally:
        _tracers.clear()
        provider.shutdown()


def place(attempt: Attempt, headers: Mapping[str, str]) -> None:
    """Find an attempt's place in the trace that Restate's headers name; without one, nothing of it is traced."""
    if not _tracers:
        return
    parent = get_current_span(TraceContextTextMapPropagator().extract(headers)).get_span_context()
    if not parent.is_valid:
        return
    own = int.from_bytes(blake2b(attempt.invocation.encode(), digest_size=8).digest()) or 1
    attempt.parent = parent
    attempt.span = SpanContext(parent.trace_id, own, is_remote=False, trace_flags=parent.trace_flags)


def finish(attempt: Attempt, outcome: str, reason: str) -> None:
    """Export the span of a handler whose attempt finished."""
    if not _tracers or attempt.span is None or attempt.parent is None:
        return
    token = _next_span.set(attempt.span.span_id)
    try:
        span = _tracers[0].start_span(
            f"{attempt.service}/{attempt.handler}",
            context=set_span_in_context(NonRecordingSpan(attempt.parent)),
            kind=SpanKind.SERVER,
            attributes={
                "rpc.system": "restate",
                "rpc.service": attempt.service,
                "rpc.method": attempt.handler,
                "restate.invocation.id": attempt.invocation,
                "betting.outcome": outcome,
                **({"betting.reason": reason} if reason else {}),
            },
            start_time=attempt.began_at,
        )
    finally:
        _next_span.reset(token)
    if outcome == "failed":
        span.set_status(Status(StatusCode.ERROR))
    span.end()


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: str) -> Iterator[dict[str, str]]:
    """A step, or a request, of the attempt under way; what is put into the mapping becomes attributes."""
    found: dict[str, str] = {}
    attempt = current.get()
    if not _tracers or attempt is None or attempt.span is None:
        yield found
        return
    above = get_current_span()
    context = None if above.get_span_context().is_valid else set_span_in_context(NonRecordingSpan(attempt.span))
    with _tracers[0].start_as_current_span(name, context=context, kind=kind, attributes=attributes) as began:
        try:
            yield found
        finally:
            began.set_attributes(found)
