"""What to do next so that each version serves, finishes its work or goes: pure, from one observation to actions."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from app.release import fixed_settings
from app.release.fixed_settings import Known

TAKEN_BACK = "was taken back by the watch; ship it again under a new key"
NOT_PASSED = "did not pass its gates"
RESTORED_BY = "`helm upgrade` brings it back, if the values name the version; else ship it again, same key and image"


@dataclass(frozen=True)
class Gates:
    """What the gates said of a version that Restate does not know yet."""

    passed: bool = False
    failed: str = ""
    """Their findings; or why they could not tell, for some minutes. They are asked again by who ships it again, and
    where the values accept something else."""
    asked: bool = False
    """Whether they are being asked now."""


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
    refused: str = ""
    """Why Restate refused it minutes ago. It is asked again only then: what it refuses, it refuses again."""
    missing: str = ""
    """The object without which it cannot serve and that is gone: Deployment or Service."""
    taken_back: str = ""
    """Why the watch took it back. It is not tried again."""
    gates: Gates = Gates()
    """How its gates answered."""
    known_image: str = ""
    """The image that it ran when Restate came to know it, and runs from then on; empty if that is not noted."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The settings of its pods that cannot change once Restate knows it."""
    known_settings: Known | None = None
    """Those that it had when Restate came to know it; None if that is not noted."""
    floor: int | None = None
    """The fewest pods that its autoscaler may ask for. None without one: the number of its pods is then ours alone."""

    @property
    def is_short(self) -> bool:
        """Whether it takes all new work with a number of pods that is ours to correct."""
        return self.replicas != self.full_strength if self.floor is None else self.replicas < self.full_strength

    @property
    def settings_to_keep(self) -> Known:
        """Its fixed settings when Restate came to know it; those of now where that was not noted then."""
        return self.known_settings or Known(self.settings)

    @property
    def strayed(self) -> tuple[str, ...]:
        """What it runs that is not what Restate came to know."""
        changes = fixed_settings.changed(self.name, self.known_settings, self.settings) if self.known_settings else ()
        settings = (_told(change.name, change.before, change.wanted) for change in changes)
        same = self.known_image in ("", self.image)
        return (*(() if same else (_told("image", self.known_image, self.image),)), *settings)


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
    release: str = "betting"
    """What the names of its objects begin with; a version's key follows."""
    own_image: str = ""
    """The image that runs this: of its own code alone it knows the defaults."""


class Verdict(StrEnum):
    """The status of a version."""

    LIVE = "live"  # starts all new work of its services
    STARTING = "starting"  # wanted, and not live yet
    DRAINING = "draining"  # takes no new work of at least one service, and something still needs it
    STUCK = "stuck"  # the same, and paused work waits for a human
    DRAINED = "drained"  # nothing needs it any more
    RETIRED = "retired"  # drained, without pods, unknown to Restate
    MISSING = "missing"  # needed, and its Deployment or Service is gone
    CHANGED = "changed"  # runs another image than declared: versions are immutable
    UNKNOWN = "unknown"  # Restate did not answer completely


class Step(StrEnum):
    """The steps of a plan."""

    REFUSE = "refuse"
    RESTORE = "restore"  # by whoever may: the release loop makes nothing that serves
    PROTECT = "protect"
    UNPROTECT = "unprotect"
    REMEMBER = "remember"
    SCALE = "scale"
    FLOOR = "floor"  # of its autoscaler: it and we must want the same, or they take turns
    CHECK = "check"  # the gates have to let it pass
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
    standings = tuple(_standing(version, observed) for version in (*observed.versions, *_gone(observed)))
    actions = (action for standing in standings for action in _actions(standing, observed, drained_before))
    return Plan(observed.wanted, standings, tuple(actions), _orphans(standings, observed.restate))


def _gone(observed: Observed) -> Iterable[Version]:
    """The versions that Restate knows and that have no Deployment."""
    there = {version.uri for version in observed.versions}
    known = observed.restate.deployments if observed.restate else ()
    gone = {_key(known.uri, observed.release): known.uri for known in known if known.uri not in there}
    for name, uri in sorted(gone.items()):
        yield Version(name, uri, "", None, 0, 0, 0, protected=True, missing="Deployment")


def _key(uri: str, release: str) -> str:
    """The key of a version, from the address of its Service."""
    host = uri.partition("://")[2]
    return re.split("[.:/]", host)[0].removeprefix(f"{release}-")


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
    there = {s.deployment.id for s in standings if s.deployment and s.version.missing != "Deployment"}
    return sum(w.count for w in restate.work if w.deployment and w.deployment not in there) if restate else 0


def _needs(work: Work, deployment: Deployment, routes: frozenset[str]) -> bool:
    return work.service in routes if work.deployment is None else work.deployment == deployment.id


def _changed(version: Version) -> bool:
    return version.declared_image is not None and version.declared_image != version.image


def _unremembered(version: Version, own_image: str) -> bool:
    """Whether something is not noted yet of what it was when Restate came to know it."""
    known = version.known_settings
    return not version.known_image or known is None or (not known.defaults and version.known_image == own_image)


def _told(what: str, before: str, now: str) -> str:
    return f"{what} was {before or 'empty'} and is {now or 'empty'}"


def _verdict(
    version: Version, deployment: Deployment | None, routes: frozenset[str], work: Iterable[Work], wanted: bool
) -> Verdict:
    if _changed(version):
        return Verdict.CHANGED
    if version.missing and (wanted or routes or any(work)):
        return Verdict.MISSING
    if deployment and routes and routes >= deployment.services:
        return Verdict.LIVE
    if wanted:
        return Verdict.STARTING
    if any(w.status == "paused" for w in work):
        return Verdict.STUCK
    if routes or any(work):
        return Verdict.DRAINING
    return Verdict.DRAINED if deployment or version.replicas else Verdict.RETIRED


def _actions(standing: Standing, observed: Observed, drained_before: frozenset[str]) -> Iterable[Action]:
    version, verdict = standing.version, standing.verdict
    wanted = version.name == observed.wanted
    if verdict is Verdict.CHANGED:
        yield Action(Step.REFUSE, version.name, f"runs {version.image}; {version.declared_image} needs a new key")
    if verdict is Verdict.MISSING:
        yield Action(Step.RESTORE, version.name, f"its {version.missing} is gone; {RESTORED_BY}")
    if version.missing == "Deployment" and verdict is not Verdict.DRAINED:
        return
    if standing.deployment and _unremembered(version, observed.own_image) and version.missing != "Deployment":
        yield Action(Step.REMEMBER, version.name, f"Restate knows it: it stays {version.known_image or version.image}")
    needed = wanted or verdict not in (Verdict.DRAINED, Verdict.RETIRED)
    if needed and not version.protected:
        yield Action(Step.PROTECT, version.name, "a forgotten key must not take its work away")
    yield from _floor(standing, wanted)
    if wanted and verdict is not Verdict.CHANGED:
        yield from _serve(standing, is_first=not (observed.restate and observed.restate.routes))
    elif verdict in (Verdict.LIVE, Verdict.DRAINING, Verdict.STUCK, Verdict.MISSING) and version.replicas == 0:
        yield Action(Step.SCALE, version.name, "has work and no pods", replicas=1)
    elif verdict is Verdict.DRAINED and version.name in drained_before:
        yield from _take_down(standing)
    elif verdict is Verdict.RETIRED and version.declared_image is None:
        yield Action(Step.REMOVE, version.name, "retired, and no longer in values")
    elif verdict is Verdict.RETIRED and version.protected:
        yield Action(Step.UNPROTECT, version.name, "retired: its key may go")


def _floor(standing: Standing, wanted: bool) -> Iterable[Action]:
    """All pods for what takes new work or is to take it, and one for what only ends its own."""
    version, verdict = standing.version, standing.verdict
    ending = verdict in (Verdict.DRAINING, Verdict.STUCK, Verdict.DRAINED, Verdict.RETIRED) and not wanted
    floor = 1 if ending else version.full_strength
    if version.floor not in (None, floor):
        why = "only ends its own work" if ending else "takes new work"
        yield Action(Step.FLOOR, version.name, why, replicas=floor)


def _serve(standing: Standing, is_first: bool) -> Iterable[Action]:
    """Bring a version live. The first one of a release has nothing to be compared with, and passes no gates."""
    version, gates = standing.version, standing.version.gates
    # One that has served before, and was taken down since, comes back at once: a rollback waits for nobody.
    is_new = standing.deployment is None and not version.known_image and standing.verdict is Verdict.STARTING
    if version.taken_back and standing.verdict is Verdict.STARTING:
        yield Action(Step.REFUSE, version.name, f"{TAKEN_BACK}: {version.taken_back}")
    elif is_new and gates.failed:
        again = f"once that is mended, `betting release promote {version.name}` asks again"
        yield Action(Step.REFUSE, version.name, f"{NOT_PASSED}: {gates.failed}; {again}")
        if version.replicas:
            yield Action(Step.SCALE, version.name, "did not pass its gates", replicas=0)
    elif version.is_short:
        yield Action(Step.SCALE, version.name, "takes all new work", replicas=version.full_strength)
    elif standing.verdict is Verdict.STARTING and version.refused:
        yield Action(Step.REFUSE, version.name, f"is refused by Restate: {version.refused}")
    elif standing.verdict is not Verdict.STARTING or version.available < version.full_strength:
        return
    elif is_new and not is_first and not gates.passed:
        if not gates.asked:
            yield Action(Step.CHECK, version.name, "its pods are ready, and its gates have not let it pass yet")
    else:
        known = standing.deployment.id if standing.deployment else ""
        yield Action(Step.REGISTER, version.name, "its pods are ready", deployment=known)


def _take_down(standing: Standing) -> Iterable[Action]:
    version, deployment = standing.version, standing.deployment
    if version.replicas:
        yield Action(Step.SCALE, version.name, "drained, twice in a row", replicas=0)
    elif deployment:
        yield Action(Step.DEREGISTER, version.name, "drained and without pods", deployment=deployment.id)
