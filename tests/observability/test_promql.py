"""Which metrics a query uses."""

import pytest

from tests.observability.promql import metric, selectors


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('sum by (le, version) (rate(a_total{x="1",y=~"b|c"}[5m])) / 1e6 > 0.5', ['a_total{x="1",y=~"b|c"}']),
        ("(a or 0 * b) unless on (version) max (c) == 1", ["a", "b", "c"]),
        ("time() - min by (v) (a) offset 1d", ["a"]),
        ('absent(up{job="x {y} or z"} == 1) or on () vector(0)', ['up{job="x {y} or z"}']),
        ("predict_linear(sum by (n) (a)[6h:10m], 2 * 86400)", ["a"]),
        ("-deriv((a or 0 * b)[15m:])", ["a", "b"]),
        ("a > 2 * Inf * Info", ["a", "Info"]),
    ],
)
def test_metrics_are_told_from_functions_labels_and_operators(query: str, expected: list[str]) -> None:
    assert list(selectors(query)) == expected


def test_a_metric_is_named_without_its_labels() -> None:
    assert metric('up{job="x"}') == "up"
