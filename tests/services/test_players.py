"""PlayerService: limits, breaks, exclusion and the statement, with and without forced replay."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.helpers.deposits import cash, deposit, request, subjects
from tests.running import System

WEEK = {"kind": "deposit", "period": "week"}


def ask(betting: System, key: str, handler: str, body: object = None, status: int = 200) -> dict:  # type: ignore[type-arg]
    response = betting.call("PlayerService", handler, body, key=key)
    assert response.status_code == status, response.text
    return response.json()  # type: ignore[no-any-return]


def someone() -> str:
    return f"u-{uuid4().hex}"


def week(betting: System, key: str) -> dict:  # type: ignore[type-arg]
    limits = ask(betting, key, "getLimits")["limits"]
    found = next(limit for limit in limits if (limit["kind"], limit["period"]) == ("deposit", "week"))
    return {name: found[name] for name in ("inForce", "used", "remaining", "pending")}


def test_an_unknown_player_has_no_wallets(betting: System) -> None:
    key = someone()

    assert ask(betting, key, "getAccount") == {
        "userId": key,
        "wallets": {},
        "restriction": None,
        "openBets": 0,
        "inDebt": False,
    }
    assert ask(betting, key, "getStatement") == {"page": 1, "pages": 1, "entries": []}
    assert ask(betting, key, "audit") == {"balanced": True, "wallets": {}}


def test_limits_show_what_is_used_and_what_remains(betting: System) -> None:
    body = request(amount=4_000)
    deposit(betting, body)
    key = str(body["userId"])
    ask(betting, key, "setLimit", {"kind": "stake", "period": "day", "amount": 500})

    limits = {(limit.pop("kind"), limit.pop("period")): limit for limit in ask(betting, key, "getLimits")["limits"]}

    assert len(limits) == 9
    assert limits["deposit", "week"] == {"inForce": 10_000, "used": 4_000, "remaining": 6_000, "pending": None}
    assert limits["deposit", "day"] == {"inForce": None, "used": 4_000, "remaining": None, "pending": None}
    assert limits["stake", "day"] == {"inForce": 500, "used": 0, "remaining": 500, "pending": None}


def test_a_cut_blocks_at_once_and_the_tightest_limit_is_named(betting: System) -> None:
    body = request(amount=300)
    deposit(betting, body)
    key = str(body["userId"])

    assert ask(betting, key, "setLimit", {"kind": "deposit", "period": "day", "amount": 500}) == {
        "inForce": 500,
        "pending": None,
    }
    refusal = deposit(betting, {**body, "depositId": f"{key}-2", "amount": 201}, 422)
    assert refusal["metadata"] == {"reason": "deposit_limit", "remaining": "200", "period": "day"}
    assert "Your limits have changed" in subjects(betting, body, 2)


def test_a_raise_cools_off_and_is_confirmed(betting: System) -> None:
    key = someone()

    answer = ask(betting, key, "setLimit", {**WEEK, "amount": 20_000})
    assert answer["inForce"] == 10_000
    assert answer["pending"]["amount"] == 20_000
    assert ask(betting, key, "confirmLimit", WEEK, 409)["metadata"]["reason"] == "cooling_off"
    betting.eventually(lambda: betting.call("PlayerService", "confirmLimit", WEEK, key=key).status_code == 200)

    assert week(betting, key) == {"inForce": 20_000, "used": 0, "remaining": 20_000, "pending": None}
    assert ask(betting, key, "confirmLimit", WEEK, 409)["metadata"]["reason"] == "no_pending_change"


def test_a_raise_that_is_not_confirmed_in_time_expires(betting: System) -> None:
    key = someone()
    ask(betting, key, "setLimit", {**WEEK, "amount": None})

    betting.eventually(
        lambda: all(limit["pending"] is None for limit in ask(betting, key, "getLimits")["limits"]), timeout=30
    )

    assert ask(betting, key, "confirmLimit", WEEK, 409)["metadata"]["reason"] == "change_expired"


def test_a_raise_can_be_taken_back(betting: System) -> None:
    key = someone()
    ask(betting, key, "setLimit", {**WEEK, "amount": 20_000})

    assert ask(betting, key, "cancelLimitChange", WEEK) == {"inForce": 10_000, "pending": None}
    assert ask(betting, key, "cancelLimitChange", WEEK, 409)["metadata"]["reason"] == "no_pending_change"


@pytest.mark.parametrize(
    ("handler", "words", "kind", "reason"),
    [
        ("takeBreak", {"days": 42}, "break", "on_a_break"),
        ("selfExclude", {"months": 6, "confirm": True}, "selfExclusion", "self_excluded"),
    ],
)
def test_restricted_players_cannot_deposit_but_can_withdraw(
    betting: System, handler: str, words: dict[str, object], kind: str, reason: str
) -> None:
    body = request(amount=1_000)
    deposit(betting, body)
    key = str(body["userId"])

    restriction = ask(betting, key, handler, words)

    assert restriction["kind"] == kind
    assert ask(betting, key, "getAccount")["restriction"] == restriction
    refusal = deposit(betting, {**body, "depositId": f"{key}-2"}, 403)
    assert refusal["metadata"]["reason"] == reason
    withdrawal = {"walletId": body["walletId"], "userId": key, "amount": 100, "destination": "bank"}
    assert betting.call("PaymentService", "withdraw", withdrawal).status_code == 200
    assert "Your break or self-exclusion" in subjects(betting, body, 2)


def test_an_exclusion_is_irrevocable(betting: System) -> None:
    key = someone()
    ask(betting, key, "selfExclude", {"months": 12, "confirm": True})

    for handler, words in (
        ("selfExclude", {"months": 6, "confirm": True}),
        ("takeBreak", {"days": 42}),
        ("reinstate", None),
    ):
        assert ask(betting, key, handler, words, 409)["metadata"]["reason"] == "irrevocable"


def test_a_statement_has_pages_and_old_ones_are_read_elsewhere(betting: System) -> None:
    body = request(amount=1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: deposit(betting, {**body, "depositId": f"{body['depositId']}-{n}"}), range(120)))
    betting.eventually(lambda: cash(betting, body) == 120)
    key = str(body["userId"])

    newest = ask(betting, key, "getStatement")
    pages = [ask(betting, key, "getStatement", {"page": page})["entries"] for page in (1, 2, 3)]

    assert (newest["page"], newest["pages"]) == (3, 3)
    assert newest["entries"] == pages[2]
    entries = [entry for page in pages for entry in page]
    assert [entry["seq"] for entry in entries] == list(range(1, 121))
    assert [entry["cashAfter"] for entry in entries] == list(range(1, 121))
    assert cash(betting, body) == 120
    assert ask(betting, key, "getStatement", {"page": 4}, 400)["metadata"]["reason"] == "invalid_request"
    oldest = entries[0]["reference"]
    same_id = {"walletId": body["walletId"], "userId": key, "amount": 1, "destination": "bank", "withdrawalId": oldest}
    assert betting.call("PaymentService", "withdraw", same_id).status_code == 200
    repeated = deposit(betting, {**body, "depositId": oldest})
    assert repeated["balance"]["cash"] == 1
    betting.eventually(lambda: ask(betting, key, "getAccount")["wallets"][body["walletId"]]["pendingOut"] == 0)
    assert cash(betting, body) == 119
