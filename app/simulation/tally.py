"""What happened, how often, how fast, and what was refused why."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import median

from app.simulation.client import Answer


@dataclass
class Deed:
    """One sort of thing that was asked for."""

    done: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """How often it was asked for."""
        return self.done + self.refused.total()

    @property
    def median_seconds(self) -> float | None:
        """How long an answer usually took; nothing for what is not answered at once."""
        return median(self.seconds) if self.seconds else None


@dataclass
class Tally:
    """Everything that was asked for, by what people call it."""

    deeds: dict[str, Deed] = field(default_factory=lambda: defaultdict(Deed))

    def answered(self, name: str, answer: Answer) -> None:
        """Count an answer and its time."""
        self.deeds[name].seconds.append(answer.seconds)
        self.count(name, answer.reason)

    def count(self, name: str, reason: str | None) -> None:
        """Count something done, or the reason why it was not."""
        if reason is None:
            self.deeds[name].done += 1
        else:
            self.deeds[name].refused[reason] += 1
