"""PaymentService/webhook: what the provider tells of charges, whatever bytes it sends."""

from datetime import UTC, datetime

import httpx
import pytest

from app.providers import webhooks
from tests.helpers.deposits import cash, deposit, moved, request, status, subjects
from tests.helpers.webhooks import JSON, event
from tests.running import WEBHOOK_SECRET as SECRET
from tests.running import System


def tell(betting: System, content: bytes) -> httpx.Response:
    header = webhooks.sign(SECRET, content, datetime.now(UTC))
    return betting.post_raw("PaymentService/webhook", content, {**JSON, webhooks.HEADER: header})


def at_sandbox(betting: System, body: dict[str, object], what: str) -> httpx.Response:
    return httpx.post(f"{betting.sandbox}/charges/{body['depositId']}/{what}")


def kinds(betting: System, body: dict[str, object]) -> list[str]:
    statement = betting.call("PlayerService", "getStatement", key=str(body["userId"])).json()
    return [entry["kind"] for entry in statement["entries"]]


def test_a_refund_and_a_chargeback_and_its_reversal_move_the_money_once(betting: System) -> None:
    body = request()
    first = deposit(betting, body)

    at_sandbox(betting, body, "chargeback")
    betting.eventually(lambda: status(betting, body) == "chargedBack")
    assert cash(betting, body) == 0
    at_sandbox(betting, body, "chargebackReversed")
    betting.eventually(lambda: status(betting, body) == "credited")
    assert cash(betting, body) == 100
    at_sandbox(betting, body, "refund")
    betting.eventually(lambda: status(betting, body) == "refunded")

    assert cash(betting, body) == 0
    assert kinds(betting, body) == ["deposit", "depositChargedBack", "chargebackReversed", "depositRefunded"]
    assert len(subjects(betting, body, 4)) == 4
    assert deposit(betting, body) == first


def test_an_event_that_comes_before_its_deposit_waits_for_it(betting: System) -> None:
    body = request()

    for told in ("refunded", "declined", "refunded"):
        assert tell(betting, event(body, told)).status_code == 200
    deposit(betting, body)

    betting.eventually(lambda: status(betting, body) == "refunded")
    assert cash(betting, body) == 0


def test_a_done_event_is_never_overwritten_by_a_declined_one(betting: System) -> None:
    body = request("timeoutCharged")

    for told in ("done", "declined"):
        assert tell(betting, event(body, told)).status_code == 200
    deposit(betting, body)

    betting.eventually(lambda: status(betting, body) == "credited")
    assert tell(betting, event(body, "declined")).status_code == 200
    assert status(betting, body) == "credited"
    assert cash(betting, body) == sum(moved(betting, body)) == 100


def test_a_declined_event_of_a_charge_without_an_answer_is_looked_up(betting: System) -> None:
    body = request("timeoutCharged")
    deposit(betting, body)

    tell(betting, event(body, "declined"))

    betting.eventually(lambda: status(betting, body) == "credited")
    assert cash(betting, body) == 100


def test_what_we_do_not_know_is_heard(betting: System) -> None:
    for content in (b'{"kind": "subscription"}', event(request(), "disputeOpened")):
        answer = tell(betting, content)
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert betting.metrics("betting_provider_events_total")[("unknown",)] >= 2


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 50_000,
        b'{"status": "done", "userId": "\\ud800"}',
        b'{"status": NaN}',
        b"\xff",
        b'{"status": "done"}',
    ],
    ids=range(5),
)
def test_signed_bytes_that_are_no_event_are_refused_and_block_nothing(betting: System, content: bytes) -> None:
    body = request("threeDSecure")
    header = webhooks.sign(SECRET, content, datetime.now(UTC))
    for path in ("PaymentService/webhook", f"DepositFollowUp/{body['depositId']}/webhook"):
        refusal = betting.post_raw(path, content, {**JSON, webhooks.HEADER: header})
        assert refusal.status_code == 400, refusal.text
        assert refusal.json()["metadata"]["reason"] == "invalid_request"

    assert deposit(betting, body)["status"] == "actionRequired"


def test_a_signature_of_either_secret_is_enough(betting: System) -> None:
    content = event(request(), "disputeOpened")
    genuine = webhooks.sign(SECRET, content, datetime.now(UTC))
    second, good = genuine.split(",")
    for header, code in ((f"{second},v1={'0' * 64},{good}", 200), (f"{second},v1={'0' * 64}", 401)):
        answer = betting.post_raw("PaymentService/webhook", content, {**JSON, webhooks.HEADER: header})
        assert answer.status_code == code


def test_a_customer_can_cancel_a_deposit_that_waits_for_them(betting: System) -> None:
    body = request("threeDSecure", amount=10_000)
    deposit(betting, body)

    for _ in range(2):
        answer = betting.call("DepositFollowUp", "cancel", key=str(body["depositId"]))
        assert answer.json() == {"depositId": body["depositId"], "status": "cancelled"}
    betting.complete_three_d_secure(str(body["depositId"]))

    other = {**body, "depositId": f"{body['depositId']}-2", "paymentMethod": "creditCard"}
    assert deposit(betting, other)["status"] == "credited"
    assert deposit(betting, body)["status"] == "cancelled"
    assert moved(betting, body) == []


def test_only_a_deposit_that_waits_for_its_customer_can_be_cancelled(betting: System) -> None:
    body = request()
    unknown = betting.call("DepositFollowUp", "cancel", key=str(body["depositId"]))
    deposit(betting, body)
    credited = betting.call("DepositFollowUp", "cancel", key=str(body["depositId"]))

    assert (unknown.status_code, unknown.json()["metadata"]["reason"]) == (404, "unknown_deposit")
    assert (credited.status_code, credited.json()["metadata"]["reason"]) == (409, "deposit_not_waiting")
    assert cash(betting, body) == 100


def test_a_three_d_secure_that_is_open_at_an_exclusion_is_void(betting: System) -> None:
    body = request("threeDSecure")
    deposit(betting, body)

    betting.call("PlayerService", "selfExclude", {"months": 6, "confirm": True}, key=str(body["userId"]))

    betting.eventually(lambda: status(betting, body) == "cancelled")
    betting.complete_three_d_secure(str(body["depositId"]))
    assert moved(betting, body) == []


def test_what_was_called_declined_before_an_exclusion_and_can_still_be_charged_is_void(betting: System) -> None:
    body = request("threeDSecure")
    deposit(betting, body)
    tell(betting, event(body, "declined"))
    charge = f"{betting.sandbox}/charges/{body['depositId']}"
    assert httpx.get(charge, trust_env=False).json()["status"] == "actionRequired"

    betting.call("PlayerService", "takeBreak", {"days": 1}, key=str(body["userId"]))

    betting.eventually(lambda: httpx.get(charge, trust_env=False).json()["status"] == "declined")
    betting.complete_three_d_secure(str(body["depositId"]))
    assert moved(betting, body) == []
    assert status(betting, body) == "declined"


def test_what_was_charged_at_an_exclusion_all_the_same_is_credited_and_refunded(betting: System) -> None:
    body = request("threeDSecure")
    deposit(betting, body)
    betting.call("PlayerService", "takeBreak", {"days": 1}, key=str(body["userId"]))
    betting.eventually(lambda: status(betting, body) == "cancelled")

    tell(betting, event(body))

    betting.eventually(lambda: status(betting, body) == "refunded")
    assert kinds(betting, body) == ["deposit", "depositRefunded"]
    assert cash(betting, body) == 0
