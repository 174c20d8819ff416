"""DepositFollowUp/webhook: once, twice, early, late, forged, stale."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from app.providers import webhooks
from tests.helpers.deposits import cash, deposit, moved, request, status, subjects
from tests.helpers.webhooks import JSON, event, send
from tests.running import WEBHOOK_SECRET as SECRET
from tests.running import System


def test_an_event_before_the_deposit_is_known_is_kept_and_credits_once(betting: System) -> None:
    body = request("timeoutLost")

    assert [send(betting, body, event(body)).status_code for _ in range(2)] == [200, 200]

    deposit(betting, body)
    betting.eventually(lambda: status(betting, body) == "credited")
    assert cash(betting, body) == 100
    assert subjects(betting, body, 1) == ["Your deposit has arrived"]


def test_events_after_the_credit_change_nothing(betting: System) -> None:
    body = request()
    deposit(betting, body)

    for told in ("done", "declined", "done"):
        assert send(betting, body, event(body, told)).status_code == 200
    assert status(betting, body) == "credited"
    assert cash(betting, body) == 100
    assert moved(betting, body) == [100]


def test_money_that_arrives_after_we_gave_up_is_credited_once(betting: System) -> None:
    body = request("timeoutLost")
    deposit(betting, body)
    betting.eventually(lambda: status(betting, body) == "failed")

    for _ in range(2):
        assert send(betting, body, event(body)).status_code == 200

    assert status(betting, body) == "credited"
    assert cash(betting, body) == 100
    assert subjects(betting, body, 2) == ["Your deposit did not go through", "Your deposit has arrived"]


def test_a_declined_event_ends_an_open_deposit(betting: System) -> None:
    body = request("threeDSecure")
    deposit(betting, body)

    assert send(betting, body, event(body, "declined")).status_code == 200
    assert status(betting, body) == "declined"


def test_forged_and_stale_events_are_refused_and_change_nothing(betting: System) -> None:
    body = request("threeDSecure")
    deposit(betting, body)
    good = event(body)

    refusals = [
        send(betting, body, good, secret="guessed"),
        send(betting, body, good, at=datetime.now(UTC) - timedelta(minutes=6)),
        betting.post_raw(f"DepositFollowUp/{body['depositId']}/webhook", good, JSON),
        betting.post_raw(
            f"DepositFollowUp/{body['depositId']}/webhook",
            good,
            {**JSON, webhooks.HEADER: webhooks.sign(SECRET, good + b" ", datetime.now(UTC))},
        ),
    ]

    assert [refusal.status_code for refusal in refusals] == [401] * 4
    assert {refusal.json()["metadata"]["reason"] for refusal in refusals} == {"bad_signature"}
    assert cash(betting, body) == 0


def test_signed_events_about_something_else_are_refused(betting: System) -> None:
    body = request("threeDSecure")
    deposit(betting, body)

    for content in (
        b"no json",
        event({**body, "amount": 100_000}),
        event({**body, "userId": "u-thief"}),
        event({**body, "depositId": f"d-{uuid4().hex}"}),
    ):
        refusal = send(betting, body, content)
        assert refusal.status_code == 400
        assert refusal.json()["metadata"]["reason"] == "invalid_request"
    assert cash(betting, body) == 0
