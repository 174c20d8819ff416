"""What a release that runs cannot change: compared with the new values before an upgrade changes anything."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

RUNBOOK = "docs/operations.md#what-cannot-change"
HELM_RELEASE = "meta.helm.sh/release-name"
NAME = "fullnameOverride"
RESTATE_SIZE, RESTATE_CLASS = "restate.storage.size", "restate.storage.className"
PARTITIONS, REPLICAS = "restate.partitions", "restate.replicas"
CLUSTER_NAME = "RESTATE_CLUSTER_NAME"
SIGNING_SECRET = "restate.signingKeySecret"  # noqa: S105, its name
IDENTITY_KEYS = "BETTING_IDENTITY_KEYS"
SCALED_TO_NONE = "0"
"""The replicas while an operator copies or enlarges a volume: it does not say how many nodes there are."""
SIZES = (RESTATE_SIZE, "sandbox.storage.size")
COMPONENTS = ("restate", "sandbox")
UNITS = {
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(1000),
    **{letter: Fraction(1000**power) for power, letter in enumerate("MGTPE", start=2)},
    **{f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", start=1)},
}


@dataclass(frozen=True)
class Change:
    """A value that a release that runs cannot take."""

    value: str
    before: str
    wanted: str

    @property
    def name(self) -> str:
        """The last part of the value's name."""
        return self.value.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.value} is {self.before or 'empty'} and would become {self.wanted or 'empty'}"


@dataclass(frozen=True)
class Foundation:
    """What Restate and the sandbox were started with, each under the name of the value that says so."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Empty where nothing runs."""

    signs: bool = False
    """Whether a Restate is ready, and so signs with a key that it has read: without one, it could not have started."""


def changes(before: Foundation, wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """Compare what runs with what the values want; what only one of them has, such as a sandbox, may come and go."""
    return tuple(
        Change(value, was, wanted[value])
        for value, was in before.values.items()
        if value != SIGNING_SECRET and value in wanted and not _may_become(value, was, wanted[value])
    )


def _may_become(value: str, before: str, wanted: str) -> bool:
    if value in SIZES:
        return quantity(before) == quantity(wanted)
    if value == REPLICAS:
        # One node keeps one copy of each log and partition, and so do three that it grows to: no node could be lost.
        return before in (wanted, SCALED_TO_NONE)
    return before == wanted


def quantity(text: str) -> Fraction:
    """Read a quantity as Kubernetes does: 1.5Gi, 500M, 2147483648; Kubernetes tells 1.5Gi as 1536Mi."""
    unit = text.lstrip("0123456789.")
    return Fraction(text.removesuffix(unit)) * UNITS[unit]


def running(stateful_sets: Iterable[Any], release: str, usual_name: str) -> Foundation:
    """Read what runs from the StatefulSets of a Helm release. Without Helm, they are known by their usual name."""
    values: dict[str, str] = {}
    signs = False
    for found in stateful_sets:
        labels, annotations = found.metadata.labels, found.metadata.annotations or {}
        name, component = labels["app.kubernetes.io/instance"], labels["app.kubernetes.io/component"]
        ours = annotations.get(HELM_RELEASE, release if name == usual_name else "") == release
        if ours and component in COMPONENTS:
            values |= {NAME: name, **dict(_of_one(component, found.spec))}
            signs = signs or (component == "restate" and bool(found.status and found.status.ready_replicas))
    return Foundation(values, signs)


def _of_one(component: str, spec: Any) -> Iterator[tuple[str, str]]:
    [claim] = spec.volume_claim_templates
    yield f"{component}.storage.size", claim.spec.resources.requests["storage"]
    yield f"{component}.storage.className", claim.spec.storage_class_name or ""
    if component == "restate":
        pod = spec.template.spec
        settings = {setting.name: setting.value for setting in pod.containers[0].env}
        yield PARTITIONS, settings["RESTATE_DEFAULT_NUM_PARTITIONS"]
        yield CLUSTER_NAME, settings[CLUSTER_NAME]
        yield REPLICAS, str(spec.replicas)
        [secret] = [volume.secret.secret_name for volume in pod.volumes if volume.name == "signing-key"]
        yield SIGNING_SECRET, secret


def only_one_key(before: Foundation, wanted: Mapping[str, str], accepted: Mapping[str, str]) -> str:
    """Name the version that would refuse what Restate signs with another key, if Restate is to sign with another."""
    if before.values.get(SIGNING_SECRET) in (None, wanted.get(SIGNING_SECRET)):
        return ""
    return next((version for version, keys in accepted.items() if "," not in keys), "")
