"""What the commands' options take."""

import math
from typing import Any

import click


class Number(click.FloatRange):
    """A number in a range; `nan`, which is in each by no comparison, is in none."""

    def __init__(self, least: float, most: float) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Read a number, or say which ones there are."""
        number: float = super().convert(value, parameter, context)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self.min:g}<=x<={self.max:g}.", parameter, context)
        return number


SECONDS = Number(0, 86_400)
"""A time that ends."""
