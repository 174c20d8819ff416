"""Observe, plan, carry out: once for a command, for ever in the release loop."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from app.release import fixed_settings
from app.release.cluster import Cluster
from app.release.fixed_settings import Known
from app.release.gatekeeper import pass_gates
from app.release.plan import Action, Observed, Plan, Restate, Standing, Step, Verdict, Version, plan
from app.release.restate_admin import RefusedError, RestateAdmin, UnknownError
from app.release.stage import Stage

PAUSE_SECONDS = 5
"""Between two observations; drained in both means drained."""
POLL_SECONDS = 1
"""Between two looks at pods that start."""

NEVER = ("InvalidImageName", "ErrImageNeverPull")
"""What Kubernetes says of an image that it will never start."""
NO_IMAGE = ("ErrImagePull", "ImagePullBackOff")
NO_IMAGE_SECONDS = 20.0
"""How long an image may be out of reach: a registry has moments, and a wrong name has not."""

Tell = Callable[[str], None]


class NotDoneError(Exception):
    """A command did not achieve its goal. The message says why."""


class Release:
    """One release of the chart, on Kubernetes and in Restate."""

    def __init__(self, cluster: Cluster, restate: RestateAdmin, own_image: str = "") -> None:
        self.cluster = cluster
        self.restate = restate
        self.own_image = own_image
        """The image that runs this; empty if it is not known."""
        self.silence = ""
        """Why Restate's last answer was none."""

    def plan(self, wanted: str | None = None, drained_before: frozenset[str] = frozenset()) -> Plan:
        """Observe everything, and plan for the wanted version or for a proposed one."""
        intent = self.cluster.intent()
        versions = tuple(
            replace(version, taken_back=intent.taken_back.get(version.name, ""))
            for version in self.cluster.versions(intent.images, intent.terms)
        )
        observed = Observed(versions, wanted or intent.wanted, self._restate(), self.cluster.name, self.own_image)
        return plan(observed, drained_before)

    def _restate(self) -> Restate | None:
        try:
            answer = self.restate.observe()
        except UnknownError as error:
            self.silence = str(error)
            return None
        self.silence = ""
        return answer

    def _register(self, action: Action, uri: str) -> None:
        try:
            self.restate.register(uri, again=bool(action.deployment))
        except RefusedError as error:
            self.cluster.note_refusal(action.version, str(error))
            raise

    def _remember(self, version: Version) -> None:
        """Note what a version is when Restate has come to know it; what is noted already stays."""
        image, known = version.known_image or version.image, version.known_settings
        given = version.settings if known is None else known.given
        defaults = fixed_settings.DEFAULTS if image == self.own_image else {}
        self.cluster.remember(
            version.name, image, Known(given, known.defaults if known and known.defaults else defaults)
        )

    def forget_answers(self) -> None:
        """Who ships a version now wants Restate and the gates asked again; unless the gates are being asked already."""
        made = self.plan()
        self.cluster.note_refusal(made.wanted, "")
        standing = _find(made.wanted, made)
        if standing is not None and not standing.version.gates.asked:
            Stage(self.cluster).note(made.wanted, None)

    def carry_out(self, actions: Iterable[Action], plan: Plan, tell: Tell) -> None:
        """Carry out the planned steps in order."""
        versions = {standing.version.name: standing.version for standing in plan.standings}
        for action in actions:
            match action.do:
                case Step.PROTECT:
                    self.cluster.protect(action.version)
                case Step.UNPROTECT:
                    self.cluster.unprotect(action.version)
                case Step.REMEMBER:
                    self._remember(versions[action.version])
                case Step.SCALE:
                    self.cluster.scale(action.version, action.replicas)
                case Step.FLOOR:
                    self.cluster.set_floor(action.version, action.replicas)
                case Step.CHECK:
                    pass_gates(self.cluster, self.restate, versions[action.version], tell)
                case Step.REGISTER:
                    self._register(action, versions[action.version].uri)
                case Step.DEREGISTER:
                    self.restate.deregister(action.deployment)
                case Step.REMOVE:
                    self.cluster.remove(action.version)
                case Step.REFUSE | Step.RESTORE:
                    pass


def bring_live(release: Release, deadline_seconds: float, tell: Tell) -> Plan:
    """Give the wanted version its pods, register it, and see that all new work goes there; or say why not."""
    deadline = time.monotonic() + deadline_seconds
    problem, no_image_since = "", math.inf
    release.forget_answers()
    while True:
        made = release.plan()
        refusals = [refusal for refusal in made.refusals if refusal.version == made.wanted]
        if refusals:
            raise NotDoneError(f"{made.wanted} {refusals[0].because}")
        steps = [action for action in made.actions if action.version == made.wanted]
        if made.live and not steps:
            release.cluster.forget_choice_before(made.wanted)
            return made
        for step in steps:
            tell(f"{step.do} {step.version}: {step.because}")
        try:
            release.carry_out(steps, made, tell)
            problem = _problem(made, release.silence)
        except RefusedError as error:
            raise NotDoneError(f"Restate refuses {made.wanted}: {error}") from error
        except UnknownError as error:
            problem = str(error)
        no_image_since = min(no_image_since, time.monotonic()) if problem.startswith(NO_IMAGE) else math.inf
        if problem.startswith(NEVER) or time.monotonic() >= no_image_since + NO_IMAGE_SECONDS:
            raise NotDoneError(f"{made.wanted} does not start: {problem}")
        if time.monotonic() > deadline:
            raise NotDoneError(f"{made.wanted} is not live after {deadline_seconds:.0f} s: {problem}")
        time.sleep(POLL_SECONDS)


def _problem(made: Plan, silence: str) -> str:
    standing = _find(made.wanted, made)
    if standing is None:
        return "it has no Deployment"
    wanted = standing.version
    if wanted.missing:
        return f"its {wanted.missing} is gone"
    if wanted.gates.asked:
        return "its gates are being asked"
    return wanted.trouble or silence or f"{wanted.available} of {wanted.full_strength} pods are ready"


def choose(release: Release, version: str, deadline_seconds: float, tell: Tell) -> Plan:
    """Send new work to this version, and remember that; what Restate refuses is not remembered."""
    before = release.cluster.intent()
    release.cluster.decide(before.choosing(version))
    try:
        return bring_live(release, deadline_seconds, tell)
    except NotDoneError:
        release.cluster.decide(before)
        raise


def previous(made: Plan) -> str:
    """The version to roll back to: the one other version that Restate knows."""
    others = [s.version.name for s in made.standings if s.deployment and s.version.name != made.wanted]
    if len(others) != 1:
        raise NotDoneError(f"say which version: Restate knows {', '.join(others) or 'no other'}")
    return others[0]


def take_down(release: Release, version: str, tell: Tell) -> None:
    """Scale a drained version to zero and make Restate forget it; refuse while anything needs it."""
    drained: frozenset[str] = frozenset()
    while True:
        made = release.plan(drained_before=drained)
        standing = _find(version, made)
        if standing is None or standing.verdict is Verdict.RETIRED:
            return
        if standing.verdict is not Verdict.DRAINED:
            raise NotDoneError(f"{version} is {standing.verdict}: `why {version}` tells what holds it")
        steps = [action for action in made.actions if action.version == version]
        for step in steps:
            tell(f"{step.do} {step.version}: {step.because}")
        release.carry_out(steps, made, tell)
        drained = made.drained
        time.sleep(PAUSE_SECONDS)


def one_round(release: Release, drained_before: frozenset[str], tell: Tell) -> Plan:
    """Do what the release loop does again and again; whatever fails is planned again in the next round."""
    made = release.plan(drained_before=drained_before)
    if made.live:
        release.cluster.forget_choice_before(made.wanted)
    release.cluster.adopt()
    Stage(release.cluster).clear()
    for action in made.actions:
        tell(f"{action.do} {action.version}: {action.because}")
        try:
            release.carry_out((action,), made, tell)
        except (RefusedError, UnknownError) as error:
            tell(f"{action.do} {action.version} failed: {error}")
    return made


def standing_of(version: str, made: Plan) -> Standing:
    """Where one version stands; a name that no one knows is a mistake."""
    found = _find(version, made)
    if found is None:
        known = ", ".join(standing.version.name for standing in made.standings)
        raise NotDoneError(f"there is no version {version}; there are {known or 'none'}")
    return found


def _find(version: str, made: Plan) -> Standing | None:
    return next((standing for standing in made.standings if standing.version.name == version), None)


def as_if(made: Plan, wanted: str) -> Plan:
    """Return a plan with only the steps of one version, for display."""
    return replace(made, actions=tuple(action for action in made.actions if action.version == wanted))
