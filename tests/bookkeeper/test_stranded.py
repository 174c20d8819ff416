"""What is stranded, and what is only suspected."""

import json
import shlex
from datetime import UTC, datetime, timedelta

from app.bookkeeper.stranded import Kind, Stranded, Suspicions
from app.services.repair import repair

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(seconds=60)


def leg(bet: str = "b", at: datetime = NOW) -> Stranded:
    return Stranded(Kind.LEG, {"marketId": "m", "book": 1, "page": 0, "userId": "ann", "betId": bet}, at)


def test_what_is_seen_once_is_only_suspected() -> None:
    assert Suspicions().confirm([leg()], NOW, GRACE) == []


def test_what_is_seen_again_before_its_grace_is_over_is_only_suspected() -> None:
    suspicions = Suspicions()
    suspicions.confirm([leg()], NOW, GRACE)

    almost = NOW + GRACE - timedelta(milliseconds=1)
    assert suspicions.confirm([leg(at=almost)], almost, GRACE) == []


def test_what_is_still_there_after_its_grace_is_stranded_since_it_was_first_seen() -> None:
    suspicions = Suspicions()
    suspicions.confirm([leg()], NOW, GRACE)

    [found] = suspicions.confirm([leg(at=NOW + GRACE)], NOW + GRACE, GRACE)
    assert (found, found.since) == (leg(), NOW)


def test_what_a_look_does_not_see_is_cleared_and_its_grace_begins_anew() -> None:
    suspicions = Suspicions()
    suspicions.confirm([leg()], NOW, GRACE)
    suspicions.confirm([], NOW + GRACE / 2, GRACE)

    assert suspicions.confirm([leg(at=NOW + GRACE)], NOW + GRACE, GRACE) == []


def test_one_suspicion_is_not_anothers() -> None:
    suspicions = Suspicions()
    suspicions.confirm([leg("a")], NOW, GRACE)

    assert suspicions.confirm([leg("b", NOW + GRACE)], NOW + GRACE, GRACE) == []


def test_the_command_that_mends_can_be_pasted_and_says_all_that_the_repair_takes() -> None:
    words = shlex.split(leg().command("http://127.0.0.1:8080"))

    assert words[:2] == ["curl", "http://127.0.0.1:8080/RepairService/leg"]
    assert words[2:-2] == [
        *("-H", "content-type: application/json"),
        *("-H", "x-betting-user: bookkeeper"),
        *("-H", "x-betting-roles: bookkeeper"),
    ]
    assert json.loads(words[-1]) == {"marketId": "m", "book": 1, "page": 0, "userId": "ann", "betId": "b"}


def test_whatever_can_be_left_behind_has_a_handler_that_mends_it() -> None:
    assert set(repair.handlers) == {*Kind, "forget"}, "what is old is forgotten, and was not left behind"
