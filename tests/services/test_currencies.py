"""A house whose own currency is the yen, which takes two others, and two ways to pay."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.helpers.deposits import credited, deposit, request
from tests.running import System, running

HOUSE = {
    "BETTING_DEFAULT_CURRENCY": "JPY",
    "BETTING_DEFAULT_WEEKLY_DEPOSIT_LIMIT": "1500000,EUR=10000,KWD=5000",
    "BETTING_REVIEW_THRESHOLD": "150000,EUR=1000,KWD=500",
    "BETTING_MAX_PAYOUT": "JPY=300000,EUR=2000,KWD=1000000",
    "BETTING_PAYMENT_METHODS": "creditCard, Wallet",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("currencies"), environment=HOUSE) as system:
        yield system


def paid_in(house: System, amount: int, **fields: Any) -> dict[str, Any]:
    body = request(amount=amount, **fields)
    credited(house, body)
    return body


def texts(house: System, body: dict[str, Any], at_least: int) -> str:
    house.eventually(lambda: len(house.mails(str(body["email"]))) >= at_least)
    return " ".join(mail["text"] for mail in house.mails(str(body["email"])))


def test_a_deposit_that_names_no_currency_opens_a_wallet_in_the_houses(house: System) -> None:
    body = paid_in(house, 9_000)

    account = house.call("PlayerService", "getAccount", key=body["userId"]).json()
    assert account["wallets"][body["walletId"]]["currency"] == "JPY"
    assert house.charges(body["depositId"])[0]["currency"] == "JPY"
    assert " 9000 JPY " in texts(house, body, 1)


@pytest.mark.parametrize(
    ("currency", "amount", "words"), [("KWD", 999, " 0.999 KWD "), ("EUR", 9_000, " 90.00 EUR "), ("JPY", 7, " 7 JPY ")]
)
def test_mails_name_amounts_as_the_currency_writes_them(house: System, currency: str, amount: int, words: str) -> None:
    body = paid_in(house, amount, currency=currency)
    withdrawal = {"walletId": body["walletId"], "userId": body["userId"], "amount": 1, "destination": "refused"}
    assert house.call("PaymentService", "withdraw", withdrawal).is_success

    assert words in texts(house, body, 2)


@pytest.mark.parametrize(
    ("currency", "amount", "status"),
    [("EUR", 999, "held"), ("EUR", 1_000, "inReview"), ("JPY", 1_000, "held"), ("KWD", 500, "inReview")],
)
def test_a_withdrawal_is_reviewed_from_the_threshold_of_its_currency_on(
    house: System, currency: str, amount: int, status: str
) -> None:
    body = paid_in(house, 2_000, currency=currency)

    withdrawal = {"walletId": body["walletId"], "userId": body["userId"], "amount": amount, "destination": "bank"}
    assert house.call("PaymentService", "withdraw", withdrawal).json()["status"] == status


@pytest.mark.parametrize(("currency", "potential"), [("EUR", 2_000), ("JPY", 10_000)])
def test_a_bet_returns_at_most_what_its_currency_allows(house: System, currency: str, potential: int) -> None:
    body, market = paid_in(house, 2_000, currency=currency), f"m-{uuid4().hex}"
    selections = [{"selectionId": name, "name": name, "price": "10"} for name in ("home", "away")]
    opened = {"name": market, "selections": selections, "currency": currency}
    assert house.call("MarketService", "open", opened, key=market).is_success
    bet = {
        "betId": f"b-{market}",
        "walletId": body["walletId"],
        "stake": 1_000,
        "legs": [{"marketId": market, "selectionId": "home", "price": "10"}],
    }

    placed = house.call("PlayerService", "placeBet", bet, key=body["userId"]).json()

    assert placed["potentialReturn"] == potential


def test_limits_are_set_and_confirmed_in_the_currency_that_is_named(house: System) -> None:
    body = paid_in(house, 2_000, currency="EUR")
    user = body["userId"]
    day = {"kind": "deposit", "period": "day"}

    assert house.call("PlayerService", "setLimit", {**day, "amount": 3_000}, key=user).json()["inForce"] == 3_000
    in_euros = {**day, "amount": 2_500, "currency": "EUR"}
    assert house.call("PlayerService", "setLimit", in_euros, key=user).json()["inForce"] == 2_500

    more = {**body, "depositId": f"{user}-2", "amount": 501}
    assert deposit(house, more, 422)["metadata"] == {"reason": "deposit_limit", "remaining": "500", "period": "day"}
    yen = {**body, "depositId": f"{user}-3", "walletId": "yen", "amount": 3_000, "currency": "JPY"}
    assert deposit(house, yen)["status"] == "credited"
    refused = house.call("PlayerService", "setLimit", {**in_euros, "currency": "USD"}, key=user)
    assert (refused.status_code, refused.json()["metadata"]["reason"]) == (422, "currency_not_accepted")
    pending = house.call("PlayerService", "cancelLimitChange", {**day, "currency": "EUR"}, key=user)
    assert pending.json()["metadata"]["reason"] == "no_pending_change"
    told = texts(house, body, 4)
    assert "3000 JPY" in told
    assert "25.00 EUR" in told


@pytest.mark.parametrize(
    ("method", "status"), [("creditCard", 200), (" CREDITCARD ", 200), ("wallet", 200), ("declined", 403)]
)
def test_payment_methods_are_taken_by_a_list_however_they_are_written(house: System, method: str, status: int) -> None:
    answer = deposit(house, request(method), status)

    assert status == 200 or answer["metadata"]["reason"] == "method_not_allowed"
