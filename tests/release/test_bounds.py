"""How much the gates look at, as the chart's values tell it."""

import json
from pathlib import Path

import pytest
import yaml

from app.release.gates.bounds import Bounds, ReplayBounds, StateBounds, read

VALUES = Path(__file__).parents[2] / "charts" / "betting" / "values.yaml"


@pytest.mark.parametrize("told", [None, "", "{}", '{"state": {}}'])
def test_what_an_older_chart_does_not_tell_is_as_always(told: str | None) -> None:
    assert read(told) == Bounds()


def test_the_values_say_what_the_code_does_without_them() -> None:
    told = yaml.safe_load(VALUES.read_text())["release"]["bounds"]

    assert read(json.dumps(told)) == Bounds()


def test_each_bound_is_read() -> None:
    told = {
        "state": {"perService": 1, "maxBytes": 2, "seconds": 3},
        "replay": {"perHandler": 4, "most": 5, "maxBytes": 6, "seconds": 7},
    }

    assert read(json.dumps(told)) == Bounds(StateBounds(1, 2, 3), ReplayBounds(4, 5, 6, 7))
