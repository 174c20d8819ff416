"""PaymentService/withdraw and its workflow, with and without forced replay."""

from uuid import uuid4

import pytest

from tests.helpers.deposits import subjects
from tests.helpers.withdrawals import THRESHOLD, balance, paid_out, rich, status, withdraw
from tests.running import System


@pytest.mark.parametrize("destination", ["bank", "flaky", "timeoutCharged"])
def test_a_withdrawal_is_paid_once(betting: System, destination: str) -> None:
    player = rich(betting)
    name = f"x-{uuid4().hex}"

    answers = [withdraw(betting, player, destination=destination, withdrawalId=name) for _ in range(2)]

    assert answers == [{"withdrawalId": name, "status": "held"}] * 2
    betting.eventually(lambda: status(betting, name) == "paid")
    assert balance(betting, player) == (700, 0)
    assert paid_out(betting, name) == [300]
    assert subjects(betting, player, 2) == ["Your deposit has arrived", "Your withdrawal is paid"]
    assert withdraw(betting, player, destination=destination, withdrawalId=name) == answers[0]


@pytest.mark.parametrize("destination", ["refused", "declined"])
def test_a_definite_refusal_gives_the_money_back(betting: System, destination: str) -> None:
    player = rich(betting)
    name = withdraw(betting, player, destination=destination)["withdrawalId"]

    betting.eventually(lambda: status(betting, name) == "failed")
    assert balance(betting, player) == (1_000, 0)
    assert paid_out(betting, name) == []
    assert subjects(betting, player, 2)[1] == "Your withdrawal was given back"


def test_a_payout_nobody_can_tell_of_stays_held(betting: System) -> None:
    player = rich(betting)
    name = withdraw(betting, player, destination="timeoutLost")["withdrawalId"]

    betting.eventually(lambda: status(betting, name) == "payingOut")
    assert balance(betting, player) == (700, 300)


def test_a_payout_that_somebody_has_to_confirm_is_paid_then(betting: System) -> None:
    player = rich(betting)
    name = withdraw(betting, player, destination="threeDSecure")["withdrawalId"]
    betting.eventually(lambda: status(betting, name) == "payingOut")
    betting.eventually(lambda: betting.complete_three_d_secure(name).status_code == 200)

    betting.eventually(lambda: status(betting, name) == "paid")
    assert balance(betting, player) == (700, 0)


@pytest.mark.parametrize(
    ("decide", "body", "end", "left"),
    [
        ("approve", {"operator": "ann"}, "paid", 0),
        ("reject", {"operator": "ann", "reason": "no papers"}, "rejected", THRESHOLD),
        (None, None, "timedOut", THRESHOLD),
    ],
)
def test_a_review_is_decided_once_or_times_out(
    betting: System, decide: str | None, body: dict[str, str] | None, end: str, left: int
) -> None:
    player = rich(betting, THRESHOLD)
    answer = withdraw(betting, player, amount=THRESHOLD)
    name = answer["withdrawalId"]
    assert answer["status"] == status(betting, name) == "inReview"
    assert balance(betting, player) == (0, THRESHOLD)

    if decide is not None:
        assert betting.call("WithdrawalWorkflow", decide, body, key=name).status_code == 200

    betting.eventually(lambda: status(betting, name) == end)
    assert balance(betting, player) == (left, 0)
    for again, words in (("approve", {"operator": "bob"}), ("reject", {"operator": "bob", "reason": "late"})):
        refusal = betting.call("WithdrawalWorkflow", again, words, key=name)
        assert refusal.status_code == 409
        assert refusal.json()["metadata"]["reason"] == "already_decided"


@pytest.mark.parametrize(
    ("fields", "status_code", "metadata"),
    [
        ({"amount": 1_001}, 422, {"reason": "insufficient_funds", "available": "1000"}),
        ({"walletId": "nowhere"}, 404, {"reason": "unknown_wallet"}),
        ({"userId": "u-nobody"}, 404, {"reason": "unknown_wallet"}),
    ],
)
def test_a_refused_withdrawal_holds_nothing(
    betting: System, fields: dict[str, object], status_code: int, metadata: dict[str, str]
) -> None:
    player = rich(betting)

    assert withdraw(betting, player, status_code, **fields)["metadata"] == metadata
    assert balance(betting, player) == (1_000, 0)


def test_another_players_withdrawal_id_is_refused_and_the_money_comes_back(betting: System) -> None:
    one, other = rich(betting), rich(betting)
    name = withdraw(betting, one)["withdrawalId"]

    refusal = withdraw(betting, other, 409, withdrawalId=name)

    assert refusal["metadata"]["reason"] == "id_reused"
    assert balance(betting, other) == (1_000, 0)


def test_an_unknown_withdrawal_is_a_404(betting: System) -> None:
    for handler, body in (("status", None), ("approve", {"operator": "ann"})):
        refusal = betting.call("WithdrawalWorkflow", handler, body, key="x-nobodys")
        assert refusal.status_code == 404
        assert refusal.json()["metadata"]["reason"] == "unknown_withdrawal"
