"""The watch over a version that has just gone live: takes it back if it is worse than the one before.

How a watch stands is noted on the release's anchor, so that a loop that starts anew goes on where the last one ended.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from app.release import history
from app.release.cluster import AnchorGoneError
from app.release.evidence import Collector
from app.release.history import Entry, Event
from app.release.notebook import KEPT_KEYS, Notebook, Noted, TakenBack
from app.release.plan import TAKEN_BACK, Plan
from app.release.restate_admin import UnknownError
from app.release.rounds import NotDoneError, Release, Tell, choose
from app.release.watching import Judgement, Outcome, Window, judge

BACK_SECONDS = 60.0
"""How long one try to go back may take. The loop tries again in its next round."""
NOT_PROVEN = (Outcome.WATCHING, Outcome.BAD)
"""How the watch of a version stands that may still go back to the one before."""


@dataclass(frozen=True)
class Watcher:
    """Watches the versions of one release."""

    release: Release
    notebook: Notebook
    collector: Collector
    seconds: float
    """The length of a window; 0 watches nothing, and still notes what goes live."""
    tell: Tell
    clock: Callable[[], float] = time.time

    def look(self, made: Plan) -> Noted:
        """Note what has gone live, and judge what is watched. While routing is not known, nothing is decided."""
        noted = self.notebook.noted()
        if self.release.silence or not made.live:
            if noted.outcome is Outcome.WATCHING:
                self.tell(f"the watch of {noted.live} waits: {self.release.silence or f'{made.wanted} is not live'}")
            return noted
        if noted.live != made.wanted:
            noted = self._went_live(made, noted)
        if made.wanted in self.release.cluster.intent().taken_back:
            self._go_back(made.wanted, self.notebook.taken_back()[made.wanted].to)
        elif noted.outcome is Outcome.WATCHING:
            noted = self._judged(made, noted)
        else:
            self._note_what_a_next_watch_needs(noted)
        return noted

    def kept(self) -> frozenset[str]:
        """The version to go back to: it keeps its pods, and so its numbers, until that is decided and done."""
        noted = self.notebook.noted()
        return frozenset({noted.before} if noted.outcome in NOT_PROVEN else ())

    def _went_live(self, made: Plan, old: Noted) -> Noted:
        version, first = made.wanted, made.wanted not in old.served
        if old.outcome is Outcome.WATCHING:
            self._remember(Entry(Event.WATCHED, old.live, "watch", f"{Outcome.ENDED}, {version}"))
        watched, revision = bool(self.seconds and old.live and first), self.notebook.revision()
        # One that is not found good yet, or is bad, proves nothing, and is no version to go back to.
        before = old.before if watched and old.outcome in NOT_PROVEN else old.live
        noted = Noted(
            live=version,
            since=self.clock(),
            before=before,
            outcome=Outcome.WATCHING if watched else Outcome.UNWATCHED,
            served=(*(key for key in old.served if key != version), version)[-KEPT_KEYS:],
            revision=revision,
            deployed=old.deployed,
            balanced=old.balanced,
        )
        self.notebook.note(noted)
        self._remember(Entry(Event.LIVE, version, self._cause(version, old, revision)))
        if watched:
            self.tell(f"{version} is watched for {self.seconds:.0f} s, against {before}")
        return noted

    def _cause(self, version: str, old: Noted, revision: str) -> str:
        taken, intent = self.notebook.taken_back().get(old.live), self.release.cluster.intent()
        if taken is not None and taken.to == version:
            return "the watch"
        if intent.wanted != intent.current or (old.live and revision == old.revision):
            return "an operator"
        return f"the values, revision {revision}" if revision else "the values"

    def _judged(self, made: Plan, noted: Noted) -> Noted:
        deployment = next(s.deployment.id for s in made.standings if s.version.name == noted.live and s.deployment)
        evidence = self.collector.collect(noted.live, deployment, noted.before, noted.since)
        window = Window(noted.since, self.seconds, noted.balanced)
        judgement = judge(window, evidence, self.clock())
        if judgement.outcome is Outcome.WATCHING:
            for reason in judgement.because:
                self.tell(f"the watch of {noted.live} does not see everything: {reason}")
            return noted
        if judgement.outcome is Outcome.BAD:
            return self._take_back(noted, judgement)
        ended = self._ended(noted, judgement)
        self._remember(Entry(Event.WATCHED, noted.live, "watch", str(judgement.outcome), judgement.because))
        return ended

    def _take_back(self, noted: Noted, judgement: Judgement) -> Noted:
        """Note it first: whatever ends us on the way, the next look goes on."""
        version, because = noted.live, "; ".join(judgement.because)
        self.tell(f"{version} is taken back: {because}")
        self.notebook.note_taken_back(version, TakenBack(self.clock(), because, noted.before))
        ended = self._ended(noted, judgement)
        self._remember(Entry(Event.TAKEN_BACK, version, "watch", f"back to {noted.before}", judgement.because))
        try:
            self.notebook.tell(version, f"{version} is taken back to {noted.before}: {because}")
        except (ApiException, HTTPError) as error:
            self.tell(f"no Event tells that {version} is taken back: {error}")
        if noted.deployed:
            self.notebook.note_deployed(noted.deployed)
        self._go_back(version, noted.before)
        return ended

    def _go_back(self, version: str, to: str) -> None:
        try:
            choose(self.release, to, BACK_SECONDS, self.tell)
        except (NotDoneError, UnknownError) as error:
            self.tell(f"{version} was taken back and still takes new work: {error}")
        else:
            self.tell(f"{to} takes all new work again; what began on {version} ends there")

    def _ended(self, noted: Noted, judgement: Judgement) -> Noted:
        ended = replace(noted, outcome=judgement.outcome, because=judgement.because)
        self.notebook.note(ended)
        self.tell(f"the watch of {noted.live} ends: {judgement.outcome}")
        return ended

    def _note_what_a_next_watch_needs(self, noted: Noted) -> None:
        """Remember whether the books balance, and Helm's revision; the note is written only if that changes."""
        balanced = noted.balanced
        try:
            books = self.collector.books()
        except UnknownError:
            books = None
        if books is not None:
            balanced = books.balanced
        seen = replace(noted, balanced=balanced, deployed=self.notebook.deployed())
        if seen != noted:
            self.notebook.note(seen)

    def _remember(self, entry: Entry) -> None:
        try:
            history.append(self.notebook, entry)
        except (AnchorGoneError, ApiException, HTTPError) as error:
            self.tell(f"the history lacks that {entry.version} is {entry.event}: {error}")


def refuse_what_was_taken_back(release: Release) -> None:
    """Refuse to call it done when the values name a version that the watch took back."""
    intent = release.cluster.intent()
    if because := intent.taken_back.get(intent.current):
        raise NotDoneError(f"{intent.current} {TAKEN_BACK}: {because}. {intent.wanted} takes all new work")
