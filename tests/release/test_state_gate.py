"""What the state gate chooses to look at, and what it decides by what the candidate said."""

from collections.abc import Mapping, Sequence

import pytest

from app.release.gates.bounds import StateBounds
from app.release.gates.findings import Checked, Outcome
from app.release.gates.sampling import BYTES_AT_ONCE, Kind, Place, Row, Sample, batches, read_sql, sample_of, within
from app.release.gates.state import Verdict, check, decide
from app.release.restate_admin import UnknownError

PLAYER = Kind("PlayerService", "player")
INDEX = Kind("PlayerService", "archive")
MARKET = Kind("MarketService", "market")
WHOLE = (Verdict("whole"),)


def place(key: str, kind: Kind = PLAYER, size: int = 10) -> Place:
    return Place(kind, key, 7, size)


def decided(judged: Mapping[Place, Sequence[Verdict]], *accepts: str, total: int | None = None) -> Checked:
    kinds = {one.kind for one in judged} or {PLAYER}
    totals = {kind: total or sum(one.kind == kind for one in judged) for kind in kinds}
    return decide(Sample(tuple(judged), totals), judged, {}, accepts)


def test_documents_that_are_written_back_whole_pass() -> None:
    told = decided({place("ann"): WHOLE, place("bob"): WHOLE}, total=10)

    assert (told.outcome, told.looked_at, told.skipped) == (Outcome.PASSED, 2, {"beyond the sample": 8})


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (
            Verdict("unreadable", ("email: string_type: no string",)),
            "PlayerService/player: cannot be read: email: string_type: no string "
            "(was in 1 of 2 documents, such as ann, is unreadable)",
        ),
        (
            Verdict("lost", ("bets.*.note",)),
            "PlayerService/player: loses bets.*.note (was in 1 of 2 documents, such as ann, is not written back)",
        ),
        (
            Verdict("changed", ("paged",)),
            "PlayerService/player: changes paged "
            "(was in 1 of 2 documents, such as ann, is written back as another value)",
        ),
        (
            Verdict("unknownName"),
            "PlayerService/player: is not known to the candidate "
            "(was in 1 of 2 documents, such as ann, is never read again)",
        ),
        (
            Verdict("unknownService"),
            "PlayerService: is dropped, and has documents (was in 1 of 1 documents, such as ann, is never read again)",
        ),
        (
            Verdict("ofTomorrow", ("x",)),
            "PlayerService/player: ofTomorrow: x (was in 1 of 2 documents, such as ann, is ofTomorrow)",
        ),
    ],
)
def test_each_other_verdict_is_a_finding(verdict: Verdict, told: str) -> None:
    check = decided({place("ann"): (verdict,), place("bob"): WHOLE})

    assert check.outcome is Outcome.FAILED
    assert [str(finding) for finding in check.findings] == [told]


def test_a_problem_of_many_documents_is_one_finding() -> None:
    lost = (Verdict("lost", ("note",)),)

    [finding] = decided({place(f"u-{number}"): lost for number in range(9)}).findings

    assert finding.before == "in 9 of 9 documents, such as u-0, u-1, u-2"


def test_a_finding_that_the_values_accept_lets_the_candidate_pass() -> None:
    judged = {place("ann"): (Verdict("lost", ("note", "bets.*.note")),)}

    some = decided(judged, "PlayerService/player: loses note")
    all_of_them = decided(judged, "PlayerService/player: loses note", "PlayerService/player: loses bets.*.note")

    assert (some.outcome, len(some.findings), len(some.accepted)) == (Outcome.FAILED, 1, 1)
    assert (all_of_them.outcome, len(all_of_them.accepted)) == (Outcome.PASSED, 2)


def test_a_kind_of_which_nothing_was_seen_is_not_checked() -> None:
    sample = Sample((place("ann"), place("m", MARKET)), {PLAYER: 1, MARKET: 1})

    told = decide(sample, {place("ann"): WHOLE}, {"beyond seconds": 1}, ())

    assert told.outcome is Outcome.NOT_CHECKED
    assert told.because == "no document was looked at of MarketService/market"
    assert told.skipped == {"beyond seconds": 1}


def test_an_error_on_the_way_does_not_hide_what_was_found() -> None:
    sample = Sample((place("ann"),), {PLAYER: 2})

    told = decide(sample, {place("ann"): (Verdict("lost", ("x",)),)}, {}, (), because="no answer")

    assert (told.outcome, told.because) == (Outcome.FAILED, "no answer")


def row(kind: Kind, bucket: int, largest: tuple[int, str], chosen: tuple[str, int, str], n: int = 5) -> Row:
    return {
        "service_name": kind.service,
        "name": kind.name,
        "bucket": bucket,
        "n": n,
        "largest": f"{largest[0]:012} 7 {largest[1]}",
        "chosen": f"{chosen[0]} {chosen[1]:012} 7 {chosen[2]}",
    }


ROWS = [
    row(PLAYER, 0, (10, "ten"), ("b", 1, "one b")),
    row(PLAYER, 1, (30, "thirty"), ("a", 1, "one a")),
    row(PLAYER, 2, (20, "twenty"), ("c", 20, "twenty")),
    row(MARKET, 0, (9, "m"), ("d", 9, "m"), n=1),
    row(INDEX, 0, (2, "ten"), ("e", 2, "ten"), n=1),
]


def test_the_largest_and_some_by_chance_are_chosen_and_each_kind_has_a_turn_early() -> None:
    sample = sample_of(ROWS, per_service=8)

    assert [(str(place.kind), place.key) for place in sample.places] == [
        ("MarketService/market", "m"),
        ("PlayerService/archive", "ten"),
        ("PlayerService/player", "thirty"),
        ("PlayerService/player", "one a"),
        ("PlayerService/player", "twenty"),
        ("PlayerService/player", "one b"),
    ]
    assert sample.totals == {MARKET: 1, INDEX: 1, PLAYER: 15}


@pytest.mark.parametrize(("per_service", "players"), [(1, 1), (4, 2), (6, 3), (100, 5)])
def test_a_service_has_a_bound_and_each_kind_one_at_least(per_service: int, players: int) -> None:
    chosen = sample_of(ROWS, per_service).places

    assert sum(place.kind == PLAYER for place in chosen) == players
    assert {place.kind for place in chosen} == {PLAYER, INDEX, MARKET}


def test_bytes_are_bounded_and_a_large_document_does_not_keep_the_others_out() -> None:
    places = [place("a", size=5), place("b", size=100), place("c", size=5), place("d", size=1)]

    assert [one.key for one in within(places, 10)] == ["a", "c"]


def test_a_batch_is_bounded_and_a_document_larger_than_it_goes_alone() -> None:
    sizes = [1, BYTES_AT_ONCE + 1, 1, *[1] * 60]

    assert [len(batch) for batch in batches(place(str(n), size=size) for n, size in enumerate(sizes))] == [1, 1, 50, 11]


def test_a_name_cannot_end_the_question() -> None:
    assert "key in ('it''s')" in read_sql([place("ann", Kind("S", "it's"))])


class Away:
    def query(self, sql: str) -> list[Row]:
        raise UnknownError("Restate is away")


class Strange:
    def query(self, sql: str) -> list[Row]:
        return [{"n": 1}]


@pytest.mark.parametrize("restate", [Away(), Strange()])
def test_with_restate_away_or_strange_it_is_not_checked(restate: Away | Strange) -> None:
    assert check(restate, "http://x", StateBounds()).outcome is Outcome.NOT_CHECKED


def test_a_version_without_a_rehearsal_is_not_checked() -> None:
    told = check(Away(), None, StateBounds())

    assert (told.outcome, told.because) == (Outcome.NOT_CHECKED, "the version has no rehearsal to ask")
