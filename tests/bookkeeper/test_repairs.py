"""What a kill leaves behind is named with exit code 4, and is sent on by --repair until nothing is left."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.bookkeeper.commands import bookkeeper, once
from tests.bookkeeper.looking import BROKEN, HOME_WON, TWO, UNFINISHED, Kept, bet, open_market, settle
from tests.running import running

AT_ONCE = "--stranded-after=0"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A system that mends nothing by itself."""
    environment = {
        "BETTING_BOOKS_REPAIR": "false",
        "BETTING_REVIEW_THRESHOLD": "500",
        "BETTING_REVIEW_TIMEOUT_SECONDS": "600",
        "BETTING_LOOKUP_SECONDS": "600",
    }
    with running(tmp_path_factory.mktemp("repairs"), environment=environment) as system:
        yield Kept(system)


def stranded(kept: Kept, *options: str) -> tuple[int, list[dict[str, Any]]]:
    answer = once(kept, AT_ONCE, "--output=json", *options)
    assert answer.stdout, answer.stderr
    things = json.loads(answer.stdout)["stranded"]["first"]
    return answer.returncode, [{k: v for k, v in thing.items() if k not in {"since", "repair"}} for thing in things]


def mended(kept: Kept) -> subprocess.CompletedProcess[str]:
    answer = once(kept, AT_ONCE, "--repair")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer


def killed(kept: Kept, service: str, key: str) -> None:
    """Kill all that is under way at an object, until nothing is."""

    def nothing_left() -> bool:
        kept.kill(service, key)
        return not kept.system.query(UNFINISHED.format(service=service, key=key))

    kept.system.eventually(nothing_left)


def account(kept: Kept, user: str) -> dict[str, Any]:
    """What the player's wallet holds; there is none before its first credit."""
    wallets: dict[str, dict[str, Any]] = kept.accepted("PlayerService", "getAccount", key=user)["wallets"]
    return wallets.get("w", {"cash": 0, "pendingOut": 0})


def test_a_withdrawal_whose_run_was_killed_in_review_is_named_and_given_back_or_finished(kept: Kept) -> None:
    kept.deposit("leaves")
    asked = {"walletId": "w", "userId": "leaves", "amount": 600, "destination": "bank", "withdrawalId": "leaves-1"}
    kept.accepted("PaymentService", "withdraw", asked)
    assert stranded(kept) == (0, [])

    killed(kept, "WithdrawalWorkflow", "leaves-1")

    assert stranded(kept) == (4, [{"kind": "withdrawal", "userId": "leaves", "withdrawalId": "leaves-1"}])
    assert "sent on: withdrawal (userId leaves, withdrawalId leaves-1)" in mended(kept).stdout
    kept.system.eventually(lambda: account(kept, "leaves")["pendingOut"] == 0)


def test_a_deposit_whose_look_up_was_killed_is_named_and_credited(kept: Kept) -> None:
    assert kept.deposit("charged", depositId="charged-1", paymentMethod="threeDSecure") == "actionRequired"
    assert stranded(kept, "--stranded-after=3") == (0, [])
    killed(kept, "DepositFollowUp", "charged-1")

    found = kept.system.eventually(lambda: stranded(kept)[1])
    assert found == [{"kind": "deposit", "userId": "charged", "depositId": "charged-1"}]
    assert "sent on: deposit (userId charged, depositId charged-1)" in mended(kept).stdout
    kept.system.complete_three_d_secure("charged-1")
    kept.system.eventually(lambda: account(kept, "charged")["cash"] == 1_000)


def test_a_bet_that_waits_in_play_and_was_killed_is_named_and_decided(kept: Kept) -> None:
    kept.deposit("plays")
    kept.accepted("MarketService", "open", {"name": "play", **TWO, "betDelaySeconds": 25}, key="play")
    bet(kept, "plays", "play", "home", stake=100)
    killed(kept, "PlayerService", "plays")

    found = kept.system.eventually(lambda: stranded(kept)[1])
    assert found == [{"kind": "bet", "userId": "plays", "betId": "play-1"}]
    assert "sent on: bet (userId plays, betId play-1)" in mended(kept).stdout
    kept.system.eventually(
        lambda: kept.accepted("PlayerService", "getBet", {"betId": "play-1"}, key="plays")["status"] == "open"
    )


def test_a_settlement_that_was_killed_is_named_with_all_its_bets_and_carried_out(kept: Kept) -> None:
    kept.deposit("wins")
    open_market(kept, "won")
    for number in range(50):
        bet(kept, "wins", "won", "home", number)
    pages = "select service_key from state where service_name = 'MarketBookPage' and service_key like 'won:%'"
    [page] = kept.system.eventually(lambda: kept.system.query(pages))
    with kept.stored("MarketBookPage", page["service_key"], {"page": "unreadable"}):
        settle(kept, "won", 1, HOME_WON)
        for service in ("SettlementWorkflow", "SettlementRun"):
            killed(kept, service, "won:1")
        killed(kept, "MarketBookPage", page["service_key"])

    text = once(kept, AT_ONCE)
    assert text.returncode == 4
    assert "50 bets left" in text.stdout
    assert stranded(kept) == (4, [{"kind": "settlement", "marketId": "won"}])
    assert "sent on: settlement (marketId won)" in mended(kept).stdout
    kept.system.eventually(lambda: account(kept, "wins")["cash"] == 1_500)


def test_a_suspension_that_was_killed_before_the_books_heard_of_it_is_named_and_told(kept: Kept) -> None:
    kept.deposit("suspended")
    open_market(kept, "halted")
    bet(kept, "suspended", "halted", "home", 1)
    held = kept.system.query(
        "select service_key from state where service_name = 'MarketBook' and service_key like 'halted:%'"
    )
    [row] = held
    before = kept.system.state("MarketBook", row["service_key"])
    kept.accepted("MarketService", "suspend", key="halted")
    kept.system.plant("MarketBook", row["service_key"], before)  # as if the suspension had been killed in between

    assert stranded(kept) == (4, [{"kind": "terms", "marketId": "halted"}])
    assert "sent on: terms (marketId halted)" in mended(kept).stdout
    assert json.loads(kept.system.state("MarketBook", row["service_key"])["book"])["terms"]["status"] == "suspended"


def test_an_open_bet_whose_page_was_lost_is_named_after_the_settlement_and_told_the_result(kept: Kept) -> None:
    kept.deposit("missed")
    open_market(kept, "lost-page")
    for number in range(50):
        bet(kept, "missed", "lost-page", "home", number)
    pages = "select service_key from state where service_name = 'MarketBookPage' and service_key like 'lost-page:%'"
    [page] = kept.system.eventually(lambda: kept.system.query(pages))
    kept.system.plant("MarketBookPage", page["service_key"], {"page": b'{"bets": {}}'})
    settle(kept, "lost-page", 1, HOME_WON)
    kept.system.eventually(lambda: kept.accepted("SettlementWorkflow", "progress", key="lost-page:1")["done"])

    code, found = stranded(kept)
    assert (code, len(found)) == (4, 50)
    assert found[0] == {"kind": "bet", "userId": "missed", "betId": "lost-page-0"}
    assert "sent on: bet (userId missed, betId lost-page-0)" in mended(kept).stdout
    assert account(kept, "missed")["cash"] == 1_500


def test_a_leg_without_a_bet_is_named_after_two_looks_and_given_back_and_others_are_not(kept: Kept) -> None:
    kept.deposit("legs")
    open_market(kept, "legs")
    bet(kept, "legs", "legs", "home", stake=100)
    [row] = kept.system.query("select service_key from state where service_name = 'MarketBook' and key = 'book'"
                              " and service_key like 'legs:%'")  # fmt: skip
    book = json.loads(kept.system.state("MarketBook", row["service_key"])["book"])
    kind, leg = next(iter(book["newest"]["bets"].items()))
    book["newest"]["bets"]["legs/ghost"] = leg | {"betId": "ghost"}
    book["bets"], book["used"] = 2, {"home": 2 * book["used"]["home"]}
    kept.system.plant("MarketBook", row["service_key"], {"book": json.dumps(book).encode()})

    code, [found] = stranded(kept, "--stranded-after=1.5")
    assert (code, found["kind"], found["betId"], found["userId"]) == (4, "leg", "ghost", "legs")
    assert "sent on: leg (marketId legs" in mended(kept).stdout
    market = kept.system.eventually(
        lambda: (seen := kept.accepted("MarketService", "get", key="legs"))["bets"] == 1 and seen
    )
    assert market["liability"]["home"] == 100
    assert kind == "legs/legs-1"


def test_a_leg_that_its_market_still_counts_after_a_cash_out_is_named_and_freed(kept: Kept) -> None:
    kept.deposit("frees")
    open_market(kept, "frees")
    bet(kept, "frees", "frees", "home", stake=100)
    query = "select service_key from state where service_name = 'MarketBook' and service_key like 'frees:%'"
    [row] = kept.system.query(query)
    before = kept.system.state("MarketBook", row["service_key"])
    kept.accepted("PlayerService", "cashOut", {"betId": "frees-1"}, key="frees")
    kept.system.eventually(lambda: kept.accepted("MarketService", "get", key="frees")["liability"]["home"] == 0)
    assert stranded(kept) == (0, [])
    kept.system.plant("MarketBook", row["service_key"], before)  # as if the market had not been told

    code, [found] = stranded(kept)
    assert (code, found["kind"], found["betId"]) == (4, "leg", "frees-1")
    mended(kept)
    assert kept.accepted("MarketService", "get", key="frees")["liability"]["home"] == 0


def test_documents_that_cannot_be_read_keep_nothing_of_other_players_from_being_mended(kept: Kept) -> None:
    kept.deposit("beside")
    kept.deposit("holds-leg")
    open_market(kept, "beside")
    bet(kept, "holds-leg", "beside", "home", stake=100)
    asked = {"walletId": "w", "userId": "beside", "amount": 600, "destination": "bank", "withdrawalId": "beside-1"}
    kept.accepted("PaymentService", "withdraw", asked)
    killed(kept, "WithdrawalWorkflow", "beside-1")

    with kept.broken(), kept.stored("PlayerService", "holds-leg", {"player": "[]"}):
        answer = once(kept, AT_ONCE, "--repair", "--sample=1000")

    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert "sent on: withdrawal (userId beside, withdrawalId beside-1)" in answer.stdout
    assert "stranded: 0" in answer.stdout
    unread = re.findall(r"^player (\S+): the document cannot be read", answer.stdout, re.MULTILINE)
    assert unread == [*BROKEN, "holds-leg"]
    kept.system.eventually(lambda: account(kept, "beside")["pendingOut"] == 0)
    assert stranded(kept) == (0, [])


def test_a_bookkeeper_that_goes_on_looking_mends_by_itself_says_so_and_counts_it(kept: Kept, tmp_path: Path) -> None:
    kept.deposit("by-itself")
    asked = {"walletId": "w", "userId": "by-itself", "amount": 600, "destination": "bank", "withdrawalId": "by-1"}
    kept.accepted("PaymentService", "withdraw", asked)
    killed(kept, "WithdrawalWorkflow", "by-1")

    with bookkeeper(kept, tmp_path, AT_ONCE, "--repair") as (url, _):
        kept.system.eventually(lambda: account(kept, "by-itself")["pendingOut"] == 0)
        kept.system.eventually(lambda: 'betting_stranded{kind="withdrawal"} 0.0' in httpx.get(url).text)
        assert 'betting_repairs_total{kind="withdrawal"} 1.0' in httpx.get(url).text

    log = (tmp_path / "log").read_text()
    assert "stranded: withdrawal (userId by-itself, withdrawalId by-1)" in log
    assert "sent on: withdrawal (userId by-itself, withdrawalId by-1)" in log


def test_the_command_that_is_told_mends_by_itself(kept: Kept) -> None:
    kept.deposit("pasted")
    asked = {"walletId": "w", "userId": "pasted", "amount": 600, "destination": "bank", "withdrawalId": "pasted-1"}
    kept.accepted("PaymentService", "withdraw", asked)
    killed(kept, "WithdrawalWorkflow", "pasted-1")

    [command] = re.findall(r"curl .*pasted-1.*", once(kept, AT_ONCE).stdout)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert json.loads(done.stdout) == {"sent": True}
    kept.system.eventually(lambda: account(kept, "pasted")["pendingOut"] == 0)


@pytest.mark.parametrize(
    ("handler", "body"),
    [
        ("deposit", {"userId": "nobody", "depositId": "none"}),
        ("withdrawal", {"userId": "nobody", "withdrawalId": "none"}),
        ("bet", {"userId": "nobody", "betId": "none"}),
        ("leg", {"marketId": "none", "book": 3, "page": 7, "userId": "nobody", "betId": "none"}),
        ("settlement", {"marketId": "none"}),
        ("terms", {"marketId": "none"}),
    ],
)
def test_a_repair_of_what_there_is_not_changes_nothing(kept: Kept, handler: str, body: dict[str, Any]) -> None:
    kept.deposit("somebody")

    assert kept.accepted("RepairService", handler, body) == {"sent": True}

    unfinished = "select target from sys_invocation_status where status <> 'completed'"
    kept.system.eventually(lambda: not [row for row in kept.system.query(unfinished) if "none" in row["target"]])
    states = kept.system.query("select service_name from state where service_key in ('none', 'nobody', 'none:3')")
    assert states == []


@pytest.mark.parametrize(
    ("handler", "body"),
    [
        ("deposit", {"userId": "a/b", "depositId": "d"}),
        ("leg", {"marketId": "m", "book": 16, "page": 0, "userId": "u", "betId": "b"}),
        ("leg", {"marketId": "m", "book": 0, "page": -1, "userId": "u", "betId": "b"}),
        ("settlement", {}),
        ("terms", {"marketId": "a/b"}),
    ],
)
def test_a_repair_of_what_cannot_be_is_refused(kept: Kept, handler: str, body: dict[str, Any]) -> None:
    answer: httpx.Response = kept.system.call("RepairService", handler, body)

    assert (answer.status_code, answer.json()["metadata"]["reason"]) == (400, "invalid_request")


def test_what_is_kept_of_old_deposits_is_cleared_by_repairs_alone(kept: Kept) -> None:
    kept.deposit("aged", depositId="aged-1")
    follow_ups = "select service_key from state where service_name = 'DepositFollowUp' and service_key = 'aged-1'"
    assert kept.system.eventually(lambda: kept.system.query(follow_ups))

    once(kept, AT_ONCE, "--forget-after=0")
    once(kept, AT_ONCE, "--repair")
    assert kept.system.query(follow_ups), "it was not asked to, and not old enough"
    once(kept, AT_ONCE, "--repair", "--forget-after=0")

    kept.system.eventually(lambda: not kept.system.query(follow_ups))
    assert account(kept, "aged")["cash"] == 1_000
