"""Whether a version that has just gone live is worse than the one before: pure, from what both did to a judgement.

docs/decisions/0007-watch-window.md says why the test is this one, and its numbers these.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

ALPHA = 1e-5
"""The chance that one comparison finds a version bad that is as good as the one before. A window has some hundreds."""
ENOUGH_FAILED = 5
"""Fewer failures prove nothing, whatever the test says."""
PRESUMED = (1, 100)
"""One in a hundred is added to what the version before did: it may have done too little to be known as faultless."""
SLOWER = 3.0
"""How many times the time of the version before is slow."""
NOTICED_SECONDS = 0.1
"""What takes no longer is not slow."""
QUANTILES = {0.5: 20, 0.99: 100}
"""Which shares of the time are compared, and how many attempts of the version before it takes to know its own."""
CRASHES = 3
"""Restarts of a pod since its version went live that are no accident, though Kubernetes starts it again each time."""
WINDOWS_TO_WAIT = 5
"""After so many windows without a complete answer, a watch ends without a judgement."""
MISMATCHES = ("RT0016", "RT0011")
"""Restate's codes for code that takes other steps than its journal, and for a deployment that is not there."""


@dataclass(frozen=True)
class Handled:
    """What one version has done at one handler since its pods began."""

    attempts: int = 0
    failed: int = 0
    """Attempts that ended in an error; a refusal with a reason is an answer, and none of them."""
    within: Mapping[float, int] = field(default_factory=dict)
    """How many finished within so many seconds; the last bound is infinite."""

    def __add__(self, other: "Handled") -> "Handled":
        within = {b: self.within.get(b, 0) + other.within.get(b, 0) for b in sorted({*self.within, *other.within})}
        return Handled(self.attempts + other.attempts, self.failed + other.failed, within)

    @property
    def finished(self) -> int:
        """How many attempts have a duration."""
        return self.within.get(math.inf, 0)

    def slower_than(self, seconds: float) -> int:
        """How many took longer than one of the bounds."""
        return self.finished - self.within.get(seconds, self.finished)

    def quantile(self, share: float) -> float:
        """The lowest bound within which that share finished."""
        return next((bound for bound, count in sorted(self.within.items()) if count >= share * self.finished), math.inf)


@dataclass(frozen=True)
class Troubled:
    """Unfinished invocations of a version at one handler that failed or are paused, in one status."""

    handler: str
    status: str
    count: int
    attempts: int
    code: str = ""
    """Restate's code of the last failure."""
    own: bool = True
    """Whether the version was known when they were made; otherwise somebody may have resumed them on it."""


@dataclass(frozen=True)
class Books:
    """What the bookkeeper saw last."""

    balanced: bool
    seen_at: float
    differences: Mapping[str, int] = field(default_factory=dict)
    """References on which the books and the provider differ, by kind; only kinds of which there are any."""
    unreadable: int = 0
    """Documents of players that cannot be read."""
    compares: bool = False
    """Whether the bookkeeper has a provider to compare the books with, as far as it tells."""
    compared_at: float | None = None
    """When it last did; None before the first time."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a version and the one before; None: not known now, `silence` says why."""

    candidate: Mapping[str, Handled] | None
    before: Mapping[str, Handled] | None
    troubled: tuple[Troubled, ...] | None
    crashing: tuple[str, ...] | None
    """Pods of the candidate that crash again and again, each with its reason."""
    books: Books | None = None
    silence: tuple[str, ...] = ()
    earlier: tuple[Mapping[str, Handled], ...] = ()
    """What the candidate had done by earlier looks, the first one first; the loop that looks may have just started."""


class Outcome(StrEnum):
    """How a watch stands or ended."""

    WATCHING = "watching"
    GOOD = "good"
    BAD = "taken back"
    UNKNOWN = "not judged"  # nobody answered completely for too long
    ENDED = "ended by another choice"
    UNWATCHED = "not watched"  # the first version, one that served before, or the window is off


@dataclass(frozen=True)
class Window:
    """One watch: since when, for how long, and whether the books balanced before it."""

    since: float
    seconds: float
    balanced_before: bool | None = None


@dataclass(frozen=True)
class Judgement:
    """The outcome so far, and what it rests on: one sentence each."""

    outcome: Outcome
    because: tuple[str, ...] = ()


def judge(window: Window, evidence: Evidence, now: float) -> Judgement:
    """Judge a version. One proof is enough to find it bad; to find it good, everything has to be known."""
    if found := tuple(_found(window, evidence)):
        return Judgement(Outcome.BAD, found)
    silence, end = evidence.silence, window.since + window.seconds
    if now >= end and evidence.books is not None and evidence.books.seen_at < end:
        # A look may miss what is entered after it has begun, so an older one says nothing of the window's last bets.
        silence = (*silence, "the bookkeeper has not looked since the window ended")
    if now >= end and not silence:
        seen = sum(handled.attempts for handled in (evidence.candidate or {}).values())
        return Judgement(Outcome.GOOD, (f"{seen} attempts, and nothing worse than before",))
    if now >= window.since + WINDOWS_TO_WAIT * window.seconds:
        return Judgement(Outcome.UNKNOWN, silence)
    return Judgement(Outcome.WATCHING, silence)


def _found(window: Window, evidence: Evidence) -> Iterator[str]:
    yield from evidence.crashing or ()
    yield from _of_work(evidence.troubled or ())
    if evidence.candidate is not None and evidence.before is not None and evidence.troubled is not None:
        repeats = _repeats(evidence.troubled)
        for handler, now in sorted(evidence.candidate.items()):
            before = evidence.before.get(handler, Handled())
            yield from _failing(handler, now, before, repeats.get(handler, 0))
            looks = [look.get(handler, Handled()) for look in (*evidence.earlier, evidence.candidate)]
            yield from _slow(handler, looks, before)
    books = evidence.books
    if books and not books.balanced and books.seen_at > window.since and window.balanced_before:
        yield "the books balanced before it went live, and do not now"


def _of_work(troubled: Iterable[Troubled]) -> Iterator[str]:
    for work in troubled:
        if not work.own:
            continue
        if work.status == "paused":
            yield f"{work.handler}: {work.count} of its invocations used up their retries and are paused"
        elif work.code in MISMATCHES:
            yield f"{work.handler}: {work.count} of its invocations failed with {work.code}"


def _repeats(troubled: Iterable[Troubled]) -> Mapping[str, int]:
    """How many failures at each handler are further ones of an invocation that still tries: it counts once."""
    repeats: dict[str, int] = {}
    for work in troubled:
        repeats[work.handler] = repeats.get(work.handler, 0) + max(0, work.attempts - work.count)
    return repeats


def _failing(handler: str, now: Handled, before: Handled, repeats: int) -> Iterator[str]:
    failed, attempts = max(0, now.failed - repeats), max(0, now.attempts - repeats)
    if failed < ENOUGH_FAILED:
        return
    chance = _worse(failed, attempts, before.failed, before.attempts)
    if chance < ALPHA:
        yield (
            f"{handler}: {failed} of {attempts} attempts failed, {before.failed} of {before.attempts} "
            f"in the version before (p = {chance:.0e})"
        )


def _slow(handler: str, looks: Sequence[Handled], before: Handled) -> Iterator[str]:
    for share, needed in QUANTILES.items():
        usual = before.quantile(share)
        limit = next((b for b in sorted(looks[-1].within) if b >= max(SLOWER * usual, NOTICED_SECONDS)), math.inf)
        slow, finished = _without_the_slowest(looks, limit)
        if before.finished < needed or slow < ENOUGH_FAILED or slow <= (1 - share) * finished:
            continue
        chance = _worse(slow, finished, before.slower_than(limit), before.finished)
        if chance < ALPHA:
            yield (
                f"{handler}: {slow} of {finished} took longer than {limit:g} s, the slowest seconds aside; in the "
                f"version before, {share:.0%} took at most {usual:g} s (p = {chance:.0e})"
            )
            return


def _without_the_slowest(looks: Sequence[Handled], limit: float) -> tuple[int, int]:
    """How many took longer, and how many there were, but for those between the two looks with the most slow ones.

    What is in flight while a machine stands still is slow all at once, and the test takes each for itself.
    """
    counts = [(look.slower_than(limit), look.finished) for look in looks]
    between = [(s - slow, f - finished) for (slow, finished), (s, f) in pairwise([(0, 0), *counts])]
    (slow, finished), (most_slow, theirs) = counts[-1], max(between)
    # A pod that has gone takes its numbers with it, so that fewer may be left than were slow.
    return slow - most_slow, max(finished - theirs, slow - most_slow)


def _worse(bad: int, total: int, bad_before: int, total_before: int) -> float:
    return fisher(bad, total, bad_before + PRESUMED[0], total_before + PRESUMED[1])


def fisher(bad: int, total: int, bad_before: int, total_before: int) -> float:
    """The chance of so many bad ones among these, or more, if both were alike: Fisher's exact test, one-sided."""
    everything, all_bad = total + total_before, bad + bad_before
    if bad * everything <= all_bad * total:
        return 1.0  # no more than its share, for which there is nothing to prove
    chance = 0.0
    for count in range(bad, min(total, all_bad) + 1):
        term = math.exp(
            _log_choose(total, count) + _log_choose(total_before, all_bad - count) - _log_choose(everything, all_bad)
        )
        chance += term
        if term <= chance * 1e-12:
            break  # they only become smaller
    return min(1.0, chance)


def _log_choose(of: int, chosen: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)
