"""Withdrawals whose workflow is cancelled or killed, and what the provider says of payouts later."""

import httpx
import pytest

from tests.helpers.deposits import subjects
from tests.helpers.withdrawals import THRESHOLD, balance, paid_out, rich, status, stop, withdraw
from tests.running import System


def decide(betting: System, withdrawal_id: str, **words: str) -> httpx.Response:
    how = "reject" if "reason" in words else "approve"
    return betting.call("WithdrawalWorkflow", how, {"operator": "ann", **words}, key=withdrawal_id)


def refused(response: httpx.Response) -> str:
    assert response.status_code == 409, response.text
    return response.json()["metadata"]["reason"]  # type: ignore[no-any-return]


def test_a_review_that_is_cancelled_gives_the_money_back_and_cannot_be_decided(betting: System) -> None:
    player = rich(betting, THRESHOLD)
    name = withdraw(betting, player, amount=THRESHOLD)["withdrawalId"]

    stop(betting, "cancel", name)

    assert refused(decide(betting, name)) == "withdrawal_interrupted"
    assert refused(decide(betting, name, reason="late")) == "withdrawal_interrupted"
    betting.eventually(lambda: status(betting, name) == "failed")
    assert balance(betting, player) == (THRESHOLD, 0)
    assert refused(decide(betting, name)) == "withdrawal_interrupted"
    assert paid_out(betting, name) == []
    assert subjects(betting, player, 2)[-1] == "Your withdrawal was given back"


@pytest.mark.parametrize("mend", ["repeat", "resume"])
def test_a_review_that_is_killed_gives_the_money_back_when_it_is_repeated_or_repaired(
    betting: System, mend: str
) -> None:
    player = rich(betting, THRESHOLD)
    wish = {"amount": THRESHOLD, "withdrawalId": f"x-{player['depositId']}"}
    name = withdraw(betting, player, 200, **wish)["withdrawalId"]
    stop(betting, "kill", name)

    if mend == "repeat":
        assert withdraw(betting, player, 200, **wish) == {"withdrawalId": name, "status": "inReview"}
    else:
        assert refused(decide(betting, name)) == "withdrawal_interrupted"

    betting.eventually(lambda: status(betting, name) == "failed")
    assert balance(betting, player) == (THRESHOLD, 0)


@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_a_payout_whose_run_is_stopped_is_looked_up_by_another(betting: System, how: str) -> None:
    player = rich(betting)
    wish = {"destination": "threeDSecure", "withdrawalId": f"x-{player['depositId']}"}
    name = withdraw(betting, player, 200, **wish)["withdrawalId"]
    betting.eventually(lambda: status(betting, name) == "payingOut")

    stop(betting, how, name)
    withdraw(betting, player, 200, **wish)
    assert betting.eventually(lambda: betting.complete_three_d_secure(name).status_code == 200)

    betting.eventually(lambda: status(betting, name) == "paid")
    assert balance(betting, player) == (700, 0)
    assert paid_out(betting, name) == [300]


def test_a_payout_whose_run_is_stopped_goes_on_without_being_asked(betting: System) -> None:
    player = rich(betting)
    name = withdraw(betting, player, destination="threeDSecure")["withdrawalId"]
    betting.eventually(lambda: status(betting, name) == "payingOut")

    stop(betting, "cancel", name)
    assert betting.eventually(lambda: betting.complete_three_d_secure(name).status_code == 200)

    betting.eventually(lambda: status(betting, name) == "paid")
    assert balance(betting, player) == (700, 0)


def test_a_resumption_is_harmless_while_the_run_lives(betting: System) -> None:
    player = rich(betting, THRESHOLD)
    wish = {"amount": THRESHOLD, "withdrawalId": f"x-{player['depositId']}"}
    name = withdraw(betting, player, 200, **wish)["withdrawalId"]

    for _ in range(3):
        withdraw(betting, player, 200, **wish)
    assert decide(betting, name).json()["status"] == "approved"

    betting.eventually(lambda: status(betting, name) == "paid")
    assert balance(betting, player) == (0, 0)
    assert paid_out(betting, name) == [THRESHOLD]


def test_a_payout_that_was_never_seen_is_given_back_after_the_window(betting: System) -> None:
    player = rich(betting)
    name = withdraw(betting, player, destination="timeoutLost")["withdrawalId"]

    betting.eventually(lambda: status(betting, name) == "payingOut")
    assert balance(betting, player) == (700, 300)
    betting.eventually(lambda: status(betting, name) == "failed")
    assert balance(betting, player) == (1_000, 0)
    assert subjects(betting, player, 2)[-1] == "Your withdrawal was given back"


def test_a_rejection_tells_its_message_and_never_its_reason(betting: System) -> None:
    player = rich(betting, THRESHOLD)
    name = withdraw(betting, player, amount=THRESHOLD)["withdrawalId"]

    answer = decide(betting, name, reason="a fraud suspicion", message="please call us")

    assert answer.json() == {"withdrawalId": name, "status": "rejected"}
    betting.eventually(lambda: status(betting, name) == "rejected")
    subjects(betting, player, 2)
    told = betting.mails(str(player["email"]))[-1]["text"]
    assert "please call us" in told
    assert "suspicion" not in told
    kept = betting.state("PlayerService", str(player["userId"]))["player"]
    assert all(words in kept for words in (b"a fraud suspicion", b"please call us", b"ann"))


def test_an_id_that_another_players_run_left_is_claimed_by_one_only(betting: System) -> None:
    one, other = rich(betting, THRESHOLD), rich(betting)
    name = withdraw(betting, one, amount=THRESHOLD)["withdrawalId"]
    stop(betting, "kill", name)

    refusal = withdraw(betting, other, 409, withdrawalId=name)

    assert refusal["metadata"]["reason"] == "id_reused"
    assert balance(betting, other) == (1_000, 0)
    withdraw(betting, one, amount=THRESHOLD, withdrawalId=name)
    betting.eventually(lambda: balance(betting, one) == (THRESHOLD, 0))
