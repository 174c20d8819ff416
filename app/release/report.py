"""What an operator reads: one table for all versions, and what holds one of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime

from rich.table import Table

from app.release.plan import NOT_PASSED, Action, Plan, Standing, Verdict, Version
from app.release.restate_admin import Holding


def table(made: Plan, now: datetime) -> Table:
    """Return a table of all versions."""
    shown = Table("version", "routed?", "pods", "in flight", "oldest", "paused", "verdict", title_justify="left")
    for standing in made.standings:
        version, in_flight = standing.version, standing.in_flight
        shown.add_row(
            version.name + (" (wanted)" if version.name == made.wanted else ""),
            routed(standing),
            f"{version.available}/{version.replicas}",
            ", ".join(f"{count} {status}" for status, count in sorted(in_flight.items())) or "-",
            age(standing.oldest, now),
            str(in_flight["paused"]),
            _verdict(standing),
        )
    return shown


def _verdict(standing: Standing) -> str:
    gone = f"its {standing.version.missing} is gone" if standing.verdict is Verdict.MISSING else ""
    failed = not standing.deployment and not standing.version.known_image and standing.version.gates.failed
    not_passed = f"{NOT_PASSED}: {failed}" if failed else ""
    refused = not_passed or (standing.version.refused and f"Restate refuses it: {standing.version.refused}")
    taken_back = standing.version.taken_back and f"taken back: {standing.version.taken_back}"
    reason = gone or taken_back or standing.version.trouble or refused
    reasons = "; ".join(filter(None, (reason, strayed(standing.version))))
    return f"{standing.verdict}: {reasons}" if reasons else str(standing.verdict)


def strayed(version: Version) -> str:
    """How a version runs otherwise than when Restate came to know it; empty if it does not."""
    return f"not what it went live with: {', '.join(version.strayed)}" if version.strayed else ""


def routed(standing: Standing) -> str:
    """Whether a version starts new work: of all its services, of some, or of none."""
    if standing.verdict is Verdict.UNKNOWN:
        return "unknown"
    if standing.deployment is None or not standing.routes:
        return "no"
    return "yes" if standing.routes >= standing.deployment.services else ", ".join(sorted(standing.routes))


def held_by(standing: Standing) -> tuple[str, ...]:
    """Return the reasons that a version is kept, as sentences."""
    if standing.verdict is Verdict.UNKNOWN:
        return ("Restate did not answer completely, and what is unknown is kept",)
    if standing.verdict is Verdict.CHANGED:
        return (f"it runs {standing.version.image}, the values say {standing.version.declared_image}",)
    reasons = list(filter(None, (strayed(standing.version),)))
    if standing.version.taken_back:
        reasons.append(f"the watch took it back: {standing.version.taken_back}")
    if standing.routes:
        reasons.append(f"new work of {', '.join(sorted(standing.routes))} starts on it")
    if standing.work:
        in_flight = ", ".join(f"{count} {status}" for status, count in sorted(standing.in_flight.items()))
        reasons.append(f"unfinished work needs it: {in_flight}")
    if standing.in_flight["paused"]:
        reasons.append("paused work waits for a human: `rescue` it")
    return tuple(reasons)


def holding_table(holding: Iterable[Holding], now: datetime) -> Table:
    """Return a table of the invocations that hold a version, oldest first."""
    shown = Table("invocation", "status", "handler", "age", "waiting on", "last failure")
    for held in holding:
        status = held.status if held.pinned else f"{held.status}, not begun"
        shown.add_row(held.id, status, held.handler, age(held.made, now), held.waiting_on, held.last_failure)
    return shown


def steps(actions: Iterable[Action]) -> str:
    """Return the steps of a plan, one per line."""
    lines = [f"{action.do} {action.version}: {action.because}" for action in actions]
    return "\n".join(["plan:", *(f"  {line}" for line in lines)]) if lines else "plan: nothing to do"


def age(since: datetime | None, now: datetime) -> str:
    """Return an age in its two largest units."""
    if since is None:
        return "-"
    left = max(0, int((now - since).total_seconds()))
    parts: list[str] = []
    for unit, seconds in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def as_json(made: Plan, way_back: str = "", watch: Mapping[str, object] | None = None) -> str:
    """Return the status of all versions as JSON, and the command that goes back to what Helm deployed last."""
    versions = [
        {
            **asdict(standing.version),
            "strayed": standing.version.strayed,
            "verdict": standing.verdict,
            "routed": routed(standing),
            "deployment": standing.deployment and standing.deployment.id,
            "in_flight": dict(standing.in_flight),
            "oldest": standing.oldest and standing.oldest.isoformat(),
            "held_by": held_by(standing),
        }
        for standing in made.standings
    ]
    told = {"wanted": made.wanted, "live": made.live, "versions": versions, "plan": _listed(made.actions)}
    return json.dumps(told | {"way_back": way_back, "watch": watch})


def why_json(standing: Standing, holding: Iterable[Holding]) -> str:
    """Return the work that holds one version, as JSON."""
    invocations = [{**asdict(held), "made": held.made.isoformat()} for held in holding]
    return json.dumps(
        {
            "version": standing.version.name,
            "verdict": standing.verdict,
            "held_by": held_by(standing),
            "invocations": invocations,
        }
    )


def _listed(actions: Iterable[Action]) -> list[dict[str, object]]:
    return [asdict(action) for action in actions]
