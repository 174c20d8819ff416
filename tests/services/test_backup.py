"""The drill of docs/operations.md on real processes: Restate's folder is copied while stopped, lost, and put back.

What the backup has is there. What came after it is lost in the books, and stays moved at the provider: each such
reference is named, and mended by the request or the event that moved it, without moving it again.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.dev.commands import betting as command
from tests.helpers.bets import Customer, Game, refused
from tests.helpers.deposits import cash, deposit, moved, request, status
from tests.helpers.ports import free_port_base
from tests.helpers.webhooks import event, send
from tests.helpers.withdrawals import at_the_provider, balance, paid_out, rich, withdraw
from tests.helpers.withdrawals import status as status_of_withdrawal
from tests.running import System, running

CALM = {
    "BETTING_REVIEW_THRESHOLD": "EUR=500",
    "BETTING_REVIEW_TIMEOUT_SECONDS": "3600",
    "BETTING_UNKNOWN_DEADLINE_SECONDS": "3600",
    "BETTING_BOOKS_REPAIR": "false",
}
"""Nothing ends by its time during the drill, and nothing is repaired before somebody has looked."""
PLAYED = 1_000
WITHDRAWN = 600
"""Above the threshold of the review."""


@dataclass
class Drill:
    """A system that was restored, with whom it knows, and what happened after the backup."""

    system: System
    found: dict[str, tuple[str, str]]
    """What the bookkeeper named right after the restore: the matter, and how the sides differ, by reference."""
    names: dict[str, Any]

    def differs(self, reference: str) -> bool:
        """Whether the bookkeeper names a reference now."""
        return reference in differences(self.system)


def differences(system: System) -> dict[str, tuple[str, str]]:
    where = [f"--admin={system.admin}", f"--ingress={system.ingress}", f"--provider={system.sandbox}"]
    answer = command("books", "--once", "--reconcile-after=0", "--output=json", *where)
    assert answer.stdout, answer.stderr
    told = json.loads(answer.stdout)
    assert (answer.returncode == 1) == bool(told["reconciled"]["first"])
    return {each["reference"]: (each["matter"], each["difference"]) for each in told["reconciled"]["first"]}


def restriction(system: System, body: dict[str, object]) -> object:
    return system.call("PlayerService", "getAccount", key=str(body["userId"])).json()["restriction"]


def in_review(system: System) -> tuple[dict[str, object], str]:
    player, name = rich(system), f"w-{uuid4().hex}"
    assert withdraw(system, player, amount=WITHDRAWN, withdrawalId=name)["status"] == "inReview"
    system.eventually(lambda: status_of_withdrawal(system, name) == "inReview")
    return player, name


def approved(system: System, name: str) -> None:
    answer = system.call("WithdrawalWorkflow", "approve", {"operator": "olga"}, key=name)
    assert answer.is_success, answer.text
    system.eventually(lambda: status_of_withdrawal(system, name) == "paid")


def at_the_charge(system: System, body: dict[str, object], what: str) -> None:
    """Let the provider move a charge back. It tells so, also when it was asked before."""
    answer = httpx.post(f"{system.sandbox}/charges/{body['depositId']}/{what}", trust_env=False)
    assert answer.is_success, answer.text


def before(system: System) -> dict[str, Any]:
    """What the backup has."""
    customer, game = Customer(system, PLAYED), Game(system)
    return {
        "kept": deposit(system, kept := request()) and kept,
        "waiting": deposit(system, waiting := request("threeDSecure")) and waiting,
        "refunded": deposit(system, refunded := request()) and refunded,
        "bet": customer.bets(game.home(), stake=100)["betId"],
        "customer": customer,
        "game": game,
        "to be told": in_review(system),
        "to be approved": in_review(system),
        "to be rejected": in_review(system),
        "to be asked for": rich(system),
    }


def after(system: System, names: dict[str, Any]) -> dict[str, Any]:
    """What happens after it, and is lost."""
    for name in ("customer", "game"):
        names[name].betting = system
    assert system.complete_three_d_secure(names["waiting"]["depositId"]).is_success
    at_the_charge(system, names["refunded"], "refund")
    for name in ("to be told", "to be approved", "to be rejected"):
        approved(system, names[name][1])
    withdraw(system, names["to be asked for"], amount=300, withdrawalId=(asked := f"w-{uuid4().hex}"))
    system.eventually(lambda: status_of_withdrawal(system, asked) == "paid")
    new_bet = names["customer"].bets(names["game"].home(), stake=200)
    names["game"].ends(home="won")
    keyed = {name: value for name, value in request().items() if name != "depositId"}
    key = {"idempotency-key": uuid4().hex}
    first = system.call("PaymentService", "deposit", keyed, headers=key).json()
    system.call("PlayerService", "selfExclude", {"months": 6, "confirm": True}, key=names["kept"]["userId"])
    assert restriction(system, names["kept"])
    for body in (names["waiting"], charged := request(), told := request()):
        system.eventually(lambda body=body: deposit(system, body)["status"] == "credited")  # type: ignore[misc]
    system.eventually(lambda: cash(system, names["refunded"]) == 0)
    return {
        "charged": charged,
        "told": told,
        "keyed": (keyed, key, first["depositId"]),
        "asked": asked,
        "new bet": new_bet,
    }


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    folder, base = tmp_path_factory.mktemp("backup"), free_port_base()
    restate, backup = folder / "state" / "restate", folder / "backup"

    with running(folder, CALM, base=base) as system:
        names = before(system)
    shutil.copytree(restate, backup)
    with running(folder, CALM, base=base) as system:
        names |= after(system, names)
    lose(restate)
    shutil.copytree(backup, restate)
    with running(folder, CALM, base=base) as system:
        for name in ("customer", "game"):
            names[name].betting = system
        yield Drill(system, differences(system), names)


def lose(restate: Path) -> None:
    assert any(restate.iterdir()), "there is something to lose"
    shutil.rmtree(restate)


def test_what_the_backup_has_is_there_and_balances(drill: Drill) -> None:
    system, kept = drill.system, drill.names["kept"]

    assert (cash(system, kept), moved(system, kept)) == (100, [100])
    assert kept["depositId"] not in drill.found
    assert deposit(system, kept)["status"] == "credited"
    assert moved(system, kept) == [100]


def test_work_that_was_in_flight_goes_on_and_learns_what_happened_since(drill: Drill) -> None:
    system, waiting = drill.system, drill.names["waiting"]

    system.eventually(lambda: status(system, waiting) == "credited")
    assert (cash(system, waiting), moved(system, waiting)) == (100, [100])


def test_a_charge_after_the_backup_is_named_and_the_same_request_credits_it_without_a_second_one(drill: Drill) -> None:
    system, charged = drill.system, drill.names["charged"]
    assert status(system, charged) == "unknown"
    assert drill.found[charged["depositId"]] == ("charge", "notHere")

    assert deposit(system, charged)["status"] == "credited"

    assert (cash(system, charged), moved(system, charged)) == (100, [100])
    assert not drill.differs(charged["depositId"])


def test_a_deposit_after_the_backup_that_has_only_an_idempotency_key_is_the_same_one(drill: Drill) -> None:
    system, (body, key, deposit_id) = drill.system, drill.names["keyed"]
    assert drill.found[deposit_id] == ("charge", "notHere")

    again = system.call("PaymentService", "deposit", body, headers=key).json()

    assert (again["depositId"], again["status"]) == (deposit_id, "credited")
    assert [charge["amount"] for charge in system.charges(deposit_id)] == [100]
    assert not drill.differs(deposit_id)


def test_an_event_that_comes_again_credits_nothing_until_its_deposit_is_asked_for_again(drill: Drill) -> None:
    system, told = drill.system, drill.names["told"]

    assert send(system, told, event(told)).status_code == 200
    assert status(system, told) == "unknown"
    assert drill.differs(told["depositId"])
    assert deposit(system, told)["status"] == "credited"

    assert send(system, told, event(told)).status_code == 200
    assert (cash(system, told), moved(system, told)) == (100, [100])


def test_a_refund_after_the_backup_is_named_and_its_event_takes_the_money_back(drill: Drill) -> None:
    system, refunded = drill.system, drill.names["refunded"]
    assert cash(system, refunded) == 100
    assert drill.found[refunded["depositId"]] == ("charge", "notHere")

    at_the_charge(system, refunded, "refund")

    system.eventually(lambda: cash(system, refunded) == 0)
    assert not drill.differs(refunded["depositId"])


def test_a_payout_after_the_backup_is_named_and_its_event_ends_the_withdrawal(drill: Drill) -> None:
    system, (player, name) = drill.system, drill.names["to be told"]
    assert drill.found[name] == ("payout", "notHere")
    assert (status_of_withdrawal(system, name), balance(system, player)) == ("inReview", (400, WITHDRAWN))

    at_the_provider(system, name, "tell")

    system.eventually(lambda: balance(system, player) == (400, 0))
    assert paid_out(system, name) == [WITHDRAWN]
    assert not drill.differs(name)


def test_a_withdrawal_that_is_approved_again_is_not_paid_again(drill: Drill) -> None:
    system, (player, name) = drill.system, drill.names["to be approved"]
    assert drill.found[name] == ("payout", "notHere")

    approved(system, name)

    assert (balance(system, player), paid_out(system, name)) == ((400, 0), [WITHDRAWN])


def test_a_withdrawal_that_ends_otherwise_than_at_the_provider_is_mended_by_its_event(drill: Drill) -> None:
    system, (player, name) = drill.system, drill.names["to be rejected"]
    body = {"operator": "olga", "reason": "it seemed to wait"}
    assert system.call("WithdrawalWorkflow", "reject", body, key=name).is_success
    system.eventually(lambda: balance(system, player) == (1_000, 0))

    at_the_provider(system, name, "tell")

    system.eventually(lambda: balance(system, player) == (400, 0))
    assert paid_out(system, name) == [WITHDRAWN]


def test_a_withdrawal_after_the_backup_is_named_and_the_same_request_enters_it(drill: Drill) -> None:
    system, player, name = drill.system, drill.names["to be asked for"], drill.names["asked"]
    assert drill.found[name] == ("payout", "notHere")
    assert balance(system, player) == (1_000, 0)

    withdraw(system, player, amount=300, withdrawalId=name)

    system.eventually(lambda: balance(system, player) == (700, 0))
    assert paid_out(system, name) == [300]


def test_bets_and_results_after_the_backup_are_gone_and_nothing_names_them(drill: Drill) -> None:
    customer, game, new_bet = drill.names["customer"], drill.names["game"], drill.names["new bet"]
    lost = new_bet["betId"]
    assert lost not in json.dumps(drill.found)
    assert customer.money == (900, 100)
    assert refused(customer.does("getBet", {"betId": lost}, 404)) == "unknown_bet"
    assert game.does("get")["status"] == "open", "whoever knows the result may bet on it"

    assert game.ends(home="won")["paid"] == 250

    assert customer.bet({"betId": drill.names["bet"]})["status"] == "settled"
    assert customer.money == (1_150, 0)
    answer = customer.bets(game.home(), stake=200, betId=lost, status=409)
    assert refused(answer) == "market_not_open"


def test_what_a_player_has_forbidden_after_the_backup_is_gone_and_nothing_names_it(drill: Drill) -> None:
    system, kept = drill.system, drill.names["kept"]

    assert restriction(system, kept) is None
    assert kept["userId"] not in json.dumps(drill.found)
