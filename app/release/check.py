"""`release check`: ask the gates about a version, from wherever Restate, Kubernetes and the rehearsal are reached."""

import click

from app.release import gatekeeper
from app.release.gates.findings import Gate, as_json, as_lines
from app.release.rounds import NotDoneError, Release, standing_of


def check(release: Release, version: str, chosen: tuple[Gate, ...], patience_seconds: float, output: str) -> None:
    """Ask the gates and print what they say; NotDoneError if they would not let the version pass."""
    standing = standing_of(version, release.plan())
    checked = gatekeeper.ask(release.cluster, release.restate, standing.version, chosen, patience_seconds)
    click.echo(as_json(version, checked) if output == "json" else "\n".join(as_lines(checked)))
    if not all(each.passed for each in checked):
        raise NotDoneError(f"{version} does not pass: {', '.join(each.gate for each in checked if not each.passed)}")
