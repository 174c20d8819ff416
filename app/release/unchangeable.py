"""Before an upgrade: what cannot change of what runs is refused, and so is a key that Restate would not sign with."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.release import fixed_settings
from app.release.cluster import Cluster
from app.release.foundation import RUNBOOK, SIGNING_SECRET, changes, only_one_key
from app.release.plan import Version
from app.release.restate_admin import UnknownError
from app.release.rounds import NotDoneError, Release

SIGNING_RUNBOOK = "docs/operations.md#signing-key"


def refuse_what_cannot_change(cluster: Cluster, wanted: Mapping[str, Any], makes_key: bool) -> None:
    """Compare what runs with what the chart wants: `release` and `usualName`, and `values` by their names."""
    values = wanted["values"]
    before = cluster.foundation(wanted["release"], wanted["usualName"])
    if refused := changes(before, values):
        raise NotDoneError(
            f"{'; '.join(map(str, refused))}: a release that runs cannot take that, and nothing has changed. "
            f"{RUNBOOK} says what to do instead"
        )
    if version := only_one_key(before, values, cluster.accepted_keys()):
        raise NotDoneError(
            f"{SIGNING_SECRET} is {before.values[SIGNING_SECRET]} and would become {values[SIGNING_SECRET]}, "
            f"and {version} accepts requests that are signed with one key only; nothing has changed. "
            f"{SIGNING_RUNBOOK} says how to rotate it"
        )
    in_use = before.signs or cluster.has_read_signing_key()
    if makes_key and in_use and cluster.lacks_signing_key():
        raise NotDoneError(
            f"the Secret {values[SIGNING_SECRET]} is gone, and Restate and the service go on with the key that "
            "they have read from it: with a new one, the service would refuse every request. "
            f"{SIGNING_RUNBOOK} says how to bring it back"
        )


def refuse_other_settings(versions: Iterable[Version], wanted: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse another setting that a rule reads, of a version that Restate knows or has known.

    Compared is what it was set to when Restate came to know it: whatever it runs now, it may always go back to that.
    """
    found = [
        change
        for version in versions
        if version.known_image and version.name in wanted
        for change in fixed_settings.changed(version.name, version.settings_to_keep, wanted[version.name])
    ]
    if found:
        values = ((change.value, change.before.replace(",", "\\,")) for change in found)
        keeps = ",".join(f"{value}={before or 'null'}" for value, before in values)
        raise NotDoneError(
            f"{'; '.join(map(str, found))}: a rule reads that, and work would be decided by another one than it began "
            f"with; nothing has changed. {RUNBOOK} says more. Give the new value to a new version, and keep the old "
            f"with --set {keeps}"
        )


def refuse_other_images(release: Release, versions: Iterable[Version]) -> None:
    """Refuse another image under a key that Restate knows or has known. Until then nothing can need the first image.

    A version may always go back to the image that Restate came to know, whatever it runs now.
    """
    changed = [version for version in versions if version.declared_image not in (None, _fixed_image(version))]
    uris = frozenset[str]()
    if changed and not any(version.known_image for version in changed):
        try:
            uris = frozenset(known.uri for known in release.restate.observe().deployments)
        except UnknownError as error:
            raise NotDoneError(
                f"{_other_image(changed[0])}; Restate does not say whether it knows {changed[0].name}, and nothing has "
                f"changed: try again, or add a new key under `versions` ({error})"
            ) from error
    for version in changed:
        if version.known_image or version.uri in uris:
            raise NotDoneError(
                f"{_other_image(version)}: versions are immutable, add a new key under `versions` instead; "
                f"nothing has changed. {RUNBOOK} says why"
            )


def _other_image(version: Version) -> str:
    return f"versions.{version.name}.image is {_fixed_image(version)} and would become {version.declared_image}"


def _fixed_image(version: Version) -> str:
    return version.known_image or version.image
