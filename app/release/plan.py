"""What to do next so that each version serves, finishes its work or goes: pure, from one observation to actions."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class Version:
    """One immutable version of the code, as Kubernetes runs it."""

    name: str
    uri: str
    image: str
    declared_image: str | None
    """The image that the chart's values name; None if the values no longer contain the version."""
    full_strength: int
    """The number of pods needed to serve all traffic."""
    replicas: int
    """The number of pods currently requested from Kubernetes."""
    available: int
    protected: bool
    """Whether upgrades keep the version. Uninstalling the release still deletes it."""
    trouble: str = ""
    """Why its pods do not start: the message of Kubernetes or of the crash."""


@dataclass(frozen=True)
class Deployment:
    """A version as Restate knows it."""

    id: str
    uri: str
    services: frozenset[str]


@dataclass(frozen=True)
class Work:
    """A group of unfinished invocations that have the same properties."""

    deployment: str | None
    """The one deployment that can finish them; None if they start on whichever their service is routed to."""
    service: str
    status: str
    count: int
    oldest: datetime


@dataclass(frozen=True)
class Restate:
    """One complete answer about routing and unfinished work."""

    deployments: tuple[Deployment, ...] = ()
    routes: Mapping[str, str] = field(default_factory=dict)
    """For each service, the deployment that starts its new work."""
    work: tuple[Work, ...] = ()
    retrying: tuple[Work, ...] = ()
    """What of it failed at its last attempt, and waits for the next."""


@dataclass(frozen=True)
class Observed:
    """The complete input of a plan."""

    versions: tuple[Version, ...]
    wanted: str
    """The version that should take new work."""
    restate: Restate | None
    """None if any query to Restate failed or was truncated. The plan then removes nothing that may be needed."""


class Verdict(StrEnum):
    """The status of a version."""

    LIVE = "live"  # starts all new work of its services
    STARTING = "starting"  # wanted, and not live yet
    DRAINING = "draining"  # takes no new work of at least one service, and something still needs it
    STUCK = "stuck"  # the same, and paused work waits for a human
    DRAINED = "drained"  # nothing needs it any more
    RETIRED = "retired"  # drained, without pods, unknown to Restate
    CHANGED = "changed"  # runs another image than declared: versions are immutable
    UNKNOWN = "unknown"  # Restate did not answer completely


class Step(StrEnum):
    """The steps of a plan."""

    REFUSE = "refuse"
    PROTECT = "protect"
    UNPROTECT = "unprotect"
    SCALE = "scale"
    REGISTER = "register"
    DEREGISTER = "deregister"
    REMOVE = "remove"


@dataclass(frozen=True)
class Action:
    """One step and its reason."""

    do: Step
    version: str
    because: str
    replicas: int = 0
    deployment: str = ""
    """Restate's deployment ID of the version, if it is registered."""


@dataclass(frozen=True)
class Standing:
    """The services that one version serves, and its unfinished work."""

    version: Version
    verdict: Verdict
    deployment: Deployment | None = None
    routes: frozenset[str] = frozenset()
    work: tuple[Work, ...] = ()
    retrying: tuple[Work, ...] = ()

    @property
    def in_flight(self) -> Counter[str]:
        """Return the number of unfinished invocations that need this version, by status."""
        total: Counter[str] = Counter()
        for work in self.work:
            total[work.status] += work.count
        return total

    @property
    def oldest(self) -> datetime | None:
        """When the oldest of them was made."""
        return min((work.oldest for work in self.work), default=None)


@dataclass(frozen=True)
class Plan:
    """The status of all versions, and the next steps."""

    wanted: str
    standings: tuple[Standing, ...]
    actions: tuple[Action, ...]
    orphans: int = 0
    """Unfinished invocations that began on a missing version, so that nothing can finish them."""

    @property
    def drained(self) -> frozenset[str]:
        """Versions that nothing needs; only if the next observation says so too are they taken down."""
        return frozenset(s.version.name for s in self.standings if s.verdict is Verdict.DRAINED)

    @property
    def live(self) -> bool:
        """Whether the wanted version takes all new work."""
        return any(s.version.name == self.wanted and s.verdict is Verdict.LIVE for s in self.standings)

    @property
    def refusals(self) -> tuple[Action, ...]:
        """Return the problems that a person has to fix first."""
        return tuple(action for action in self.actions if action.do is Step.REFUSE)


def plan(observed: Observed, drained_before: frozenset[str] = frozenset()) -> Plan:
    """Decide the next steps; `drained_before` are the versions that were drained in an observation some seconds ago."""
    standings = tuple(_standing(version, observed) for version in observed.versions)
    actions = (
        action
        for standing in standings
        for action in _actions(standing, standing.version.name == observed.wanted, drained_before)
    )
    return Plan(observed.wanted, standings, tuple(actions), _orphans(standings, observed.restate))


def _standing(version: Version, observed: Observed) -> Standing:
    restate = observed.restate
    if restate is None:
        return Standing(version, Verdict.CHANGED if _changed(version) else Verdict.UNKNOWN)
    deployment = next((known for known in restate.deployments if known.uri == version.uri), None)
    routes = frozenset(s for s, target in restate.routes.items() if deployment and target == deployment.id)
    work, retrying = (
        tuple(w for w in known if deployment and _needs(w, deployment, routes))
        for known in (restate.work, restate.retrying)
    )
    verdict = _verdict(version, deployment, routes, work, version.name == observed.wanted)
    return Standing(version, verdict, deployment, routes, work, retrying)


def _orphans(standings: Iterable[Standing], restate: Restate | None) -> int:
    there = {standing.deployment.id for standing in standings if standing.deployment}
    return sum(w.count for w in restate.work if w.deployment and w.deployment not in there) if restate else 0


def _needs(work: Work, deployment: Deployment, routes: frozenset[str]) -> bool:
    return work.service in routes if work.deployment is None else work.deployment == deployment.id


def _changed(version: Version) -> bool:
    return version.declared_image is not None and version.declared_image != version.image


def _verdict(
    version: Version, deployment: Deployment | None, routes: frozenset[str], work: Iterable[Work], wanted: bool
) -> Verdict:
    if _changed(version):
        return Verdict.CHANGED
    if deployment and routes and routes >= deployment.services:
        return Verdict.LIVE
    if wanted:
        return Verdict.STARTING
    if any(w.status == "paused" for w in work):
        return Verdict.STUCK
    if routes or any(work):
        return Verdict.DRAINING
    return Verdict.DRAINED if deployment or version.replicas else Verdict.RETIRED


def _actions(standing: Standing, wanted: bool, drained_before: frozenset[str]) -> Iterable[Action]:
    version, verdict = standing.version, standing.verdict
    if verdict is Verdict.CHANGED:
        yield Action(Step.REFUSE, version.name, f"runs {version.image}; {version.declared_image} needs a new key")
    needed = wanted or verdict not in (Verdict.DRAINED, Verdict.RETIRED)
    if needed and not version.protected:
        yield Action(Step.PROTECT, version.name, "a forgotten key must not take its work away")
    if wanted and verdict is not Verdict.CHANGED:
        yield from _serve(standing)
    elif verdict in (Verdict.LIVE, Verdict.DRAINING, Verdict.STUCK) and version.replicas == 0:
        yield Action(Step.SCALE, version.name, "has work and no pods", replicas=1)
    elif verdict is Verdict.DRAINED and version.name in drained_before:
        yield from _take_down(standing)
    elif verdict is Verdict.RETIRED and version.declared_image is None:
        yield Action(Step.REMOVE, version.name, "retired, and no longer in values")
    elif verdict is Verdict.RETIRED and version.protected:
        yield Action(Step.UNPROTECT, version.name, "retired: its key may go")


def _serve(standing: Standing) -> Iterable[Action]:
    version = standing.version
    if version.replicas != version.full_strength:
        yield Action(Step.SCALE, version.name, "takes all new work", replicas=version.full_strength)
    elif standing.verdict is Verdict.STARTING and version.available >= version.full_strength:
        known = standing.deployment.id if standing.deployment else ""
        yield Action(Step.REGISTER, version.name, "its pods are ready", deployment=known)


def _take_down(standing: Standing) -> Iterable[Action]:
    version, deployment = standing.version, standing.deployment
    if version.replicas:
        yield Action(Step.SCALE, version.name, "drained, twice in a row", replicas=0)
    elif deployment:
        yield Action(Step.DEREGISTER, version.name, "drained and without pods", deployment=deployment.id)
