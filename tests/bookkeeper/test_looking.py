"""What the bookkeeper sees of a real system. All tests share it, so that each compares with what was before."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from app.bookkeeper.books import Waiting, verdict
from app.bookkeeper.restate import Restate, UnknownError
from app.domain.wallet import Account
from tests.bookkeeper.looking import EVERYBODY, HOME_WON, Kept, bet, looks, open_market, player_with, settle
from tests.helpers.ports import free_port

ACCOUNTS = {Account.CASH: 100, Account.PROVIDER: -100}
AWAY_WON = {"home": {"result": "lost"}, "away": {"result": "won"}}


def test_what_all_wallets_hold_is_summed_by_account_and_currency(kept: Kept) -> None:
    before = kept.look()
    assert kept.deposit("sums-1") == "credited"
    assert kept.deposit("sums-2", 500) == "credited"
    assert kept.deposit("sums-3", 700, currency="JPY") == "credited"
    open_market(kept, "sums")
    bet(kept, "sums-1", "sums", "home", stake=100)

    seen = kept.look()

    zeros = dict.fromkeys(map(str, Account), 0)
    moved = {**zeros, "cash": 1_400, "locked": 100, "provider": -1_500}
    euros = before.balances.get("EUR", zeros)
    assert seen.players == before.players + 3
    assert seen.balances["EUR"] == {account: euros[account] + amount for account, amount in moved.items()}
    assert seen.balances["JPY"] == {**zeros, "cash": 700, "provider": -700}
    assert (seen.balanced, seen.sampled) == (True, seen.players)


def test_a_wallet_that_does_not_sum_to_zero_is_not_balanced_and_is_named(kept: Kept) -> None:
    with kept.player(player_with({Account.CASH: 100}, {Account.CASH: 100})):
        seen = kept.look()

        assert (seen.balanced, seen.unbalanced_wallets) == (False, 1)
        assert "player planted: wallet w sums to 100" in seen.wrong
    assert kept.look().balanced


def test_two_wrong_wallets_do_not_make_up_for_each_other(kept: Kept) -> None:
    too_much, too_little = {Account.CASH: 100}, {Account.CASH: -100}
    with kept.player(player_with(too_much, too_much, "more")), kept.player(player_with(too_little, too_little, "less")):
        seen = kept.look()

        assert (seen.balanced, seen.unbalanced_wallets) == (False, 2)


def test_a_balance_that_is_not_the_sum_of_the_movements_is_found_when_its_player_is_sampled(kept: Kept) -> None:
    with kept.player(player_with(ACCOUNTS, {})):
        seen = kept.look()

        assert not seen.balanced
        assert seen.disagreeing == ("planted",)
        assert seen.unbalanced_wallets == 0
    assert kept.look().balanced


def test_samples_go_on_where_the_last_one_ended_until_everybody_had_a_turn(kept: Kept) -> None:
    for user in ("turn-1", "turn-2", "turn-3"):
        kept.deposit(user)
    with kept.player(player_with(ACCOUNTS, {})):
        everybody = kept.look().players
        size = everybody // 2

        found = [bool(seen.disagreeing) for seen in kept.look_again(times=9, sample=size)]

    in_turn = -(-everybody // size)
    assert all(any(found[first : first + in_turn]) for first in range(len(found) - in_turn + 1))
    assert not all(found)


def test_players_in_debt_are_counted(kept: Kept) -> None:
    owes = {Account.CASH: -5, Account.HOUSE: 5}
    before = kept.look().players_in_debt
    with kept.player(player_with(owes, owes)):
        seen = kept.look()

        assert (seen.players_in_debt, seen.balanced) == (before + 1, True)


@pytest.mark.parametrize(
    "document",
    [
        "nothing like JSON",
        "[]",
        '{"userId":"unread","wallets":{"w":{"accounts":{"cash":"1"}}}}',
        '{"userId":"unread","limits":"x"}',
        '{"userId":"unread","entries":[{"postings":{"provider":1}}],"bets":[],"deposits":"open reserved"}',
        '{"userId":"unread","bets":{"b":{"status":"open","legs":"x"}},"wallets":{"w"',
    ],
)
def test_a_document_that_cannot_be_read_is_named_and_the_books_of_all_others_are_told(
    kept: Kept, document: str
) -> None:
    kept.deposit("read")
    before = kept.look()
    assert (before.unreadable, before.unreadable_players) == (0, ())

    with kept.stored("PlayerService", "unread", {"player": document}):
        seen, again = kept.look_again(2, EVERYBODY)

    for books in (seen, again):
        assert (books.unreadable, books.unreadable_players) == (1, ("unread",))
        assert books.wrong == ("player unread: the document cannot be read, so nothing is said of its money",)
        assert (books.adds_up, verdict(books)) == (True, "NOT all seen")
        assert (books.players, books.sampled) == (before.players + 1, before.sampled)
        assert books.balances == before.balances
    assert verdict(kept.look()) == "balanced"


def test_who_was_found_to_be_unreadable_is_asked_again_in_each_look_until_it_is_mended(kept: Kept) -> None:
    for user in ("others-1", "others-2"):
        kept.deposit(user)

    async def looked() -> list[int]:
        async with Restate(kept.system.admin, kept.system.ingress, timedelta(0), 0) as restate:
            with kept.stored("PlayerService", "unread", {"player": '{"userId":"unread","limits":"x"}'}):
                unread = [(await restate.look(sample)).unreadable for sample in (EVERYBODY, 1, 1)]
            return [*unread, (await restate.look(1)).unreadable]

    assert asyncio.run(looked()) == [1, 1, 1, 0]


def test_a_wallet_that_is_wrong_is_told_though_a_document_cannot_be_read(kept: Kept) -> None:
    with (
        kept.player(player_with({Account.CASH: 100}, {Account.CASH: 100})),
        kept.stored("PlayerService", "unread", {"player": "[]"}),
    ):
        seen = kept.look()

    assert (seen.balanced, verdict(seen), seen.unreadable) == (False, "NOT balanced", 1)
    assert "player planted: wallet w sums to 100" in seen.wrong


def test_a_deposit_of_unknown_outcome_counts_from_the_charge_wait_on_with_its_age(kept: Kept) -> None:
    before = kept.look().deposits.count
    started = datetime.now(UTC)
    assert kept.deposit("unknown", depositId="unknown-1", paymentMethod="threeDSecure") == "actionRequired"

    assert kept.look(charge_wait=600).deposits.count == 0
    seen = kept.look()
    assert seen.deposits.count == before + 1
    assert seen.deposits.oldest is not None
    assert abs((seen.deposits.oldest - started).total_seconds()) < 60

    kept.system.complete_three_d_secure("unknown-1")
    kept.system.eventually(lambda: kept.look().deposits.count == before)
    assert kept.look().deposits.oldest is None


def test_a_held_withdrawal_counts_until_it_is_paid(kept: Kept) -> None:
    before = kept.look().withdrawals.count
    kept.deposit("leaves")
    request = {"walletId": "w", "userId": "leaves", "amount": 300, "destination": "bank", "withdrawalId": "leaves-1"}
    kept.accepted("PaymentService", "withdraw", request)

    seen = kept.look()
    assert seen.withdrawals.count == before + 1
    assert seen.withdrawals.oldest is not None
    assert seen.balances["EUR"]["pendingOut"] >= 300

    kept.accepted("WithdrawalWorkflow", "approve", {"operator": "ann"}, key="leaves-1")
    kept.system.eventually(lambda: kept.look().withdrawals.count == before)
    assert kept.look().withdrawals.oldest is None


def test_the_liability_of_a_market_is_that_of_its_worst_selection_over_all_its_books(kept: Kept) -> None:
    before = kept.look()
    open_market(kept, "worst")
    for number, user in enumerate(("worst-1", "worst-2", "worst-3"), start=1):
        kept.deposit(user)
        bet(kept, user, "worst", "home", number, stake=100)
        bet(kept, user, "worst", "away", number + 10, stake=30)

    seen = kept.look()
    liability = dict(before.liability) | {"EUR": before.liability.get("EUR", 0) + 300}
    assert (seen.open_markets, seen.liability) == (before.open_markets + 1, liability)

    kept.accepted("MarketService", "close", key="worst")
    assert kept.look().liability == liability

    settle(kept, "worst", 1, AWAY_WON)
    assert (kept.look().open_markets, kept.look().liability) == (before.open_markets, before.liability)


def test_a_settlement_counts_until_every_bet_knows_the_result_or_a_newer_one(kept: Kept) -> None:
    kept.deposit("cut")
    open_market(kept, "cut")
    for number in range(50):
        bet(kept, "cut", "cut", "home", number)
    [page] = kept.system.eventually(lambda: kept.system.query(PAGES))
    started = datetime.now(UTC)
    with kept.stored("MarketBookPage", page["service_key"], {"page": "unreadable"}):
        settle(kept, "cut", 1, HOME_WON)
        kept.system.eventually(lambda: kept.look().settlement_bets_left == 50)
        running = kept.look().settlements
        assert running.count == 1
        assert running.oldest is not None
        assert abs((running.oldest - started).total_seconds()) < 60
        for service, key in (
            ("SettlementWorkflow", "cut:1"),
            ("SettlementRun", "cut:1"),
            ("MarketBookPage", page["service_key"]),
        ):
            kept.system.eventually(partial(kept.ended, service, key))

    assert (kept.look().settlements.count, kept.look().settlement_bets_left) == (1, 50)

    settle(kept, "cut", 2, AWAY_WON)
    kept.system.eventually(lambda: kept.look().settlements == Waiting(0, None))
    assert (kept.look().settlement_bets_left, kept.look().balanced) == (0, True)

    with kept.stored("SettlementWorkflow", "cut:2", {}), kept.stored("SettlementRun", "cut:2", {}):  # nothing said yet
        assert kept.look().settlements.count == 1


PAGES = "select service_key from state where service_name = 'MarketBookPage' and service_key like 'cut:%'"


def test_without_an_answer_from_either_nothing_is_known(kept: Kept) -> None:
    kept.deposit("somebody")
    nowhere = f"http://127.0.0.1:{free_port()}"
    admin, ingress = kept.system.admin, kept.system.ingress
    for restate in (Restate(nowhere, ingress, timedelta(0), 0), Restate(admin, nowhere, timedelta(0), 0)):
        with pytest.raises(UnknownError, match=f"{nowhere}/.* does not answer"):
            asyncio.run(looks(restate, EVERYBODY, 1))
