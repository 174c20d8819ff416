"""The attempt at an invocation that is under way, with what counts, traces and logs need to know of it."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from opentelemetry.trace import SpanContext

from app.telemetry.counts import Count


@dataclass
class Attempt:
    """One attempt at an invocation. Its counts are discarded unless it finishes."""

    invocation: str
    service: str
    handler: str
    span: SpanContext | None = None
    """Where its spans belong; None when nothing is traced."""
    parent: SpanContext | None = None
    counts: list[Count] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    began_at: int = field(default_factory=time.time_ns)

    @property
    def seconds(self) -> float:
        """Return the seconds since the attempt began."""
        return time.perf_counter() - self.began


current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def count(*counts: Count) -> None:
    """Count when the attempt under way finishes."""
    attempt = current.get()
    if attempt is not None:
        attempt.counts.extend(counts)
