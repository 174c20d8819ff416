"""Reads what pods export for Prometheus."""

from collections.abc import Sequence

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from app.release.restate_admin import UnknownError
from app.release.watching import Books


def samples(text: str) -> Sequence[Sample]:
    """All numbers of a page; UnknownError if it is no such page."""
    try:
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except ValueError as error:
        raise UnknownError(f"a pod's numbers are none: {error}") from error


def read_books(text: str) -> Books | None:
    """What the bookkeeper saw last, from its numbers; None before its first look."""
    seen = samples(text)
    told = {sample.name: sample.value for sample in seen if not sample.labels}
    differences = {
        sample.labels["difference"]: int(sample.value)
        for sample in seen
        if sample.name == "betting_provider_differences" and sample.value
    }
    unreadable = int(told.get("betting_books_unreadable_documents", 0))  # an older bookkeeper does not tell them
    try:
        return Books(
            told["betting_books_balanced"] == 1,
            told["betting_books_timestamp_seconds"],
            differences,
            unreadable,
            compares=told.get("betting_provider_compared") == 1,  # nor this
            compared_at=told.get("betting_reconciled_timestamp_seconds"),
        )
    except KeyError:
        return None
