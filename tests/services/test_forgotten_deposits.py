"""What is kept of an old deposit to answer about it is cleared; what the provider tells later is heard all the same."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.model import iso
from tests.helpers.deposits import cash, deposit, moved, request, status
from tests.helpers.webhooks import event, send
from tests.running import System

FORGET = "forget"
TOLD = ("done", "declined", "refunded:r-1", "chargeback:c-1", "chargeback:c-2", "chargebackReversed:v-1")
ENDS = {"creditCard": "credited", "declined": "declined"}


def forget(betting: System, body: dict[str, object], before: timedelta = timedelta(days=1)) -> None:
    """Ask for a deposit to be forgotten if it is older than that, and wait while that is seen to be under way."""
    asked = {"depositIds": [body["depositId"]], "reservedBefore": iso(datetime.now(UTC) + before)}
    assert betting.call("RepairService", "forget", asked).is_success
    unfinished = f"select id from sys_invocation_status where target_service_key = '{body['depositId']}'"
    betting.eventually(lambda: not betting.query(f"{unfinished} and status <> 'completed'"))


def forgotten_at_last(betting: System, body: dict[str, object]) -> None:
    """Have a deposit forgotten. What is sent is on its way when it is answered, so that it may not be seen yet."""
    forget(betting, body)
    betting.eventually(lambda: not is_kept(betting, body))


def is_kept(betting: System, body: dict[str, object]) -> bool:
    return betting.state("DepositFollowUp", str(body["depositId"])) != {}


def tell(betting: System, body: dict[str, object], told: str) -> int:
    """Tell a signed event, `status` or `status:eventId`, and return the status of the answer."""
    name, _, event_id = told.partition(":")
    content = json.loads(event(body, name)) | ({"eventId": event_id} if event_id else {})
    return send(betting, body, json.dumps(content).encode()).status_code


def ended(betting: System, method: str) -> dict[str, object]:
    """A deposit that has ended, and is followed up by its document."""
    body = request(method)
    betting.call("PaymentService", "deposit", body)
    betting.eventually(lambda: status(betting, body) == ENDS[method])
    return body


def entries(betting: System, body: dict[str, object]) -> list[str]:
    answer = betting.call("PlayerService", "getStatement", key=str(body["userId"])).json()
    return [entry["kind"] for entry in answer["entries"]]


@pytest.mark.parametrize("method", ENDS)
def test_a_deposit_that_has_ended_is_forgotten_and_stays_what_it_is(betting: System, method: str) -> None:
    body = ended(betting, method)
    forget(betting, body, -timedelta(days=1))
    assert is_kept(betting, body), "it is younger than that"

    forgotten_at_last(betting, body)

    assert status(betting, body) == "unknown"
    again = betting.call("PaymentService", "deposit", body)
    assert again.status_code == (200 if method == "creditCard" else 402)
    assert cash(betting, body) == sum(moved(betting, body))


def test_a_deposit_that_has_not_ended_is_kept(betting: System) -> None:
    body = request("threeDSecure")
    deposit(betting, body)

    asked = {"depositIds": [body["depositId"]], "reservedBefore": iso(datetime.now(UTC) + timedelta(days=1))}
    assert betting.call("RepairService", "forget", asked).is_success
    betting.complete_three_d_secure(str(body["depositId"]))

    betting.eventually(lambda: status(betting, body) == "credited")
    assert cash(betting, body) == 100


def test_a_deposit_that_the_provider_was_asked_to_refund_is_kept(betting: System) -> None:
    body = request("threeDSecure")
    deposit(betting, body)
    betting.call("PlayerService", "takeBreak", {"days": 1}, key=str(body["userId"]))
    betting.eventually(lambda: status(betting, body) == "cancelled")
    tell(betting, body, "done")
    betting.eventually(lambda: status(betting, body) == "refunded")

    forget(betting, body)

    assert is_kept(betting, body), "or its refund would be asked for again"


def test_money_that_comes_for_a_forgotten_deposit_during_a_break_goes_back(betting: System) -> None:
    body = ended(betting, "declined")
    forgotten_at_last(betting, body)
    betting.call("PlayerService", "takeBreak", {"days": 1}, key=str(body["userId"]))

    assert tell(betting, body, "done") == 200

    betting.eventually(lambda: status(betting, body) == "refunded")
    assert entries(betting, body) == ["deposit", "depositRefunded"]
    assert cash(betting, body) == 0


def test_a_chargeback_is_heard_though_another_player_has_used_the_forgotten_id(betting: System) -> None:
    body = ended(betting, "creditCard")
    forgotten_at_last(betting, body)
    other = {**body, "userId": f"{body['userId']}-2"}
    betting.call("PaymentService", "deposit", other)
    betting.eventually(lambda: is_kept(betting, body))

    for _ in range(2):
        assert tell(betting, body, "chargeback:c-1") == 200
    assert tell(betting, {**body, "amount": 99}, "chargeback:c-2") == 400

    assert entries(betting, body) == ["deposit", "depositChargedBack"]
    assert cash(betting, body) == cash(betting, other) == 0


@given(
    method=st.sampled_from(sorted(ENDS)),
    story=st.lists(st.sampled_from([FORGET, *TOLD]), min_size=2, max_size=7),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_told_when_a_forgotten_deposit_has_the_same_money(
    betting: System, method: str, story: Sequence[str]
) -> None:
    forgotten, kept = ended(betting, method), ended(betting, method)

    for step in story:
        if step == FORGET:
            forget(betting, forgotten)
        else:
            assert tell(betting, forgotten, step) == tell(betting, kept, step) == 200

    assert entries(betting, forgotten) == entries(betting, kept)
    assert cash(betting, forgotten) == cash(betting, kept)
