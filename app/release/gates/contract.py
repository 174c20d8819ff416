"""The contract gate: whether who is served now will be served by the candidate.

The manifest of the candidate, as Restate reads it in a dry run, is compared with what serves: public handlers always,
and private ones while there is unfinished work, which began on the code before and calls the newest. A change that is
meant is accepted by its name in the values, where a review sees it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.release.gates.findings import Checked, Finding, Gate, Outcome, sifted
from app.release.gates.schemas import Schema, lost, narrowed

RETENTIONS = ("idempotency_retention", "journal_retention", "workflow_completion_retention")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "month": 2_630_016, "y": 31_557_600}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


@dataclass(frozen=True)
class Handler:
    """One handler, as a manifest describes it."""

    type: str
    public: bool
    takes: Schema | None
    gives: Schema | None
    retention: Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """One service, as a manifest describes it."""

    type: str
    handlers: Mapping[str, Handler]


Manifest = Mapping[str, Service]


def read(services: Iterable[Mapping[str, Any]]) -> Manifest:
    """Read the services of an answer of Restate. Raises KeyError if it is none that we know."""
    return {told["name"]: Service(told["ty"], dict(_handlers(told))) for told in services}


def _handlers(service: Mapping[str, Any]) -> Iterator[tuple[str, Handler]]:
    for told in service["handlers"]:
        retention = {name: told.get(name) or service.get(name) for name in RETENTIONS}
        yield (
            told["name"],
            Handler(
                told.get("ty") or "",
                bool(told.get("public", True)) and bool(service.get("public", True)),
                _schema(told.get("input_json_schema")),
                _schema(told.get("output_json_schema")),
                {name: kept for name, kept in retention.items() if kept},
            ),
        )


def _schema(told: object) -> Schema | None:
    """A schema of a manifest; `true` takes anything, and nothing is said of what is none."""
    return told if isinstance(told, Mapping) else {} if told is True else None


def decide(serving: Iterable[Manifest], candidate: Manifest, has_work: bool, accepts: Collection[str] = ()) -> Checked:
    """Compare what serves, and older versions that have work, with the candidate."""
    before = tuple(serving)
    changes = (change for manifest in before for change in _changes(manifest, candidate, has_work))
    findings, accepted = sifted({finding.name: finding for finding in changes}.values(), accepts)
    handlers = {(name, handler) for manifest in before for name in manifest for handler in manifest[name].handlers}
    return Checked(
        Gate.CONTRACT,
        Outcome.FAILED if findings else Outcome.PASSED,
        findings,
        accepted,
        looked_at=len(handlers),
    )


def _changes(before: Manifest, after: Manifest, has_work: bool) -> Iterator[Finding]:
    for name, service in before.items():
        counted = {key: each for key, each in service.handlers.items() if each.public or has_work}
        if not counted:
            continue
        if name not in after:
            yield Finding(name, "service removed", service.type)
            continue
        if after[name].type != service.type:
            yield Finding(name, "type changed", service.type, after[name].type)
        for key, handler in counted.items():
            where = f"{name}/{key}"
            if key not in after[name].handlers:
                yield Finding(where, "handler removed")
            else:
                yield from _of_one(where, handler, after[name].handlers[key])


def _of_one(where: str, was: Handler, now: Handler) -> Iterator[Finding]:
    if was.type != now.type:
        yield Finding(where, "type changed", was.type, now.type)
    if was.public and not now.public:
        yield Finding(where, "public made private", "public", "private")
    for change in narrowed(was.takes, now.takes):
        yield Finding(where, f"input {change.what}", change.before, change.after)
    for change in lost(was.gives, now.gives):
        yield Finding(where, f"output {change.what}", change.before, change.after)
    for name, kept in was.retention.items():
        if name in now.retention and seconds(now.retention[name]) < seconds(kept):
            yield Finding(where, f"shorter {name.replace('_', ' ')}", kept, now.retention[name])


def seconds(duration: str) -> float:
    """Read a duration as Restate writes it: 1d, 2h 30m, 500ms. Raises ValueError."""
    parts = _DURATION.findall(duration)
    if not parts:
        raise ValueError(f"not a duration: {duration}")
    return sum(float(count) * _unit(unit) for count, unit in parts)


def _unit(word: str) -> float:
    for known in (word, word.rstrip("s") or word, word[:1]):
        if known in _UNITS:
            return _UNITS[known]
    raise ValueError(f"not a unit of time: {word}")
