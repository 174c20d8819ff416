"""The contract gate: whether who is served now will be served by the candidate.

The manifest of the candidate, as Restate reads it in a dry run, is compared with what serves: public handlers always,
and private ones while there is unfinished work, which began on the code before and calls the newest, or while Restate
reads a topic for them. A change that is meant is accepted by its name in the values, where a review sees it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.release.gates.findings import Checked, Finding, Gate, Outcome, sifted
from app.release.gates.schemas import Schema, lost, narrowed

RETENTIONS = ("idempotency_retention", "journal_retention", "workflow_completion_retention")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "month": 2_630_016, "y": 31_557_600}
ROLES, OWNER = "roles", "owner"
"""What the keys of a handler's metadata end in, after a dot, where it says who may call it."""
_JSON = "application/json"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


@dataclass(frozen=True)
class Handler:
    """One handler, as a manifest describes it."""

    type: str
    public: bool
    takes: Schema | None
    gives: Schema | None
    retention: Mapping[str, str]
    roles: frozenset[str] | None = None
    """Who may call it; None if it does not say."""
    owner: str | None = None
    """Where it finds to whom a thing belongs, who may call it too; None if it does not say."""
    content: str | None = None
    """The content types that it takes: `*/*`, or empty for no body at all; None if it does not say."""


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
        metadata = {key.rpartition(".")[2]: value for key, value in (told.get("metadata") or {}).items()}
        yield (
            told["name"],
            Handler(
                told.get("ty") or "",
                bool(told.get("public", True)) and bool(service.get("public", True)),
                _schema(told.get("input_json_schema")),
                _schema(told.get("output_json_schema")),
                {name: kept for name, kept in retention.items() if kept},
                frozenset(filter(None, metadata[ROLES].split(","))) if ROLES in metadata else None,
                metadata.get(OWNER),
                _content(told.get("input_description")),
            ),
        )


def _schema(told: object) -> Schema | None:
    """A schema of a manifest; `true` takes anything, and nothing is said of what is none."""
    return told if isinstance(told, Mapping) else {} if told is True else None


def _content(told: object) -> str | None:
    """The content types that Restate names. Of a body with a schema that has a type, it names the schema instead."""
    if not isinstance(told, str):
        return None
    return {"none": ""}.get(told, _JSON if told.startswith("JSON ") else told)


def decide(
    serving: Iterable[Manifest],
    candidate: Manifest,
    has_work: bool,
    accepts: Collection[str] = (),
    fed: Collection[str] = (),
) -> Checked:
    """Compare what serves, and older versions that have work, with the candidate. Topics call the handlers in `fed`."""
    before = tuple(serving)
    changes = (change for manifest in before for change in _changes(manifest, candidate, has_work, fed))
    findings, accepted = sifted({finding.name: finding for finding in changes}.values(), accepts)
    handlers = {(name, handler) for manifest in before for name in manifest for handler in manifest[name].handlers}
    return Checked(
        Gate.CONTRACT,
        Outcome.FAILED if findings else Outcome.PASSED,
        findings,
        accepted,
        looked_at=len(handlers),
    )


def _changes(before: Manifest, after: Manifest, has_work: bool, fed: Collection[str]) -> Iterator[Finding]:
    for name, service in before.items():
        counted = {
            key: each for key, each in service.handlers.items() if each.public or has_work or f"{name}/{key}" in fed
        }
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
    yield from _of_access(where, was, now)
    if was.content and now.content is not None and not _takes(now.content, was.content):
        yield Finding(where, "input takes fewer content types", was.content, now.content)
    for change in narrowed(was.takes, now.takes):
        yield Finding(where, f"input {change.what}", change.before, change.after)
    for change in lost(was.gives, now.gives):
        yield Finding(where, f"output {change.what}", change.before, change.after)
    for name, kept in was.retention.items():
        if name in now.retention and seconds(now.retention[name]) < seconds(kept):
            yield Finding(where, f"shorter {name.replace('_', ' ')}", kept, now.retention[name])


def _of_access(where: str, was: Handler, now: Handler) -> Iterator[Finding]:
    """Who may no longer call it. Whether another owner is more or less cannot be told."""
    if was.roles is not None and now.roles is not None:
        for role in sorted(was.roles - now.roles):
            yield Finding(where, f"refuses the role {role}", _words(was.roles), _words(now.roles))
    if was.owner is not None and now.owner is not None and was.owner != now.owner:
        yield Finding(where, "has another owner", was.owner, now.owner)


def _words(roles: Collection[str]) -> str:
    return ", ".join(sorted(roles))


def _takes(now: str, was: str) -> bool:
    """Whether one range of content types has all of another in it."""
    return now in ("*/*", was) or (now.endswith("/*") and was.startswith(now.removesuffix("*")))


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
