"""The state gate over a real restate-server, with this code as the candidate."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.release.gates import state
from app.release.gates.bounds import StateBounds
from app.release.gates.findings import Checked, Outcome
from app.release.restate_admin import RestateAdmin
from app.services import rehearsal_documents, stored
from app.services.rehearsal_documents import documents_app
from tests.helpers.ports import free_port
from tests.helpers.serving import served, whole
from tests.running import System, running

STATE = Path(__file__).parents[1] / "data" / "state"
PLAYER = (STATE / "v1" / "player.json").read_bytes()
BOUNDS = StateBounds()
PROGRESS = b'{"bets": 3, "settled": 3, "paid": 100, "done": true}'


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with documents of every kind of key, of which none is broken."""
    with running(tmp_path_factory.mktemp("kept")) as system:
        system.plant("PlayerService", "ann", {"player": PLAYER, "archive": b'{"pages": []}'})
        system.plant("PlayerService", "zoe", {"player": PLAYER})
        system.plant("MarketService", "m-1", {"market": (STATE / "v3" / "market.json").read_bytes()})
        system.plant("SettlementRun", "m-1:1", {"progress": PROGRESS})
        yield system


@pytest.fixture
def gate(kept: System) -> Iterator[Callable[..., Checked]]:
    with RestateAdmin(kept.admin) as admin, served(documents_app, free_port()) as url:
        yield lambda bounds=BOUNDS, accepts=(): state.check(admin, url, bounds, accepts)


def test_this_code_passes_over_what_it_stored(gate: Callable[..., Checked]) -> None:
    told = gate()

    assert (told.outcome, told.because, told.findings, told.looked_at) == (Outcome.PASSED, "", (), 5)
    assert told.skipped == {}


def test_a_sample_says_how_many_it_left_out(gate: Callable[..., Checked]) -> None:
    told = gate(StateBounds(per_service=1))

    assert (told.outcome, told.looked_at, told.skipped) == (Outcome.PASSED, 4, {"beyond the sample": 1})


def test_a_document_over_the_bound_of_bytes_is_left_out_and_its_kind_is_not_taken_for_good(
    gate: Callable[..., Checked],
) -> None:
    told = gate(StateBounds(max_bytes=5_000))

    assert (told.outcome, told.looked_at) == (Outcome.NOT_CHECKED, 3)
    assert told.because == "no document was looked at of PlayerService/player"
    assert told.skipped == {"beyond maxBytes": 2}


def test_without_time_nothing_is_taken_for_good(gate: Callable[..., Checked]) -> None:
    told = gate(StateBounds(seconds=0))

    assert (told.outcome, told.looked_at, told.skipped) == (Outcome.NOT_CHECKED, 0, {"beyond seconds": 5})


def test_what_the_candidate_cannot_read_or_would_lose_fails_it(kept: System, gate: Callable[..., Checked]) -> None:
    kept.plant("PlayerService", "bob", {"player": json.dumps({"userId": "bob", "pagedOut": "many"}).encode()})
    kept.plant("SettlementRun", "m-2:1", {"progress": b'{"bets": 3, "cleared": 1}'})
    kept.plant("MarketFeed", "m-1", {"nickname": b"1"})
    try:
        told = gate()
    finally:
        for service, key in (("PlayerService", "bob"), ("SettlementRun", "m-2:1"), ("MarketFeed", "m-1")):
            kept.plant(service, key, {})

    assert told.outcome is Outcome.FAILED
    assert [(finding.where, finding.what.partition(": int")[0]) for finding in told.findings] == [
        ("MarketFeed/nickname", "is not known to the candidate"),
        ("PlayerService/player", "cannot be read: pagedOut"),
        ("SettlementRun/progress", "loses cleared"),
    ]
    assert "bob" in told.findings[1].before
    assert "many" not in str(told)


def test_a_service_that_the_candidate_dropped_is_a_finding_that_values_may_accept(
    gate: Callable[..., Checked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal_documents, "SERVICES", stored.SERVICES - {"SettlementRun"})

    refused = gate()
    accepted = gate(accepts=("SettlementRun: is dropped, and has documents",))

    assert (refused.outcome, len(refused.findings)) == (Outcome.FAILED, 1)
    assert (accepted.outcome, len(accepted.accepted)) == (Outcome.PASSED, 1)


def test_a_rehearsal_without_the_endpoint_is_not_checked(kept: System) -> None:
    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        await whole(receive)
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with RestateAdmin(kept.admin) as admin, served(nothing, free_port()) as url:
        told = state.check(admin, url, StateBounds())

    assert told.outcome is Outcome.NOT_CHECKED
    assert told.because.startswith("the candidate's rehearsal cannot read documents")


def test_a_rehearsal_that_does_not_answer_is_not_checked(kept: System) -> None:
    with RestateAdmin(kept.admin) as admin:
        assert state.check(admin, "http://127.0.0.1:9", StateBounds()).outcome is Outcome.NOT_CHECKED
