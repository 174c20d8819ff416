from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.deposits import EndDeposit, credit_deposit, decline_deposit, fail_deposit, reserve_deposit
from app.domain.player import Deposit, Player, Policy, method_name
from app.domain.protection import limit_usages, self_exclude, take_break
from app.domain.refusals import Refusal, Refused
from app.domain.responsible_gambling import LimitKind, Period
from app.domain.wallet import Account, Wallet, move, post
from tests.strategies import START, amounts, moments, player, reserve

POLICY = Policy()


def reserved(request: object = None, before: Player | None = None) -> Player:
    decision = reserve_deposit(before or player(), request or reserve(), POLICY)  # type: ignore[arg-type]
    assert isinstance(decision.outcome, Deposit)
    return decision.player


def end(deposit_id: str = "d-1") -> EndDeposit:
    return EndDeposit(deposit_id=deposit_id, now=START)


def weekly_use(document: Player) -> int:
    return next(
        usage.used
        for usage in limit_usages(document, START, POLICY)
        if (usage.kind, usage.period) == (LimitKind.DEPOSIT, Period.WEEK)
    )


def test_a_credited_deposit_is_in_the_cash_and_the_customer_is_told() -> None:
    decision = credit_deposit(reserved(), end())

    assert decision.player.wallets["w-1"].balance.model_dump() == {"cash": 100, "locked": 0, "pendingOut": 0}
    assert [message.to for message in decision.messages] == ["example@example.com"]


ENDINGS = [credit_deposit, decline_deposit, fail_deposit]


@pytest.mark.parametrize(
    ("ending", "again"),
    # money that did arrive after all is another test's rule
    [(ending, again) for ending in ENDINGS for again in ENDINGS if again is not credit_deposit or ending is again],
)
def test_a_repeated_end_changes_nothing_and_tells_nobody(ending, again) -> None:  # type: ignore[no-untyped-def]
    first = ending(reserved(), end())

    second = again(first.player, end())

    assert second.player is first.player
    assert second.outcome == first.outcome
    assert second.messages == ()


@pytest.mark.parametrize("ending", [decline_deposit, fail_deposit])
def test_money_that_arrives_after_all_is_credited_once_and_counts_again(ending) -> None:  # type: ignore[no-untyped-def]
    given_up = ending(reserved(), end()).player
    assert weekly_use(given_up) == 0

    late = credit_deposit(given_up, end())

    assert late.player.wallets["w-1"].cash == 100
    assert weekly_use(late.player) == 100


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"amount": 101}, Refusal.ID_REUSED),
        ({"wallet_id": "w-2"}, Refusal.ID_REUSED),
        ({"payment_method": "other"}, Refusal.ID_REUSED),
        ({"email": "other@example.com"}, Refusal.ID_REUSED),
        ({"currency": "USD"}, Refusal.ID_REUSED),
        ({"deposit_id": "d-2", "currency": "USD"}, Refusal.WALLET_CURRENCY),
        ({"deposit_id": "d-2", "wallet_id": "w-2", "currency": "USD"}, Refusal.CURRENCY_NOT_ACCEPTED),
        ({"deposit_id": "d-2", "amount": 9_901}, Refusal.DEPOSIT_LIMIT),
    ],
)
def test_a_refusal_gives_the_document_back_untouched(change: dict[str, object], reason: Refusal) -> None:
    before = reserved()

    decision = reserve_deposit(before, reserve(**change), POLICY)  # type: ignore[arg-type]

    assert isinstance(decision.outcome, Refused)
    assert decision.outcome.reason is reason
    assert decision.player is before


def test_the_limit_refusal_says_what_is_left() -> None:
    decision = reserve_deposit(reserved(reserve(amount=6_000)), reserve("d-2", 4_001), POLICY)

    assert isinstance(decision.outcome, Refused)
    assert decision.outcome.message == "deposit limit: 4000 left this week"
    assert decision.outcome.metadata == {"remaining": "4000", "period": "week"}


@pytest.mark.parametrize(
    ("taken", "method", "is_taken"),
    [
        ((), "creditCard", True),
        (("creditCard",), "creditCard", True),
        (("creditCard",), " CREDITCARD ", True),
        (("creditCard", "wallet"), "Wallet", True),
        (("creditCard",), "credit Card", False),
        (("creditCard",), "wallet", False),
    ],
)
def test_only_payment_methods_of_the_list_are_taken_however_they_are_written(
    taken: tuple[str, ...], method: str, is_taken: bool
) -> None:
    policy = Policy(payment_methods=frozenset(map(method_name, taken)))

    outcome = reserve_deposit(player(), reserve(payment_method=method), policy).outcome

    assert isinstance(outcome, Deposit) is is_taken
    if isinstance(outcome, Refused):
        assert outcome.reason is Refusal.METHOD_NOT_ALLOWED


def test_restricted_players_cannot_deposit_but_what_was_reserved_is_credited() -> None:
    before = reserved()
    for restricted, reason in [
        (take_break(before, 1, START).player, Refusal.ON_A_BREAK),
        (self_exclude(before, 6, START).player, Refusal.SELF_EXCLUDED),
    ]:
        outcome = reserve_deposit(restricted, reserve("d-2"), POLICY).outcome
        assert isinstance(outcome, Refused)
        assert outcome.reason is reason
        assert credit_deposit(restricted, end()).player.wallets["w-1"].cash == 100


def test_a_deposit_is_credited_to_a_player_in_debt() -> None:
    debt = post(Wallet(currency="EUR"), move(Account.CASH, Account.HOUSE, 1))
    before = reserved()
    before = before.changed(wallets={**before.wallets, "w-2": debt})

    assert credit_deposit(before, end()).player.wallets["w-1"].cash == 100


@given(st.lists(st.tuples(amounts, moments, st.sampled_from([credit_deposit, decline_deposit, None])), max_size=60))
def test_a_rolling_window_never_lets_more_through_than_its_limit(requests) -> None:  # type: ignore[no-untyped-def]
    document, counted = player(), []
    for number, (amount, now, ending) in enumerate(sorted(requests, key=lambda request: request[1])):
        decision = reserve_deposit(document, reserve(str(number), amount, now), POLICY)
        document = decision.player
        if isinstance(decision.outcome, Refused):
            continue
        if ending is not None:
            document = ending(document, EndDeposit(deposit_id=str(number), now=now)).player
        if ending is not decline_deposit:
            counted.append((now, amount))
        in_window = [amount for at, amount in counted if at > now - timedelta(days=7)]
        assert sum(in_window) <= 10_000
