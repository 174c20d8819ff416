"""What the provider says of a payout later: paid, refused, or sent back, signed and to one address."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from app.domain.archive_pages import KEPT_ENDED, MAX_ENDED
from app.providers.webhooks import HEADER, sign
from tests.helpers.deposits import deposit, subjects
from tests.helpers.withdrawals import at_the_provider, balance, paid_out, rich, status, stop, withdraw
from tests.running import WEBHOOK_SECRET, System


def tell(
    betting: System, player: dict[str, object], name: str, said: str, amount: int = 300, answered: int = 200
) -> None:
    """Send a signed event of our own making."""
    content = {"userId": player["userId"], "walletId": player["walletId"], "amount": amount, "currency": "EUR"}
    body = json.dumps({"reference": name, "status": said, "kind": "payout", **content}).encode()
    headers = {HEADER: sign(WEBHOOK_SECRET, body, datetime.now(UTC)), "content-type": "application/json"}
    answer = betting.post_raw("PaymentService/webhook", body, headers)
    assert answer.status_code == answered, answer.text


def kinds(betting: System, player: dict[str, object]) -> list[str]:
    entries = betting.call("PlayerService", "getStatement", key=str(player["userId"])).json()["entries"]
    return [entry["kind"] for entry in entries]


@pytest.mark.parametrize("first", ["paid", "sentBack"])
def test_a_payout_that_is_sent_back_returns_to_the_wallet_once(betting: System, first: str) -> None:
    player = rich(betting)
    name = withdraw(betting, player, destination="bank" if first == "paid" else "threeDSecure")["withdrawalId"]
    if first == "paid":
        betting.eventually(lambda: status(betting, name) == "paid")
        at_the_provider(betting, name, "sendBack")
    else:
        betting.eventually(lambda: status(betting, name) == "payingOut")
        tell(betting, player, name, "sentBack")

    betting.eventually(lambda: status(betting, name) == "sentBack")
    for said in ("paid", "sentBack", "refused", "paid"):
        tell(betting, player, name, said)

    assert balance(betting, player) == (1_000, 0)
    assert kinds(betting, player) == ["deposit", "withdrawalHeld", "withdrawalPaid", "payoutSentBack"]
    assert "Your withdrawal was sent back" in subjects(betting, player, 3 if first == "paid" else 2)


def test_a_payout_that_left_the_document_long_ago_is_sent_back_as_well(betting: System) -> None:
    player = rich(betting)
    name = withdraw(betting, player)["withdrawalId"]
    betting.eventually(lambda: status(betting, name) == "paid")
    for number in range(KEPT_ENDED):
        later = withdraw(betting, player, amount=1, withdrawalId=f"x.{number}.{name}")["withdrawalId"]
        betting.eventually(lambda later=later: status(betting, str(later)) == "paid")  # type: ignore[misc]
    for number in range(MAX_ENDED - KEPT_ENDED):
        deposit(betting, {**player, "amount": 1, "depositId": f"{name}.{number}"})
    document = json.loads(betting.state("PlayerService", str(player["userId"]))["player"])
    assert name not in document["withdrawals"]

    at_the_provider(betting, name, "sendBack")

    betting.eventually(lambda: status(betting, name) == "sentBack")
    assert balance(betting, player) == (1_000 + MAX_ENDED - 2 * KEPT_ENDED, 0)


def at_the_provider_by_then(betting: System, name: str) -> None:
    """Wait until the provider knows of a payout, which is paid out by then; that is said before it is asked for."""
    betting.eventually(lambda: httpx.get(f"{betting.sandbox}/payouts/{name}").is_success)
    assert status(betting, name) == "payingOut"


@pytest.mark.parametrize("how", ["", "cancel", "kill"])
def test_an_event_ends_an_unknown_payout_at_once_whoever_waits_for_it(betting: System, how: str) -> None:
    player = rich(betting)
    name = withdraw(betting, player, destination="threeDSecure")["withdrawalId"]
    at_the_provider_by_then(betting, name)
    if how:
        stop(betting, how, name)

    betting.eventually(lambda: betting.complete_three_d_secure(name).status_code == 200)

    betting.eventually(lambda: status(betting, name) == "paid")
    assert balance(betting, player) == (700, 0)
    assert paid_out(betting, name) == [300]


def test_a_refusal_is_looked_up_before_the_money_goes_back(betting: System) -> None:
    player = rich(betting)
    name = withdraw(betting, player, destination="threeDSecure")["withdrawalId"]
    at_the_provider_by_then(betting, name)

    tell(betting, player, name, "refused")
    assert (status(betting, name), balance(betting, player)) == ("payingOut", (700, 300))
    answer = httpx.post(f"{betting.sandbox}/threeDSecure/{name}/complete", params={"outcome": "declined"})
    assert answer.is_success

    betting.eventually(lambda: status(betting, name) == "failed")
    assert balance(betting, player) == (1_000, 0)


def test_an_event_of_another_amount_or_another_player_is_refused_and_moves_nothing(betting: System) -> None:
    player, other = rich(betting), rich(betting)
    name = withdraw(betting, player)["withdrawalId"]
    betting.eventually(lambda: status(betting, name) == "paid")

    tell(betting, player, name, "sentBack", amount=299, answered=400)
    tell(betting, other, name, "sentBack", answered=400)
    tell(betting, other, f"not-ours.{name}", "sentBack")
    tell(betting, player, name, "paid")

    assert balance(betting, player) == (700, 0)
    assert balance(betting, other) == (1_000, 0)


def test_a_payout_that_was_given_back_and_is_paid_after_all_leaves_the_wallet_again(betting: System) -> None:
    player = rich(betting)
    name = withdraw(betting, player, destination="refused")["withdrawalId"]
    betting.eventually(lambda: status(betting, name) == "failed")

    for _ in range(2):
        tell(betting, player, name, "paid")

    betting.eventually(lambda: status(betting, name) == "paid")
    assert balance(betting, player) == (700, 0)
    assert kinds(betting, player)[-1] == "withdrawalPaidLate"
    assert subjects(betting, player, 3)[-1] == "Your withdrawal was paid after all"
