"""The rule by which a soak says that something grew."""

from collections.abc import Sequence

import pytest

from tests.soak.verdict import LEAST, May, Verdict, for_each, judge

TENTH = May(0.1)


@pytest.mark.parametrize(
    ("values", "may", "verdict"),
    [
        ([5] * 9, TENTH, Verdict.LEVEL),
        ([100, 100, 100, 105, 105, 105, 110, 110, 110], TENTH, Verdict.LEVEL),
        ([100, 100, 100, 105, 105, 105, 111, 111, 111], TENTH, Verdict.GREW),
        ([111, 111, 111, 105, 105, 105, 100, 100, 100], TENTH, Verdict.FELL),
        # Only the first and the last third count, and of looks that do not go into three the middle has more.
        ([1, 1, 99, 99, 99, 99, 1, 1], TENTH, Verdict.LEVEL),
        ([1, 1, 9, 9, 9, 9, 9, 9], TENTH, Verdict.GREW),
        # One bad look is not growth, and one good look does not hide it.
        ([100, 101, 99, 100, 100, 100, 100, 900, 101], TENTH, Verdict.LEVEL),
        ([100, 101, 99, 150, 150, 150, 200, 201, 199], TENTH, Verdict.GREW),
        ([100, 900, 99, 150, 150, 150, 200, 201, 199], TENTH, Verdict.LEVEL),
        ([100, 900, 99, 98, 150, 150, 150, 150, 999, 1000, 1001, 100], TENTH, Verdict.GREW),
        # Noise whose middle halves overlap says nothing, however far its medians are apart.
        ([10, 20, 90, 50, 50, 50, 30, 60, 95], TENTH, Verdict.LEVEL),
        ([30, 60, 95, 50, 50, 50, 10, 20, 90], TENTH, Verdict.LEVEL),
        # What was nothing may be a little.
        ([0, 0, 0, 0, 0, 0], May(0.1, 5), Verdict.LEVEL),
        ([0, 0, 3, 3, 5, 5], May(0.1, 5), Verdict.LEVEL),
        ([0, 0, 3, 3, 6, 6], May(0.1, 5), Verdict.GREW),
        ([0, 0, 3, 3, 6, 6], May(0.1), Verdict.GREW),
        ([6, 6, 3, 3, 0, 0], May(0.1, 5), Verdict.FELL),
        ([1, 9, 1, 9, 9], TENTH, Verdict.TOO_FEW),
        ([], TENTH, Verdict.TOO_FEW),
    ],
)
def test_a_number_grew_if_its_last_third_is_clearly_above_its_first(
    values: Sequence[float], may: May, verdict: Verdict
) -> None:
    assert judge(values, may).verdict == verdict


def test_what_is_shown_are_the_medians_of_the_thirds() -> None:
    judged = judge([1, 2, 9, 50, 50, 50, 3, 4, 99], TENTH)

    assert (judged.first, judged.last) == (2, 4)


def test_as_many_looks_as_give_two_a_third_are_enough() -> None:
    assert judge([1] * LEAST, TENTH).verdict == Verdict.LEVEL
    assert judge([1] * (LEAST - 1), TENTH).verdict == Verdict.TOO_FEW


def test_what_grows_by_design_is_counted_for_each_unit_since_the_first_look() -> None:
    assert for_each([165, 175, 185, 205], [100, 110, 120, 130]) == [1, 1, pytest.approx(4 / 3)]
    assert for_each([165, 175], [100, 100]) == []
    assert for_each([], []) == []


def test_growth_by_design_is_level_and_more_than_that_grew() -> None:
    units = list(range(100, 1_100, 100))

    assert judge(for_each([1_000 + 3 * unit for unit in units], units), TENTH).verdict == Verdict.LEVEL
    assert judge(for_each([1_000 + unit * unit for unit in units], units), TENTH).verdict == Verdict.GREW
