"""Asking the gates: who asks, what is noted, and what becomes of a rehearsal."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Event
from typing import Any

import httpx
import pytest
from kubernetes.client.exceptions import ApiException

from app.release import gate_notes, gatekeeper
from app.release.cluster import Intent
from app.release.gates import gates, replay
from app.release.gates.books import decide
from app.release.gates.findings import Checked, Finding, Gate, Outcome, as_json, as_lines
from app.release.gates.gates import Asked, run
from app.release.numbers import read_books
from app.release.plan import Gates
from app.release.restate_admin import RestateAdmin, UnknownError
from app.release.stage import Stage
from app.release.watching import Books
from tests.release.gating import nothing_rehearses

IMAGE, NOW = "betting:b", 1_000_000.0
INTENT = Intent("v2", {})
PASSED = (Checked(Gate.BOOKS, Outcome.PASSED), Checked(Gate.STATE, Outcome.OFF))
FAILED = (*PASSED, Checked(Gate.CONTRACT, Outcome.FAILED, (Finding("Market/get", "handler removed"),)))
UNTOLD = (Checked(Gate.BOOKS, Outcome.NOT_CHECKED, because="no bookkeeper is ready"),)


@pytest.mark.parametrize(
    ("note", "image", "later", "told"),
    [
        (None, IMAGE, 0, Gates()),
        (gate_notes.asking(IMAGE, NOW), IMAGE, 89, Gates(asked=True)),
        (gate_notes.asking(IMAGE, NOW), IMAGE, 90, Gates()),
        (gate_notes.answered(IMAGE, PASSED, NOW), IMAGE, 10**6, Gates(passed=True)),
        (gate_notes.answered(IMAGE, PASSED, NOW), "betting:c", 0, Gates()),
        (gate_notes.answered(IMAGE, FAILED, NOW), IMAGE, 10**6, Gates(failed="contract: Market/get: handler removed")),
        (gate_notes.answered(IMAGE, FAILED, NOW), "betting:c", 0, Gates()),
        (
            gate_notes.answered(IMAGE, UNTOLD, NOW),
            IMAGE,
            299,
            Gates(failed="books: not checked, no bookkeeper is ready"),
        ),
        (gate_notes.answered(IMAGE, UNTOLD, NOW), IMAGE, 300, Gates()),
    ],
    ids=[
        "nobody asked",
        "somebody asks",
        "who asked has ended",
        "passed, for ever",
        "passed, as another image",
        "failed, for ever",
        "failed, as another image",
        "not told: not again at once",
        "not told: again in five minutes",
    ],
)
def test_a_note_says_how_the_gates_answered(note: str | None, image: str, later: float, told: Gates) -> None:
    assert gate_notes.read(note, image, NOW + later) == told


SEEN = "betting_books_balanced {}\nbetting_books_timestamp_seconds {}\n"
DIFFERS = 'betting_provider_differences{difference="missing"} 2\nbetting_provider_differences{difference="amount"} 0\n'
COMPARES = "betting_provider_compared 1\n"
COMPARED = "betting_reconciled_timestamp_seconds {}\n"


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        (SEEN.format(1, NOW), Outcome.PASSED, ""),
        (SEEN.format(1, NOW - 301), Outcome.NOT_CHECKED, "not looked for 301 s"),
        (SEEN.format(0, NOW), Outcome.FAILED, "books: do not balance"),
        (SEEN.format(1, NOW) + DIFFERS, Outcome.FAILED, "books: differ from the provider: missing (was 0, is 2)"),
        (
            SEEN.format(1, NOW) + "betting_books_unreadable_documents 2\n",
            Outcome.FAILED,
            "books: documents of players cannot be read (was 0, is 2)",
        ),
        (SEEN.format(1, NOW) + "betting_books_unreadable_documents 0\n", Outcome.PASSED, ""),
        (SEEN.format(1, NOW) + COMPARES, Outcome.NOT_CHECKED, "not compared the books with the provider yet"),
        (SEEN.format(1, NOW) + COMPARES + COMPARED.format(NOW - 301), Outcome.NOT_CHECKED, "the provider for 301 s"),
        (SEEN.format(1, NOW) + COMPARES + COMPARED.format(NOW - 300), Outcome.PASSED, ""),
        (SEEN.format(1, NOW) + "betting_provider_compared 0\n", Outcome.PASSED, ""),
        (SEEN.format(1, NOW) + COMPARED.format(NOW - 301), Outcome.PASSED, ""),  # an older bookkeeper
        (SEEN.format(0, NOW) + COMPARES, Outcome.FAILED, "books: do not balance"),
        (SEEN.format(1, NOW) + COMPARES + COMPARED.format(NOW - 301) + DIFFERS, Outcome.FAILED, "differ from the prov"),
        ("", Outcome.NOT_CHECKED, "not looked yet"),
    ],
)
def test_no_release_starts_on_books_that_do_not_balance(text: str, outcome: Outcome, said: str) -> None:
    checked = decide(read_books(text), NOW)

    assert checked.outcome is outcome
    assert said in "".join((*map(str, checked.findings), checked.because))


def test_numbers_that_are_none_are_no_answer() -> None:
    with pytest.raises(UnknownError):
        read_books("<html>")


def asked(books: Any, **facts: Any) -> Asked:
    given: dict[str, Any] = {"rehearsing": nothing_rehearses, "uri": "", "patience_seconds": 0} | facts
    return Asked(RestateAdmin("http://127.0.0.1:9"), books=books, **given)


def failing() -> str:
    raise UnknownError("no bookkeeper is ready")


def test_what_is_no_answer_is_not_taken_for_a_good_one() -> None:
    checked = run(asked(failing))

    assert {each.gate: each.outcome for each in checked} == dict.fromkeys(gates.GATES, Outcome.NOT_CHECKED)
    assert "no bookkeeper is ready" in [each.because for each in checked]


def test_one_that_the_values_switch_off_says_so_and_is_not_asked() -> None:
    [checked] = run(asked(failing, on=[Gate.STATE]), [Gate.BOOKS])

    assert (checked.outcome, checked.because) == (Outcome.OFF, "the values switch it off")


def test_a_gate_that_cannot_tell_yet_is_asked_again_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PAUSE_SECONDS", 0)
    answers = iter(["", "", SEEN.format(1, 9e9)])
    [checked] = run(asked(lambda: next(answers), patience_seconds=60), [Gate.BOOKS])

    assert checked.passed
    assert next(answers, None) is None


def test_a_rehearsal_that_does_not_start_leaves_its_gates_unchecked() -> None:
    @contextmanager
    def never() -> Iterator[str | None]:
        raise UnknownError("the rehearsal of v2 does not start: ImagePullBackOff")
        yield

    checked = run(asked(failing, rehearsing=never))

    assert {each.because for each in checked} == {"the rehearsal of v2 does not start: ImagePullBackOff"}


def test_lines_and_json_name_each_finding() -> None:
    told = json.loads(as_json("v2", FAILED))

    assert (told["version"], told["passed"]) == ("v2", False)
    assert told["gates"][2]["findings"] == [
        {"where": "Market/get", "what": "handler removed", "before": "", "after": ""}
    ]
    assert "  Market/get: handler removed" in as_lines(FAILED)
    assert json.loads(as_json("v2", PASSED))["passed"] is True


class Apps:
    """The Deployments of a version and of its rehearsal."""

    def __init__(self, note: str | None = None, conflicts: int = 0) -> None:
        self.note, self.conflicts = note, conflicts
        self.replicas: list[int] = []

    def read_namespaced_deployment(self, name: str, *_: Any, **__: Any) -> Any:
        annotations = {gate_notes.ANNOTATION: self.note} if self.note else None
        return deployment(name, annotations)

    def list_namespaced_deployment(self, *_: Any, **__: Any) -> Any:
        return Some(items=[deployment("betting-v2-rehearsal", {"betting/uri": "http://127.0.0.1:9/"})])

    def patch_namespaced_deployment(self, name: str, _: str, change: Any, **__: Any) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise ApiException(status=409)
        if name.endswith("-rehearsal"):
            self.replicas.append(change["spec"]["replicas"])
        else:
            self.note = change["metadata"]["annotations"][gate_notes.ANNOTATION]


class Some:
    """An object of the API."""

    def __init__(self, **facts: Any) -> None:
        self.__dict__.update(facts)


def deployment(name: str, annotations: Any) -> Any:
    meta = Some(name=name, annotations=annotations, resource_version="7", labels={"betting/version": "v2"})
    container = Some(image=IMAGE)
    return Some(metadata=meta, spec=Some(replicas=1, template=Some(spec=Some(containers=[container]))))


def cluster(apps: Apps) -> Any:
    return Some(apps=apps, pods=lambda *_: [], namespace="shop", name="betting", intent=lambda: INTENT)


def test_only_one_asks_at_a_time() -> None:
    apps = Apps()

    asking = gate_notes.asking(IMAGE, 9e9)

    assert Stage(cluster(apps)).begin("v2", asking) == ""
    assert Stage(cluster(apps)).begin("v2", asking) is None


def test_a_version_that_changes_while_its_gates_are_to_be_asked_is_looked_at_again() -> None:
    asking = gate_notes.asking(IMAGE, 9e9)

    assert Stage(cluster(Apps(conflicts=1))).begin("v2", asking) == ""
    assert Stage(cluster(Apps(conflicts=99))).begin("v2", asking) is None


def test_whoever_was_faster_asks_alone() -> None:
    class Beaten(Apps):
        def patch_namespaced_deployment(self, *_: Any, **__: Any) -> None:
            self.note = asking
            raise ApiException(status=409)

    asking = gate_notes.asking(IMAGE, 9e9)

    assert Stage(cluster(Beaten())).begin("v2", asking) is None


def test_a_rehearsal_ends_whatever_becomes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatekeeper, "READY_SECONDS", 0)
    apps = Apps()

    with pytest.raises(UnknownError, match="does not start"), gatekeeper.rehearsing(cluster(apps), "v2"):
        pass

    assert apps.replicas == [1, 0]


def test_the_rehearsals_of_all_that_nobody_asks_about_are_ended() -> None:
    apps = Apps()

    Stage(cluster(apps)).begin("v2", gate_notes.asking(IMAGE, 9e9))
    Stage(cluster(apps)).clear()
    assert apps.replicas == []
    Stage(cluster(apps)).note("v2", None)
    Stage(cluster(apps)).clear()
    assert apps.replicas == [0]


def test_a_rehearsal_that_somebody_else_ended_as_it_began_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    apps = Apps()
    looks = count()

    def answer(*_: Any, **__: Any) -> httpx.Response:
        return httpx.Response(503 if next(looks) == 0 else 200)

    monkeypatch.setattr(httpx, "get", answer)
    with gatekeeper.rehearsing(cluster(apps), "v2"):
        assert apps.replicas == [1, 1]


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_journal_that_ends_the_rehearsal_of_a_rescue_says_nothing_of_the_others(
    comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = [replay.Work(f"inv_{number}", "W", "w", "run", 5) for number in range(3)]
    looks = count()

    def replayed(restate: Any, url: str, sample: Any, bounds: Any) -> Iterator[tuple[replay.Work, replay.Replayed]]:
        for work in sample:
            if work.id == "inv_1":
                raise httpx.ReadError("the connection is gone")
            yield work, replay.Replayed()

    def answer(*_: Any, **__: Any) -> httpx.Response:
        return httpx.Response(200 if comes_back or next(looks) == 0 else 503)

    monkeypatch.setattr(gatekeeper, "READY_SECONDS", 0)
    monkeypatch.setattr(replay, "live", lambda *_: (len(works), works))
    monkeypatch.setattr(replay, "replay", replayed)
    monkeypatch.setattr(httpx, "get", answer)
    version: Any = Some(name="v2", image=IMAGE)
    told = gatekeeper.rehearsed(cluster(Apps()), Some(), version, [work.id for work in works])  # type: ignore[arg-type]

    seen = {"inv_0": replay.Replayed(), "inv_1": replay.Replayed(skipped=replay.NO_ANSWER)}
    assert told == (seen | {"inv_2": replay.Replayed()} if comes_back else seen)


def test_what_the_gates_say_is_noted_and_an_error_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    apps, told = Apps(), list[str]()
    version = Some(name="v2", image=IMAGE, uri="")
    monkeypatch.setattr(gatekeeper, "_remember", lambda *_: None)
    monkeypatch.setattr(gatekeeper, "_ask", lambda *_: FAILED)
    gatekeeper.pass_gates(cluster(apps), Some(), version, told.append)  # type: ignore[arg-type]

    assert gate_notes.read(apps.note, IMAGE, NOW).failed == "contract: Market/get: handler removed"
    assert gate_notes.read(apps.note, IMAGE, NOW, INTENT.terms("v2")).failed
    assert "  Market/get: handler removed" in told

    def broken(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(gatekeeper, "_ask", broken)
    apps.note = None
    with pytest.raises(RuntimeError):
        gatekeeper.pass_gates(cluster(apps), Some(), version, told.append)  # type: ignore[arg-type]
    assert apps.note is None


@pytest.mark.parametrize("asks", [gatekeeper.pass_gates, gatekeeper.ask])
def test_who_asks_for_long_keeps_others_from_ending_the_rehearsal(
    monkeypatch: pytest.MonkeyPatch, asks: Callable[..., Any]
) -> None:
    class Watched(Apps):
        def patch_namespaced_deployment(self, *given: Any, **options: Any) -> None:
            super().patch_namespaced_deployment(*given, **options)
            if clock[0] > NOW and gate_notes.read(self.note, IMAGE, clock[0]).asked:
                renewed.set()

    apps, clock, renewed = Watched(), [NOW], Event()
    version = Some(name="v2", image=IMAGE, uri="")

    def ask(*_: Any) -> Any:
        clock[0] += gate_notes.ASKING_SECONDS
        assert renewed.wait(30)
        return PASSED

    monkeypatch.setattr(gatekeeper, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(time, "time", lambda: clock[0])
    monkeypatch.setattr(gatekeeper, "_remember", lambda *_: None)
    monkeypatch.setattr(gatekeeper, "_ask", ask)
    asks(cluster(apps), Some(), version, [].append)

    assert not gate_notes.read(apps.note, IMAGE, clock[0]).asked, "nothing is renewed after the answer"


def test_only_its_own_note_is_renewed() -> None:
    mine, theirs, renewed = (gate_notes.asking(IMAGE, NOW + later) for later in (0, 100, 20))
    own, other = Apps(mine), Apps(theirs)

    assert Stage(cluster(own)).renew("v2", renewed, {mine})
    assert not Stage(cluster(other)).renew("v2", renewed, {mine})
    assert (own.note, other.note) == (renewed, theirs)
    with pytest.raises(ApiException):
        Stage(cluster(Apps(mine, conflicts=1))).renew("v2", renewed, {mine})


def test_the_books_that_were_never_seen_are_not_checked() -> None:
    assert decide(None, NOW).outcome is Outcome.NOT_CHECKED
    assert decide(Books(True, NOW), NOW).passed
