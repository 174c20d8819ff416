"""PaymentService/deposit, each scenario of the contract, with and without forced replay."""

from uuid import uuid4

import pytest

from tests.helpers.deposits import SEED, cash, deposit, moved, request, status, subjects
from tests.running import System


def test_the_seeds_deposit_is_credited_charged_once_and_told_once(betting: System) -> None:
    body = {**SEED, "userId": f"u-{uuid4().hex}", "email": f"{uuid4().hex}@example.com"}

    answer = deposit(betting, body)

    assert answer == {
        "depositId": answer["depositId"],
        "status": "credited",
        "amount": 100,
        "balance": {"cash": 100, "locked": 0, "pendingOut": 0},
    }
    body["depositId"] = answer["depositId"]
    assert moved(betting, body) == [100]
    assert cash(betting, body) == 100
    assert subjects(betting, body, 1) == ["Your deposit has arrived"]
    assert status(betting, body) == "credited"


def test_restates_idempotency_key_gives_the_same_deposit(betting: System) -> None:
    body = {**SEED, "userId": f"u-{uuid4().hex}"}
    headers = {"idempotency-key": uuid4().hex}

    first, second = (betting.call("PaymentService", "deposit", body, headers=headers).json() for _ in range(2))

    assert first == second
    assert cash(betting, body) == 100


def test_a_repeated_deposit_gives_the_same_answer_even_after_others(betting: System) -> None:
    body = request()
    first = deposit(betting, body)
    deposit(betting, {**body, "depositId": f"{body['depositId']}-2"})

    assert deposit(betting, body) == first
    assert moved(betting, body) == [100]
    assert cash(betting, body) == 200


def test_an_id_stands_for_one_content_and_one_player(betting: System) -> None:
    body = request()
    deposit(betting, body)

    for change in ({"amount": 101}, {"userId": f"u-{uuid4().hex}"}):
        refusal = deposit(betting, {**body, **change}, 409)
        assert refusal["metadata"]["reason"] == "id_reused"
    assert moved(betting, body) == [100]
    assert cash(betting, body) == 100


def test_money_taken_under_anothers_id_is_credited_to_who_paid_it(betting: System) -> None:
    first, second = request("timeoutLost"), request("timeoutCharged")
    second["depositId"] = first["depositId"]
    deposit(betting, first)

    assert deposit(betting, second)["status"] == "credited"

    betting.eventually(lambda: status(betting, first) == "declined")
    assert (cash(betting, first), cash(betting, second)) == (0, 100)
    assert [charge["userId"] for charge in betting.charges(str(first["depositId"]))] == [second["userId"]]


def test_a_decline_is_a_402_and_gives_the_limit_back(betting: System) -> None:
    body = request("declined", amount=10_000)

    for _ in range(2):
        refusal = deposit(betting, body, 402)
        assert refusal["metadata"]["reason"] == "payment_declined"
    assert subjects(betting, body, 1) == ["Your deposit did not go through"]
    other = {**body, "depositId": f"{body['depositId']}-2", "paymentMethod": "creditCard"}
    assert deposit(betting, other)["status"] == "credited"
    assert status(betting, body) == "declined"
    assert moved(betting, body) == []


def test_a_flaky_provider_is_asked_again(betting: System) -> None:
    body = request("flaky")

    assert deposit(betting, body)["status"] == "credited"
    assert moved(betting, body) == [100]


def test_a_charge_without_an_answer_is_pending_until_a_look_up_finds_it(betting: System) -> None:
    body = request("timeoutCharged")

    assert deposit(betting, body) == {"depositId": body["depositId"], "status": "pending"}
    betting.eventually(lambda: status(betting, body) == "credited")
    assert cash(betting, body) == 100
    assert moved(betting, body) == [100]
    assert deposit(betting, body)["status"] == "credited"
    assert subjects(betting, body, 1) == ["Your deposit has arrived"]


def test_a_charge_that_was_never_made_fails_after_the_window_and_gives_the_limit_back(betting: System) -> None:
    body = request("timeoutLost", amount=10_000)

    assert deposit(betting, body)["status"] == "pending"
    other = {**body, "depositId": f"{body['depositId']}-2", "paymentMethod": "creditCard"}
    assert deposit(betting, other, 422)["metadata"] == {"reason": "deposit_limit", "remaining": "0", "period": "week"}
    betting.eventually(lambda: status(betting, body) == "failed")
    assert deposit(betting, other)["status"] == "credited"
    assert deposit(betting, body) == {"depositId": body["depositId"], "status": "failed"}
    assert moved(betting, body) == []


def test_three_d_secure_is_credited_once_by_its_webhooks(betting: System) -> None:
    body = request("threeDSecure")

    answer = deposit(betting, body)
    assert answer == {
        "depositId": body["depositId"],
        "status": "actionRequired",
        "redirectUrl": answer["redirectUrl"],
    }
    assert status(betting, body) == "actionRequired"
    assert deposit(betting, body) == answer
    betting.complete_three_d_secure(str(body["depositId"]))

    betting.eventually(lambda: status(betting, body) == "credited")
    assert cash(betting, body) == 100
    assert moved(betting, body) == [100]
    assert subjects(betting, body, 1) == ["Your deposit has arrived"]


def test_three_d_secure_that_nobody_completes_fails_at_the_deadline(betting: System) -> None:
    body = request("threeDSecure")

    deposit(betting, body)

    betting.eventually(lambda: status(betting, body) == "failed")
    assert cash(betting, body) == 0


def test_the_default_weekly_limit_holds(betting: System) -> None:
    body = request(amount=6_000)
    deposit(betting, body)

    refusal = deposit(betting, {**body, "depositId": f"{body['depositId']}-2", "amount": 4_001}, 422)

    assert refusal == {
        "code": 422,
        "message": "deposit limit: 4000 left this week",
        "metadata": {"reason": "deposit_limit", "remaining": "4000", "period": "week"},
        "source": "invocation",
    }
    assert cash(betting, body) == 6_000


@pytest.mark.parametrize(("currency", "status_code"), [("USD", 409), ("EUR", 200)])
def test_a_wallet_keeps_its_currency(betting: System, currency: str, status_code: int) -> None:
    body = request()
    deposit(betting, body)

    answer = deposit(betting, {**body, "depositId": f"{body['depositId']}-2", "currency": currency}, status_code)

    if status_code == 409:
        assert answer["metadata"]["reason"] == "wallet_currency"
        assert cash(betting, body) == 100


@pytest.mark.parametrize("code", ["XXX", "XTS", "XAU", "XDR", "ABC", "DEM"])
def test_what_is_no_currency_is_refused_with_the_fields_name(betting: System, code: str) -> None:
    answer = deposit(betting, {**request(), "currency": code}, 400)

    assert answer["metadata"]["reason"] == "invalid_request"
    assert answer["message"].startswith("currency: ")


def test_a_currency_that_the_operator_has_not_named_is_not_accepted(betting: System) -> None:
    body = {**request(), "currency": "USD"}

    answer = deposit(betting, body, 422)

    assert answer["metadata"] == {"reason": "currency_not_accepted", "currency": "USD"}
    assert betting.charges(str(body["depositId"])) == []


def test_two_currencies_have_limits_of_their_own_and_are_named_as_people_write_them(betting: System) -> None:
    euros = request(amount=10_000)
    user = str(euros["userId"])
    yen = {**euros, "depositId": f"{user}-yen", "walletId": "yen", "amount": 1_400_000, "currency": "JPY"}
    deposit(betting, euros)
    deposit(betting, yen)

    refused = deposit(betting, {**yen, "depositId": f"{user}-more", "amount": 100_001}, 422)

    assert refused["metadata"] == {"reason": "deposit_limit", "remaining": "100000", "period": "week"}
    betting.eventually(lambda: len(betting.mails(str(euros["email"]))) == 2)
    texts = " ".join(mail["text"] for mail in betting.mails(str(euros["email"])))
    assert "100.00 EUR" in texts
    assert "1400000 JPY" in texts
    limits = betting.call("PlayerService", "getLimits", key=user).json()["limits"]
    weekly = [limit for limit in limits if (limit["kind"], limit["period"]) == ("deposit", "week")]
    assert [(limit.get("currency"), limit["used"], limit["remaining"]) for limit in weekly] == [
        (None, 10_000, 0),
        ("JPY", 1_400_000, 100_000),
    ]
