"""The replay gate: whether the candidate would go on with the work that is in flight.

A bounded sample of live journals, all paused ones and the oldest of each handler, is replayed against the candidate's
rehearsal. It ends at the first message that the journal does not have. Nothing of it reaches Restate, so the work stays
as it is; nothing reaches the world, because a rehearsal has no way there.
"""

import re
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from app.release.gates import protocol
from app.release.gates.bounds import ReplayBounds
from app.release.gates.findings import (
    BEYOND_BYTES,
    BEYOND_SAMPLE,
    NO_REHEARSAL,
    NO_TIME,
    Checked,
    Finding,
    Gate,
    Outcome,
    sifted,
)
from app.release.gates.protocol import Entry, Failure, Kind, UnknownEntryError
from app.release.restate_admin import Queries, Row, quoted

REPLAY_SECONDS = 10.0
SEEDS = (1, 2)
"""Of the code's random numbers; the real one is not known. What differs by them alone says nothing of the code."""
REHEARSAL = "a rehearsal does not"
"""By this begins what the candidate's adapters say when they refuse. Within a step, the journal is behind it."""

UNKNOWN_KIND = "a journal with an entry of an unknown kind"
BY_CHANCE = "steps named by chance (a random id)"
OUTSIDE_STEP = "what asks the provider outside of a step, such as a webhook"
NO_ANSWER = "no answer in time"
ENDED = "ended while the gate looked"
HARMLESS = frozenset((BY_CHANCE, OUTSIDE_STEP, ENDED))
"""What can never be replayed, or need not be: that only such work is in flight stops no release."""
TOLD = HARMLESS | {BEYOND_BYTES}
"""For these a handler may have no journal that was answered, if others have: the answer counts what was left out."""

DIFFERENCE = "- Difference:\n"
"""Before the lines in which the SDK says, of a step of the same kind, `field: as in the journal != as it is now`."""
OTHERWISE = " != "
_WORD = re.compile(r"([0-9A-Za-z]+)")

_LIVE = """
select id, service, key, handler, version, status, total from (
  select i.id as id, i.target_service_name as service, i.target_service_key as key, i.target_handler_name as handler,
    i.status as status, i.pinned_service_protocol_version as version,
    row_number() over (partition by i.target_service_name, i.target_handler_name order by i.created_at) as place,
    count(*) over () as total
  from sys_invocation i
  where i.pinned_deployment_id is not null and i.status not in ('completed', 'pending', 'scheduled'){only}
) where place <= {per_handler} or status = 'paused' order by status = 'paused' desc, place limit {most}"""

_JOURNAL = "select entry_type, encode(raw, 'hex') as raw from sys_journal where id = '{id}' order by index"
_STATE = """
select key, encode(value, 'hex') as value from state
where service_name = {service} and service_key = {key}"""


@dataclass(frozen=True)
class Work:
    """One invocation that is in flight."""

    id: str
    service: str
    key: str
    handler: str
    version: int
    """Of the service protocol, by which it is pinned."""
    paused: bool = False

    @property
    def where(self) -> str:
        """Its handler, by which findings are named."""
        return f"{self.service}/{self.handler}"


@dataclass(frozen=True)
class Replayed:
    """How one replay ended: it goes on (neither is set), it would not, or nothing can be said."""

    problem: str = ""
    skipped: str = ""
    mismatch: str = field(default="", compare=False, repr=False)
    """Of a problem that is another step: all that the SDK says of it."""

    @property
    def goes_on(self) -> bool:
        """Whether the candidate would go on with it."""
        return not self.problem and not self.skipped


def check(restate: Queries, rehearsal: str | None, bounds: ReplayBounds, accepts: Collection[str] = ()) -> Checked:
    """Replay a sample of what is in flight. `rehearsal` is the candidate's URL; None if it has no rehearsal."""
    if rehearsal is None:
        return Checked(Gate.REPLAY, Outcome.NOT_CHECKED, because=NO_REHEARSAL)
    total, sample = live(restate, bounds)
    answers = dict(replay(restate, rehearsal, sample, bounds))
    return decide(answers, total - len(sample), accepts)


def live(restate: Queries, bounds: ReplayBounds, only: Collection[str] = ()) -> tuple[int, Sequence[Work]]:
    """How many invocations are in flight, and the sample of them; `only` names the ones to look at."""
    ids = ", ".join(f"'{id}'" for id in only)
    where = f" and i.id in ({ids})" if only else ""
    # Of those that are named, all: there are at most as many of a handler.
    place = len(only) if only else bounds.per_handler
    rows = restate.query(_LIVE.format(per_handler=place, most=bounds.most, only=where))
    return (rows[0]["total"] if rows else 0), [_work(row) for row in rows]


def _work(row: Row) -> Work:
    key, version = row.get("key") or "", row.get("version") or 0
    return Work(row["id"], row["service"], key, row["handler"], version, row["status"] == "paused")


def replay(restate: Queries, url: str, sample: Sequence[Work], bounds: ReplayBounds) -> Iterator[tuple[Work, Replayed]]:
    """Replay each of them against a rehearsal; one of each handler first, so that none is left out for want of time."""
    end = time.monotonic() + bounds.seconds
    first = {work.where: work for work in reversed(sample)}
    with httpx.Client(base_url=url, timeout=REPLAY_SECONDS, trust_env=False) as http:
        for work in sorted(sample, key=lambda work: first[work.where] is not work):
            if time.monotonic() > end:
                yield work, Replayed(skipped=NO_TIME)
            else:
                yield work, _replayed(restate, http, work, bounds)


def _replayed(restate: Queries, http: httpx.Client, work: Work, bounds: ReplayBounds) -> Replayed:
    journal = [
        Entry(row["entry_type"], bytes.fromhex(row.get("raw") or ""))
        for row in restate.query(_JOURNAL.format(id=work.id))
    ]
    if not journal:
        return Replayed(skipped=ENDED)
    state = {}
    if work.key:
        for row in restate.query(_STATE.format(service=quoted(work.service), key=quoted(work.key))):
            state[row["key"].encode()] = bytes.fromhex(row.get("value") or "")
    if sum(len(entry.raw) for entry in journal) + sum(map(len, state.values())) > bounds.max_bytes:
        return Replayed(skipped=BEYOND_BYTES)
    try:
        ends = list[Replayed]()
        for seed in SEEDS:
            ends.append(_attempt(http, work, protocol.request(work.id, work.key, state, journal, seed)))
            if not ends[-1].problem:
                break
    except UnknownEntryError:
        return Replayed(skipped=UNKNOWN_KIND)
    except httpx.TimeoutException:
        return Replayed(skipped=NO_ANSWER)
    return together(ends)


def _attempt(http: httpx.Client, work: Work, body: bytes) -> Replayed:
    """Ask for one attempt, and stop at the first message that the journal does not have."""
    headers = {"content-type": protocol.CONTENT_TYPE.format(version=work.version)}
    received = b""
    with http.stream("POST", f"/invoke/{work.where}", content=body, headers=headers) as answer:
        if answer.status_code == httpx.codes.NOT_FOUND:
            return Replayed("the candidate has no such handler")
        if not answer.is_success:
            return Replayed(f"the candidate does not take it ({answer.status_code})")
        for chunk in answer.iter_bytes():
            received += chunk
            for kind, content in protocol.messages(received):
                return ended(kind, content)
    return Replayed(skipped=NO_ANSWER)


def ended(kind: int, content: bytes) -> Replayed:
    """Read how an attempt ended from the first message that came."""
    if kind != Kind.ERROR:
        return Replayed()
    failure = protocol.failure(content)
    if failure.code == protocol.JOURNAL_MISMATCH:
        return Replayed(f"takes other steps: {_expected(failure)}", mismatch=failure.message)
    if REHEARSAL in failure.message:
        return Replayed() if failure.in_step else Replayed(skipped=OUTSIDE_STEP)
    return Replayed(f"fails: {_first_line(failure.message)}")


def together(ends: Sequence[Replayed]) -> Replayed:
    """How a journal ended that was tried with one seed after the other, until one of them was no problem.

    It is by chance if another seed goes on, or takes the step that the journal has, but for what is random in it. An
    error is a problem with whatever seed: its text may well differ, by an address or a time.
    """
    first, last = ends[0], ends[-1]
    by_chance = first.problem and (last.goes_on or _by_chance(first.mismatch, last.mismatch))
    return Replayed(skipped=BY_CHANCE) if by_chance else first


def _by_chance(one: str, other: str) -> bool:
    step, _, ones = one.partition(DIFFERENCE)
    other_step, _, others = other.partition(DIFFERENCE)
    lines, other_lines = ones.split("\n"), others.split("\n")
    same = step == other_step and len(lines) == len(other_lines)
    return same and all(map(_random_alone, lines, other_lines))


def _random_alone(line: str, other_line: str) -> bool:
    """Whether the journal has what this field has, but for the words in which one seed differs from the other."""
    name, _, told = line.partition(": ")
    parts = told.split(OTHERWISE)
    for at in range(1, len(parts)):  # a text of a player may have that mark too
        was, now = OTHERWISE.join(parts[:at]), OTHERWISE.join(parts[at:])
        begins = f"{name}: {was}{OTHERWISE}"
        if other_line.startswith(begins):
            words = [_WORD.split(text) for text in (was, now, other_line.removeprefix(begins))]
            if len(set(map(len, words))) == 1 and all(a == b for a, b, c in zip(*words, strict=True) if b == c):
                return True
    return False


def _expected(failure: Failure) -> str:
    lines = [line.strip() for line in failure.message.splitlines() if line.strip()]
    told = " ".join(lines[:6])[:400]
    return f"{failure.command}: {told}" if failure.command and failure.command not in told else told


def _first_line(message: str) -> str:
    return next((line.strip() for line in message.splitlines() if line.strip()), "")[:300]


def decide(answers: Mapping[Work, Replayed], beyond: int, accepts: Collection[str] = ()) -> Checked:
    """Decide by how the replays ended. Of a handler's problem the first journal is named.

    What goes on of one handler says nothing of another one, and nothing of paused work, which a rescue is to move.
    """
    found: dict[str, Finding] = {}
    for work, answer in answers.items():
        if answer.problem:
            found.setdefault(
                work.where, Finding(work.where, "does not go on with work in flight", work.id, answer.problem)
            )
    findings, accepted = sifted(found.values(), accepts)
    skipped = Counter(answer.skipped for answer in answers.values() if answer.skipped)
    skipped.update({BEYOND_SAMPLE: beyond} if beyond > 0 else {})
    looked_at = sum(1 for answer in answers.values() if not answer.skipped)
    because = _unanswered(answers)
    if not looked_at and any(reason not in HARMLESS for reason in skipped if reason != BEYOND_SAMPLE):
        because = "not one journal could be replayed"
    return Checked(
        Gate.REPLAY,
        Outcome.FAILED if findings else Outcome.NOT_CHECKED if because else Outcome.PASSED,
        findings,
        accepted,
        looked_at,
        skipped,
        because,
    )


def _unanswered(answers: Mapping[Work, Replayed]) -> str:
    """Of which handlers no journal was answered, and which paused work was not."""
    silent = {work: answer.skipped for work, answer in answers.items() if answer.skipped and answer.skipped not in TOLD}
    answered = {work.where for work, answer in answers.items() if not answer.skipped}
    handlers = sorted({work.where for work in silent} - answered)
    paused = [work.id for work, why in silent.items() if work.paused and work.where in answered and why != NO_TIME]
    told = [f"no journal could be replayed of {', '.join(handlers)}"] if handlers else []
    told += [f"paused work could not be replayed, such as {paused[0]}"] if paused else []
    return "; ".join(told)
