"""Asks the gates about a candidate: which of them, with what they need, and again while one cannot tell yet."""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import httpx
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from app.release.gates import books, contract, replay, state
from app.release.gates.bounds import Bounds
from app.release.gates.findings import Checked, Finding, Gate, Outcome
from app.release.restate_admin import RefusedError, RestateAdmin, UnknownError

PATIENCE_SECONDS = 30.0
"""How long a gate that cannot tell is asked again: the bookkeeper may just be starting anew."""
PAUSE_SECONDS = 2.0
NOT_KNOWN = (AttributeError, KeyError, TypeError, ValueError)
"""What a gate meets in an answer of a kind that it does not know."""


@dataclass(frozen=True)
class Asked:
    """What the gates ask about one candidate."""

    restate: RestateAdmin
    books: Callable[[], str]
    """The bookkeeper's numbers; raises UnknownError."""
    rehearsing: Callable[[], AbstractContextManager[str | None]]
    """The URL of the candidate's rehearsal while it runs; None where it has none. Raises UnknownError."""
    uri: str
    """Where the candidate serves, to read its manifest where it has no rehearsal."""
    accepts: Collection[str] = ()
    """Findings that the values accept, by name."""
    on: Collection[Gate] = tuple(Gate)
    """The gates that the values leave on."""
    bounds: Bounds = field(default_factory=Bounds)
    patience_seconds: float = PATIENCE_SECONDS


@dataclass(frozen=True)
class _Rehearsal:
    """What a gate is given."""

    asked: Asked
    url: str | None


def _books(given: _Rehearsal) -> Checked:
    return books.check(given.asked.books, time.time())


def _contract(given: _Rehearsal) -> Checked:
    restate, accepts = given.asked.restate, given.asked.accepts
    try:
        serving, has_work = restate.contracts()
        fed = restate.fed()
        candidate = contract.read(restate.manifest(given.url or given.asked.uri))
        return contract.decide(map(contract.read, serving), candidate, has_work, accepts, fed)
    except RefusedError as error:
        # It would not be registered either: for a service that changed its type, Restate refuses even the dry run.
        finding = Finding("manifest", f"refused by Restate: {error}")
        return Checked(Gate.CONTRACT, Outcome.FAILED, (finding,))


def _state(given: _Rehearsal) -> Checked:
    return state.check(given.asked.restate, given.url, given.asked.bounds.state, given.asked.accepts)


def _replay(given: _Rehearsal) -> Checked:
    return replay.check(given.asked.restate, given.url, given.asked.bounds.replay, given.asked.accepts)


GATES: Mapping[Gate, Callable[[_Rehearsal], Checked]] = {
    Gate.BOOKS: _books,
    Gate.CONTRACT: _contract,
    Gate.STATE: _state,
    Gate.REPLAY: _replay,
}


def run(asked: Asked, chosen: Collection[Gate] = ()) -> tuple[Checked, ...]:
    """Ask these gates, or all. One that the values switch off says so; all that is no answer is NOT_CHECKED."""
    end = time.monotonic() + asked.patience_seconds
    wanted = [gate for gate in GATES if not chosen or gate in chosen]
    off = [gate for gate in wanted if gate not in asked.on]
    answers = {gate: Checked(gate, Outcome.OFF, because="the values switch it off") for gate in off}
    left = [gate for gate in wanted if gate not in off]
    while left:
        _ask(asked, left, answers)
        left = [gate for gate in left if answers[gate].outcome is Outcome.NOT_CHECKED]
        if not left or time.monotonic() > end:
            break
        time.sleep(PAUSE_SECONDS)
    return tuple(answers[gate] for gate in wanted)


def _ask(asked: Asked, gates: Collection[Gate], answers: dict[Gate, Checked]) -> None:
    try:
        with asked.rehearsing() as url:
            for gate in gates:
                answers[gate] = _safely(gate, _Rehearsal(asked, url))
    except (UnknownError, ApiException, HTTPError) as error:
        for gate in gates:
            answers.setdefault(gate, Checked(gate, Outcome.NOT_CHECKED, because=_said(error)))


def _safely(gate: Gate, given: _Rehearsal) -> Checked:
    try:
        return GATES[gate](given)
    except (UnknownError, httpx.HTTPError, ApiException, HTTPError, *NOT_KNOWN) as error:
        return Checked(gate, Outcome.NOT_CHECKED, because=_said(error))


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).split("\n", 1)[0]
