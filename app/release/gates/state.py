"""The state gate: whether the candidate reads what is stored, and writes all of it back.

A bounded sample of live documents is posted to the candidate's rehearsal, at `POST /documents`. Nothing is written
anywhere. The gate fails if a document cannot be read, if a field of it would be lost or changed, or if the candidate
does not know it; values may accept each by name. It is not checked where not one document of a kind was looked at.
"""

import base64
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex

import httpx

from app.release.gates.bounds import StateBounds
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
from app.release.gates.sampling import Kind, Place, Row, Sample, batches, look_sql, read_sql, sample_of, within
from app.release.restate_admin import Queries, UnknownError

POST_SECONDS = 15.0
EXAMPLES = 3
"""The most keys that a finding names."""

GONE = "changed while the gate looked"

_WHAT = {
    "unreadable": ("cannot be read: ", "unreadable"),
    "lost": ("loses ", "not written back"),
    "changed": ("changes ", "written back as another value"),
}
"""What a finding of a verdict is called, and how it prints what becomes of the documents."""


@dataclass(frozen=True)
class Verdict:
    """What the candidate says of one document: one of the rehearsal's verdicts, with its problems."""

    verdict: str
    problems: tuple[str, ...] = ()


Judged = Mapping[Place, Sequence[Verdict]]


class NotAnsweredError(Exception):
    """The rehearsal gave no answer that can be used."""


def check(restate: Queries, rehearsal: str | None, bounds: StateBounds, accepts: Collection[str] = ()) -> Checked:
    """Look at a sample of what is stored. `rehearsal` is the candidate's URL; None if it has no rehearsal."""
    if rehearsal is None:
        return Checked(Gate.STATE, Outcome.NOT_CHECKED, because=NO_REHEARSAL)
    began = time.monotonic()
    try:
        sample = sample_of(restate.query(look_sql(bounds.per_service, token_hex(4))), bounds.per_service)
    except (UnknownError, httpx.HTTPStatusError, KeyError, TypeError, ValueError) as error:
        return Checked(Gate.STATE, Outcome.NOT_CHECKED, because=f"Restate does not say what is stored: {error}")
    judged: dict[Place, Sequence[Verdict]] = {}
    affordable = within(sample.places, bounds.max_bytes)
    skipped = Counter({BEYOND_BYTES: len(sample.places) - len(affordable)})
    because = ""
    try:
        with httpx.Client(base_url=rehearsal, timeout=POST_SECONDS, trust_env=False) as http:
            for batch in batches(affordable):
                if time.monotonic() - began > bounds.seconds:
                    skipped[NO_TIME] += len(batch)
                    continue
                documents = _read(restate.query(read_sql(batch)), batch)
                skipped[GONE] += len(batch) - len(documents)
                judged.update(_ask(http, documents))
    except (UnknownError, httpx.HTTPError, NotAnsweredError, KeyError, TypeError, ValueError) as error:
        because = str(error) or type(error).__name__
    return decide(sample, judged, skipped, accepts, because)


def decide(
    sample: Sample, judged: Judged, skipped: Mapping[str, int], accepts: Collection[str], because: str = ""
) -> Checked:
    """Decide by what the candidate said. `because` is what kept the gate from looking at more, if anything did."""
    findings, accepted = sifted(_findings(judged), accepts)
    unseen = sorted(str(kind) for kind in sample.totals.keys() - {place.kind for place in judged})
    if not because and unseen:
        because = f"no document was looked at of {', '.join(unseen)}"
    told = {reason: count for reason, count in skipped.items() if count}
    beyond = sum(sample.totals.values()) - len(judged) - sum(told.values())
    return Checked(
        Gate.STATE,
        Outcome.FAILED if findings else Outcome.NOT_CHECKED if because else Outcome.PASSED,
        findings,
        accepted,
        looked_at=len(judged),
        skipped=told | ({BEYOND_SAMPLE: beyond} if beyond > 0 else {}),
        because=because,
    )


def _findings(judged: Judged) -> Iterator[Finding]:
    seen = Counter(place.kind for place in judged)
    by_problem: dict[tuple[Kind, str, str], list[str]] = defaultdict(list)
    dropped: dict[str, list[str]] = defaultdict(list)
    for place, verdicts in judged.items():
        for verdict in verdicts:
            if verdict.verdict == "unknownService":
                dropped[place.kind.service].append(place.key)
            elif verdict.verdict != "whole":
                for problem in verdict.problems or ("",):
                    by_problem[place.kind, verdict.verdict, problem].append(place.key)
    for service, keys in sorted(dropped.items()):
        yield Finding(service, "is dropped, and has documents", _such_as(keys, len(keys)), "never read again")
    for (kind, said, problem), keys in sorted(by_problem.items()):
        before = _such_as(keys, seen[kind])
        if said == "unknownName":
            yield Finding(str(kind), "is not known to the candidate", before, "never read again")
        else:
            what, after = _WHAT.get(said, (f"{said}: ", said))
            yield Finding(str(kind), what + problem, before, after)


def _such_as(keys: Sequence[str], seen: int) -> str:
    return f"in {len(keys)} of {seen} documents, such as {', '.join(sorted(keys)[:EXAMPLES])}"


def _read(rows: Sequence[Row], batch: Sequence[Place]) -> dict[Place, bytes]:
    wanted = {(place.kind.service, place.kind.name, place.key): place for place in batch}
    found = {
        (row["service_name"], row["name"], row["service_key"]): bytes.fromhex(row.get("value", "")) for row in rows
    }
    return {place: found[name] for name, place in wanted.items() if name in found}


def _ask(http: httpx.Client, documents: Mapping[Place, bytes]) -> Iterator[tuple[Place, Sequence[Verdict]]]:
    if not documents:
        return
    body = [
        {
            "service": place.kind.service,
            "key": place.key,
            "name": place.kind.name,
            "value": base64.b64encode(value).decode(),
        }
        for place, value in documents.items()
    ]
    answer = http.post("/documents", json=body)
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise NotAnsweredError("the candidate's rehearsal cannot read documents: its image is older than this gate")
    if not answer.is_success:
        raise NotAnsweredError(f"the candidate's rehearsal answers {answer.status_code} for documents")
    said = answer.json()
    if len(said) != len(documents):
        raise NotAnsweredError("the candidate's rehearsal did not answer for each document")
    for place, items in zip(documents, said, strict=True):
        verdicts = tuple(Verdict(str(item["verdict"]), tuple(map(str, item["problems"]))) for item in items)
        if not verdicts:
            raise NotAnsweredError("the candidate's rehearsal did not answer for each document")
        yield place, verdicts
