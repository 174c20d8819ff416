"""What a season was, for people and for programs."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.simulation.tally import Tally

SHOWN_DISAGREEMENTS = 20


@dataclass(frozen=True)
class Report:
    """A season that was played and checked; amounts in minor units."""

    seed: int
    seconds: float
    checks: int
    asked_again: int
    """Requests that had no definite answer at first, and were sent once more."""
    house: int
    deeds: dict[str, dict[str, Any]]
    disagreements: list[str] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    """What the house has won in other currencies than its own."""

    @property
    def balanced(self) -> bool:
        """Whether everything agrees."""
        return not self.disagreements

    def as_json(self) -> dict[str, Any]:
        """All of it, with the verdict."""
        return {"balanced": self.balanced, **asdict(self)}

    def as_table(self) -> RenderableType:
        """What happened, how often and how fast, and the verdict."""
        table = Table("what", title=f"season {self.seed}, {self.seconds:.0f} s")
        for name in ("asked", "done", "a second", "median ms"):
            table.add_column(name, justify="right")
        table.add_column("refused")
        for name, deed in sorted(self.deeds.items()):
            refused = ", ".join(f"{reason} {count}" for reason, count in deed["refused"].items())
            median = "-" if deed["medianMs"] is None else f"{deed['medianMs']:.0f}"
            table.add_row(name, str(deed["asked"]), str(deed["done"]), f"{deed['perSecond']:.1f}", median, refused)
        return Group(table, Text(self.verdict()))

    def verdict(self) -> str:
        """The last line, or lines."""
        if self.balanced:
            won = " and ".join([str(self.house), *(f"{amount} {currency}" for currency, amount in self.others.items())])
            again = f", {self.asked_again} requests sent again" if self.asked_again else ""
            return f"balanced: {self.checks} checks{again}, the house has won {won}"
        shown = self.disagreements[:SHOWN_DISAGREEMENTS]
        more = len(self.disagreements) - len(shown)
        return "\n".join(
            [
                f"NOT balanced: {len(self.disagreements)} disagreements",
                *shown,
                *([f"... and {more} more"] if more else []),
            ]
        )


def deeds(tally: Tally, seconds: float) -> dict[str, dict[str, Any]]:
    """What was asked for, by name."""
    return {
        name: {
            "asked": deed.asked,
            "done": deed.done,
            "refused": dict(deed.refused.most_common()),
            "perSecond": round(deed.asked / seconds, 2),
            "medianMs": None if deed.median_seconds is None else round(deed.median_seconds * 1000, 1),
        }
        for name, deed in tally.deeds.items()
    }
