"""Whether a number stayed level over a soak: its last third beside its first.

A number **grew** if the median of the last third is above that of the first by more than may be, and the middle halves
of the two do not overlap. It **fell** if the same is so the other way round. Otherwise it is **level**. Either
condition alone would call it growth when a busy machine was busier for a while.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median, quantiles

LEAST = 6
"""With fewer looks, a third would be a single one, and nothing is said."""


class Verdict(StrEnum):
    """What became of a number."""

    LEVEL = "level"
    GREW = "grew"
    FELL = "fell"
    TOO_FEW = "too few looks"


@dataclass(frozen=True)
class May:
    """How much more of a number there may be: a share of what it was, and so much besides, in its unit.

    A few rows more than none, or two milliseconds more than one, are no growth.
    """

    share: float
    slack: float = 0.0

    def become(self, was: float) -> float:
        """The most that it may become."""
        return was * (1 + self.share) + self.slack


@dataclass(frozen=True)
class Judged:
    """The medians of the first and the last third, and what that means."""

    first: float | None
    last: float | None
    verdict: Verdict


def for_each(values: Sequence[float], units: Sequence[float]) -> list[float]:
    """How much more there is for each unit more, since the first: of disk for each player, for example.

    What is there before anything happens does not count; a total divided by all units would fall for ever with it.
    """
    return [
        (value - values[0]) / (number - units[0])
        for value, number in zip(values[1:], units[1:], strict=True)
        if number > units[0]
    ]


def judge(values: Sequence[float], may: May) -> Judged:
    """Compare the last third of a number's values, in the order of time, with the first."""
    third = len(values) // 3
    if len(values) < LEAST:
        return Judged(values[0] if values else None, values[-1] if values else None, Verdict.TOO_FEW)
    first, last = values[:third], values[-third:]
    before, after = median(first), median(last)
    verdict = Verdict.LEVEL
    if after > may.become(before) and _middle(last)[0] > _middle(first)[1]:
        verdict = Verdict.GREW
    elif before > may.become(after) and _middle(first)[0] > _middle(last)[1]:
        verdict = Verdict.FELL
    return Judged(before, after, verdict)


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """Where the middle half of the values begins and ends."""
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return lower, upper
