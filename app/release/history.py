"""What happened to a release, newest last: in a ConfigMap of its own, which upgrades leave as it is."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

KEPT = 50
"""The oldest entries make room for new ones."""
KEPT_FINDINGS = 20
"""Of one entry; the last one then says how many more there were."""
LONGEST_FINDING = 300
"""Characters of a finding: all entries together stay well below the 1 MiB that a ConfigMap may have."""


class Event(StrEnum):
    """What an entry is about."""

    LIVE = "live"  # new work starts on it from now on
    CHECKED = "checked"  # its gates let it pass
    REFUSED = "refused"  # its gates did not
    WATCHED = "watched"  # how its watch ended, if it was not taken back
    TAKEN_BACK = "taken back"  # it was worse than the version before, which takes new work again


@dataclass(frozen=True)
class Entry:
    """One thing that happened to a version."""

    event: Event
    version: str
    by: str
    """Who or what did it: `values, revision 4`, `an operator`, `watch` or `gates`."""
    because: str = ""
    findings: tuple[str, ...] = ()
    at: str = ""
    """When, in UTC, as ISO 8601; empty in what is not stored yet."""


class Kept(Protocol):
    """Where a history is stored: a Cluster."""

    def change_history(self, change: "Change") -> None:
        """Replace the stored text by what `change` makes of it; nobody else's change is lost."""

    def history(self) -> str:
        """The stored text; empty if there is none."""


class Change(Protocol):
    """Makes the next text of the stored one."""

    def __call__(self, stored: str) -> str:
        """Make it; may be called again if somebody else was faster."""


def append(kept: Kept, entry: Entry) -> None:
    """Add an entry. An ApiException is for the caller: a history that cannot be written must stop nothing."""
    dated = bounded(entry, datetime.now(UTC))
    kept.change_history(lambda stored: written(followed(read(stored), dated)))


def followed(entries: Sequence[Entry], new: Entry) -> tuple[Entry, ...]:
    """Return the entries and a new one, which takes the place of a last one that tells the same.

    Gates that cannot tell are asked every few minutes, and their reason may count seconds: the newest is kept, and what
    was live when stays.
    """
    repeats = entries and replace(entries[-1], because=new.because, at=new.at) == new
    return (*(entries[:-1] if repeats else entries), new)


def bounded(entry: Entry, now: datetime) -> Entry:
    """Return an entry with its time, and as long as it may be."""
    findings = tuple(_cut(finding) for finding in entry.findings[:KEPT_FINDINGS])
    if (left := len(entry.findings) - KEPT_FINDINGS) > 0:
        findings += (f"and {left} more",)
    return Entry(
        entry.event,
        entry.version,
        entry.by,
        _cut(entry.because),
        findings,
        entry.at or f"{now:%Y-%m-%dT%H:%M:%SZ}",
    )


def read(stored: str) -> tuple[Entry, ...]:
    """Return the entries of a stored text. Fields that a newer version added are left out."""
    entries: list[dict[str, Any]] = json.loads(stored or "[]")
    return tuple(
        Entry(
            event=Event(told["event"]),
            version=told["version"],
            by=told["by"],
            because=told.get("because", ""),
            findings=tuple(told.get("findings", ())),
            at=told["at"],
        )
        for told in entries
        if told["event"] in set(Event)
    )


def written(entries: Iterable[Entry]) -> str:
    """Return the text to store of the last entries."""
    return json.dumps([asdict(entry) for entry in list(entries)[-KEPT:]])


def as_lines(entries: Iterable[Entry]) -> list[str]:
    """Return a history for people, newest last: an entry a line, and its findings below it."""
    lines = []
    for entry in entries:
        told = f" ({entry.because})" if entry.because else ""
        lines.append(f"{entry.at}  {entry.version}  {entry.event}, by {entry.by}{told}")
        lines += [f"  {finding}" for finding in entry.findings]
    return lines or ["nothing has happened yet"]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_FINDING else text[: LONGEST_FINDING - 1] + "…"
