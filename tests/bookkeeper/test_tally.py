"""The sums over all players, in whatever order and at whatever moments their documents are read."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bookkeeper.books import Waiting
from app.bookkeeper.queries import Row
from app.bookkeeper.tally import NAMED, Tally, tally_of
from app.domain.deposits import EndDeposit, ReserveDeposit, credit_deposit, reserve_deposit
from app.domain.model import iso
from app.domain.player import Player
from tests.bench.planting import NOW, RICH, with_open_bet

LATER = iso(NOW + timedelta(hours=1))
NAMES = ("ann", "bob", "cid")


def row_of(player: Player, place: int = 0) -> Row:
    """What Restate tells of a document."""
    document = json.loads(player.model_dump_json())
    parts = {name: json.dumps(document[name]) for name in ("wallets", "deposits", "withdrawals") if name in document}
    return {"player": player.user_id, "place": place, "user_id": player.user_id, **parts}


def reserved(player: Player, deposit_id: str, amount: int) -> Player:
    request = {"deposit_id": deposit_id, "wallet_id": "w", "amount": amount, "currency": None}
    request |= {"payment_method": "card", "email": "a@example.com", "now": NOW}
    return reserve_deposit(player, ReserveDeposit.model_validate(request), RICH).player


def credited(player: Player, deposit_id: str) -> Player:
    return credit_deposit(player, EndDeposit(deposit_id=deposit_id, now=NOW)).player


def histories(draw: st.DrawFn) -> Iterator[tuple[Player, ...]]:
    """A player after each of some steps."""
    for name in NAMES:
        player = Player(user_id=name)
        history = [player]
        for number in range(draw(st.integers(0, 3))):
            history.append(player := reserved(player, f"d{number}", draw(st.integers(100, 900))))
            history.append(player := credited(player, f"d{number}"))
            history.append(player := with_open_bet(player, f"{number}", "m"))
        yield tuple(history)


@st.composite
def seen_at_any_moment(draw: st.DrawFn) -> Sequence[Row]:
    """Each player's document as it was at a moment of its own: the pages of a look are not of one moment."""
    return [row_of(draw(st.sampled_from(history))) for history in histories(draw)]


@given(seen_at_any_moment())
def test_all_balances_though_no_two_documents_are_of_one_moment(rows: Sequence[Row]) -> None:
    tally = tally_of(rows, LATER)

    assert (tally.players, tally.unreadable, tally.unbalanced) == (len(NAMES), 0, 0)
    assert [sum(accounts.values()) for accounts in tally.balances.values()] == [0] * len(tally.balances)


@given(seen_at_any_moment(), st.integers(1, 1_000), st.sampled_from(NAMES))
def test_money_that_is_missing_in_one_wallet_is_found_at_whatever_moment(
    rows: Sequence[Row], off: int, name: str
) -> None:
    wrong = {"w": {"currency": "EUR", "accounts": {"cash": off}}}
    tally = tally_of([*(row for row in rows if row["player"] != name), _with(rows, name, wrong)], LATER)

    assert tally.unbalanced == 1
    assert [str(one) for one in tally.unbalanced_first] == [f"player {name}: wallet w sums to {off}"]
    assert sum(tally.balances["EUR"].values()) == off


def _with(rows: Sequence[Row], name: str, wallets: dict[str, Any]) -> Row:
    [row] = [row for row in rows if row["player"] == name]
    return {**row, "wallets": json.dumps(wallets)}


@given(seen_at_any_moment(), st.permutations(range(len(NAMES))), st.integers(0, len(NAMES)))
def test_the_sums_do_not_depend_on_pages_or_order(rows: Sequence[Row], order: Sequence[int], cut: int) -> None:
    mixed = [rows[place] for place in order]
    in_pages = tally_of(mixed[:cut], LATER)
    in_pages.add(tally_of(mixed[cut:], LATER))

    assert in_pages == tally_of(rows, LATER)


def test_only_so_many_wallets_are_named_and_the_first_of_them() -> None:
    rows = [
        {"player": f"p{number:02}", "user_id": "p", "wallets": '{"w":{"currency":"EUR","accounts":{"cash":1}}}'}
        for number in reversed(range(NAMED + 2))
    ]
    tally = tally_of(rows[:3], LATER)
    tally.add(tally_of(rows[3:], LATER))

    assert tally.unbalanced == NAMED + 2
    assert [one.player for one in tally.unbalanced_first] == [f"p{number:02}" for number in range(NAMED)]


def test_a_deposit_waits_for_its_outcome_from_the_charge_wait_on() -> None:
    row = row_of(reserved(Player(user_id="ann"), "d", 100))

    assert tally_of([row], LATER).deposits == Waiting(1, NOW.replace(microsecond=NOW.microsecond // 1000 * 1000))
    assert tally_of([row], iso(NOW)).deposits == Waiting(0, None)
    assert tally_of([row_of(credited(reserved(Player(user_id="ann"), "d", 100), "d"))], LATER).deposits.count == 0


def test_a_player_owes_once_however_many_wallets_do() -> None:
    owes = '{"accounts":{"cash":-1,"house":1},"currency":"EUR"}'
    wallets = f'{{"v":{owes},"w":{owes}}}'

    assert tally_of([{"player": "ann", "user_id": "ann", "wallets": wallets}], LATER).in_debt == 1


@pytest.mark.parametrize(
    "part",
    [
        {"user_id": None},
        {"wallets": "[]"},
        {"wallets": '{"w":{"accounts":{}}}'},
        {"wallets": '{"w":{"currency":"EUR","accounts":{"cash":"1"}}}'},
        {"wallets": '{"w":{"currency":"EUR","accounts":{"cash":true}}}'},
        {"wallets": '{"w":{"currency":"EUR","accounts":{"cash":1.5}}}'},
        {"deposits": '{"d":{}}'},
        {"withdrawals": "nothing like JSON"},
        {"deposits": '{"d":{"status":"reserved","reservedAt":""}}'},
        {"withdrawals": '{"w":{"status":"held","heldAt":"2026-01-01T00:00:00"}}'},
    ],
)
def test_what_cannot_be_read_is_counted(part: dict[str, object]) -> None:
    tally = tally_of([{**row_of(Player(user_id="ann")), **part}], LATER)

    assert (tally.players, tally.unreadable, tally.unreadable_first) == (1, 1, ["ann"])


def test_only_so_many_unreadable_players_are_named_and_the_first_of_them() -> None:
    rows = [{"player": f"p{number:02}"} for number in reversed(range(NAMED + 2))]
    tally = tally_of(rows[:3], LATER)
    tally.add(tally_of(rows[3:], LATER))

    assert (tally.unreadable, tally.unreadable_first) == (NAMED + 2, [f"p{number:02}" for number in range(NAMED)])


def test_players_without_wallets_count() -> None:
    assert tally_of([{"player": "ann", "user_id": "ann"}], LATER) == Tally(players=1)
