"""What a gate says: whether the candidate may pass, what it found, and what it did not look at."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Gate(StrEnum):
    """What is checked of a candidate, in this order."""

    BOOKS = "books"  # they balance and reconcile now
    CONTRACT = "contract"  # no caller is refused that was served before
    STATE = "state"  # every stored document can be read, and is written back whole
    REPLAY = "replay"  # work in flight goes on as it began


class Outcome(StrEnum):
    """How a check ended. PASSED and OFF alone let a candidate pass: what could not be checked is not taken for good."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"
    OFF = "off"


@dataclass(frozen=True)
class Finding:
    """One thing that the candidate does otherwise than what serves now."""

    where: str
    """A handler, as MarketService/get; a document, as PlayerService/ann; an invocation's id; or the books."""
    what: str
    """What is wrong, in the words by which values accept it: `output lost prices`."""
    before: str = ""
    after: str = ""

    @property
    def name(self) -> str:
        """How `versions.KEY.accepts` names it."""
        return f"{self.where}: {self.what}"

    def __str__(self) -> str:
        return self.name + (
            f" (was {self.before or 'nothing'}, is {self.after or 'nothing'})" if self.before or self.after else ""
        )


@dataclass(frozen=True)
class Checked:
    """The answer of one gate."""

    gate: Gate
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    accepted: tuple[Finding, ...] = ()
    """What it found and the values accept by name."""
    looked_at: int = 0
    """How many handlers, documents or invocations."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """How many were not looked at, for each reason."""
    because: str = ""
    """Why it could not be checked."""

    @property
    def passed(self) -> bool:
        """Whether the candidate may go on."""
        return self.outcome in (Outcome.PASSED, Outcome.OFF)


NO_REHEARSAL = "the version has no rehearsal to ask"
"""Why a gate that asks one cannot tell."""
BEYOND_SAMPLE = "beyond the sample"
BEYOND_BYTES = "beyond maxBytes"
NO_TIME = "beyond seconds"
"""These three, why something was not looked at."""


def sifted(found: Iterable[Finding], accepts: Collection[str]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Tell findings from those that the values accept by name."""
    all_found = tuple(found)
    accepted = tuple(finding for finding in all_found if finding.name in accepts)
    return tuple(finding for finding in all_found if finding.name not in accepts), accepted


def as_lines(checked: Iterable[Checked]) -> list[str]:
    """Return what the gates say, for people: each gate and, below it, each finding."""
    lines = []
    for check in checked:
        counts = [f"{check.looked_at} looked at"] if check.looked_at else []
        counts += [f"{count} not looked at: {reason}" for reason, count in sorted(check.skipped.items())]
        told = "; ".join(filter(None, (check.because, *counts)))
        lines.append(f"{check.gate}: {check.outcome}" + (f" ({told})" if told else ""))
        lines += [f"  {finding}" for finding in check.findings]
        lines += [f"  accepted by the values: {finding}" for finding in check.accepted]
    return lines


def as_json(version: str, checked: Iterable[Checked]) -> str:
    """Return what the gates say, for scripts."""
    gates = [
        {
            "gate": check.gate,
            "outcome": check.outcome,
            "because": check.because,
            "looked_at": check.looked_at,
            "skipped": dict(check.skipped),
            "findings": [_told(finding) for finding in check.findings],
            "accepted": [_told(finding) for finding in check.accepted],
        }
        for check in checked
    ]
    return json.dumps({"version": version, "passed": all(check.passed for check in checked), "gates": gates})


def _told(finding: Finding) -> dict[str, str]:
    return {"where": finding.where, "what": finding.what, "before": finding.before, "after": finding.after}
