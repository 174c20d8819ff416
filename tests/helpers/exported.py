"""What a process of ours exports for Prometheus."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from prometheus_client.parser import text_string_to_metric_families

from tests.helpers.waiting import eventually

T = TypeVar("T")

WINDOW = 200
"""Attempts of which a pod's share is seen; an attempt is a small part of a deposit."""


def exported(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a name in an export, by the values of their labels in the labels' order."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def attempts_in(text: str) -> float:
    """How many attempts at invocations the service has finished that exports this."""
    return sum(exported(text, "betting_handler_attempts_total").values())


def share(pod: T, of: Sequence[T], attempts: Callable[[T], float]) -> float:
    """A pod's part of the next attempts of several."""
    before = {one: attempts(one) for one in of}
    eventually(lambda: sum(attempts(one) - before[one] for one in of) >= WINDOW)
    after = {one: attempts(one) - before[one] for one in of}
    return after[pod] / sum(after.values())
