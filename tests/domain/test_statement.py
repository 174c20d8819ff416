import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.access import PROVIDER, Actor, Role
from app.domain.archive_pages import KEPT_ENDED, MAX_ENDED, archive_ended
from app.domain.deposits import EndDeposit, credit_deposit, reserve_deposit
from app.domain.player import Player
from app.domain.policy import Policy
from app.domain.statement import (
    PAGE_SIZE,
    StatementPage,
    audit,
    by_whom,
    entries_on,
    full_pages,
    pages,
    statement_view,
    without_full_pages,
)
from app.domain.wallet import Account, Entry, Kind
from tests.strategies import START, player, reserve

OWN = Actor(user=player().user_id, role=Role.PLAYER)
POLICY = Policy(default_weekly_deposit_limit=10**9)


def deposited(count: int) -> tuple[Player, dict[int, StatementPage]]:
    document, kept = player(), {}
    for number in range(count):
        reserved = reserve_deposit(document, reserve(str(number), 1), POLICY).player
        after = credit_deposit(reserved, EndDeposit(deposit_id=str(number), now=START)).player
        kept.update(full_pages(document, after))
        document = without_full_pages(after)
    return document, kept


@given(st.integers(0, 260))
def test_every_movement_is_on_one_page_whether_in_the_document_or_elsewhere(count: int) -> None:
    document, kept = deposited(count)

    seen = []
    for page in range(1, pages(document) + 1):
        entries = entries_on(document, page)
        seen += [entry.seq for entry in (kept[page].entries if entries is None else entries)]
    assert seen == list(range(1, count + 1))
    assert len(document.entries) < PAGE_SIZE


@given(st.integers(0, 260))
def test_the_audit_adds_up_over_pages_that_left_the_document(count: int) -> None:
    document, _ = deposited(count)

    result = audit(document)

    assert result.balanced
    assert [sums[Account.CASH] for sums in result.wallets.values()] == ([count] if count else [])


def test_the_audit_sees_money_that_no_posting_explains() -> None:
    document, _ = deposited(3)
    wallet = document.wallets["w-1"]
    stolen = wallet.model_copy(update={"accounts": {**wallet.accounts, Account.CASH: 2, Account.PROVIDER: -2}})

    assert not audit(document.changed(wallets={"w-1": stolen})).balanced


def test_a_statement_shows_what_each_movement_did_to_the_cash() -> None:
    document, _ = deposited(2)

    view = json.loads(statement_view(document, 1, document.entries).model_dump_json())

    assert (view["page"], view["pages"]) == (1, 1)
    assert view["entries"][1] == {
        "seq": 2,
        "at": "2026-01-01T00:00:00.000Z",
        "kind": "deposit",
        "reference": "1",
        "walletId": "w-1",
        "amount": 1,
        "cashAfter": 2,
    }


def test_what_ended_is_archived_oldest_first() -> None:
    document, _ = deposited(MAX_ENDED)
    assert archive_ended(document) == (document, None)

    document, _ = deposited(MAX_ENDED + 1)
    kept, archived = archive_ended(document)

    assert archived is not None
    assert list(archived.deposits) == [str(number) for number in range(MAX_ENDED + 1 - KEPT_ENDED)]
    assert {**archived.deposits, **kept.deposits} == document.deposits
    assert archived.names == [f"deposits/{number}" for number in range(MAX_ENDED + 1 - KEPT_ENDED)]


@pytest.mark.parametrize(
    ("kind", "stored", "by"),
    [
        (Kind.DEPOSIT, None, OWN),
        (Kind.STAKE_RETURNED, None, OWN),
        (Kind.WITHDRAWAL_PAID, Actor(user="pia", role=Role.PAYMENTS), Actor(user="pia", role=Role.PAYMENTS)),
        (Kind.DEPOSIT_REFUNDED, PROVIDER, PROVIDER),
        (Kind.BET_SETTLED, Actor(user="tom", role=Role.TRADER), Actor(user="tom", role=Role.TRADER)),
        (Kind.BET_SETTLED, None, None),  # an earlier version did not store who entered the result
        (Kind.BET_CORRECTED, None, None),
    ],
)
def test_a_movement_without_an_actor_is_the_players_unless_players_never_cause_it(
    kind: Kind, stored: Actor | None, by: Actor | None
) -> None:
    entry = Entry(seq=1, at=START, kind=kind, reference="r", wallet_id="w", postings={}, cash_after=0, by=stored)

    assert by_whom(player(), entry) == by


def test_only_operators_see_who_caused_a_movement() -> None:
    document, _ = deposited(1)

    [entry] = json.loads(statement_view(document, 1, document.entries).model_dump_json())["entries"]
    [seen] = json.loads(statement_view(document, 1, document.entries, for_operator=True).model_dump_json())["entries"]
    assert "by" not in entry
    assert seen == {**entry, "by": {"user": document.user_id, "role": "player"}}
