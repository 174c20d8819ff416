import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.wallet import HELD, Account, Wallet, move, post, total
from tests.strategies import balanced_postings


@given(st.lists(balanced_postings(), max_size=20))
def test_a_wallet_sums_to_zero_after_every_movement(movements: list[dict[Account, int]]) -> None:
    wallet = Wallet(currency="EUR")

    for postings in movements:
        wallet = post(wallet, postings)
        assert sum(wallet.accounts.values()) == 0

    assert wallet.accounts == total(movements)


def test_unbalanced_postings_are_a_bug_of_ours() -> None:
    with pytest.raises(AssertionError, match="unbalanced"):
        post(Wallet(currency="EUR"), {Account.CASH: 1})


@pytest.mark.parametrize("account", HELD)
def test_no_more_leaves_than_is_held(account: Account) -> None:
    wallet = post(Wallet(currency="EUR"), move(Account.CASH, account, 30))

    assert post(wallet, move(account, Account.CASH, 30)).on(account) == 0
    with pytest.raises(AssertionError, match="than was held"):
        post(wallet, move(account, Account.PROVIDER, 31))


def test_the_balance_shows_the_players_accounts() -> None:
    wallet = post(Wallet(currency="EUR"), move(Account.PROVIDER, Account.CASH, 100))
    wallet = post(wallet, move(Account.CASH, Account.PENDING_OUT, 30))

    assert wallet.balance.model_dump() == {"cash": 70, "locked": 0, "pendingOut": 30}
