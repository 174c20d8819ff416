from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.access import PROVIDER
from app.domain.activity import activity
from app.domain.currency import CurrencyAmounts
from app.domain.deposits import (
    MAX_WALLETS,
    EndDeposit,
    TakeBack,
    cancel_deposit,
    credit_deposit,
    decline_deposit,
    fail_deposit,
    reserve_deposit,
    take_back_deposit,
)
from app.domain.payments import EventStatus
from app.domain.player import Deposit, Player
from app.domain.policy import Policy, method_name
from app.domain.protection import limit_usages, self_exclude, take_break
from app.domain.refusals import Refusal, Refused
from app.domain.responsible_gambling import LimitKind, Period
from app.domain.statement import audit
from app.domain.wallet import Account, Kind, Wallet, move, post
from tests.strategies import START, amounts, moments, player, reserve

POLICY = Policy()
_SOME = CurrencyAmounts.model_validate("EUR=10000,USD=10000,JPY=10000")
HOUSE = Policy(default_weekly_deposit_limit=_SOME, review_threshold=_SOME, max_payout=_SOME)
"""A house of three currencies."""


def reserved(request: object = None, before: Player | None = None) -> Player:
    decision = reserve_deposit(before or player(), request or reserve(), HOUSE)  # type: ignore[arg-type]
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

    wallets = credit_deposit(before, end()).player.wallets
    assert {name: wallet.cash for name, wallet in wallets.items()} == {"w-1": 100, "w-2": -1}


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


def taken_back(status: str, event_id: str | None = None) -> TakeBack:
    return TakeBack(deposit_id="d-1", status=EventStatus(status), event_id=event_id, now=START)


CREDIT = "credit"
ENTRIES = {
    "refunded": (Kind.DEPOSIT_REFUNDED, -100),
    "chargeback": (Kind.DEPOSIT_CHARGED_BACK, -100),
    "chargebackReversed": (Kind.CHARGEBACK_REVERSED, 100),
}


def after(steps: list[str], before: Player | None = None) -> Player:
    """Each step is a status, perhaps with an event's id, or the credit."""
    document = before or reserved()
    for step in steps:
        if step == CREDIT:
            document = credit_deposit(document, end()).player
        else:
            status, _, event_id = step.partition(" ")
            document = take_back_deposit(document, taken_back(status, event_id or None)).player
    return document


def entries(document: Player) -> list[tuple[Kind, int]]:
    return [(entry.kind, entry.postings[Account.CASH]) for entry in document.entries]


@pytest.mark.parametrize("status", ["refunded", "chargeback"])
def test_money_that_went_back_leaves_the_book_once_and_the_customer_is_told(status: str) -> None:
    before = after([CREDIT])

    decision = take_back_deposit(before, taken_back(status))
    again = take_back_deposit(decision.player, taken_back(status))

    assert entries(decision.player) == [(Kind.DEPOSIT, 100), ENTRIES[status]]
    assert len(decision.messages) == 1
    assert again.player is decision.player
    assert again.messages == ()


def test_a_chargeback_of_money_that_is_gone_leaves_a_debt() -> None:
    before = after([CREDIT])
    gone = before.changed(wallets={"w-1": post(before.wallets["w-1"], move(Account.CASH, Account.HOUSE, 70))})

    assert take_back_deposit(gone, taken_back("chargeback")).player.wallets["w-1"].cash == -70


def test_a_chargeback_can_come_again_after_its_reversal() -> None:
    document = after([CREDIT, "chargeback e-1", "chargebackReversed e-2", "chargeback e-3", "chargeback e-3"])

    assert entries(document) == [
        (Kind.DEPOSIT, 100),
        ENTRIES["chargeback"],
        ENTRIES["chargebackReversed"],
        ENTRIES["chargeback"],
    ]


@pytest.mark.parametrize("status", ["refunded", "chargeback", "chargebackReversed"])
def test_an_event_of_a_deposit_that_was_never_credited_moves_nothing(status: str) -> None:
    assert entries(after([status])) == []
    assert entries(after([status], decline_deposit(reserved(), end()).player)) == []


@pytest.mark.parametrize("events", list(permutations(["chargeback", "refunded", "chargebackReversed"])))
def test_a_deposit_that_was_refunded_is_refunded_whatever_else_was_told_when(events: tuple[str, ...]) -> None:
    assert after([CREDIT, *events]).deposits["d-1"].taken_back == "refunded"
    assert after([*events, CREDIT]).deposits["d-1"].taken_back == "refunded"


def test_a_refund_of_what_was_charged_back_is_counted_and_told_no_second_time() -> None:
    before = after([CREDIT, "chargeback"])
    decision = take_back_deposit(before, taken_back("refunded"))

    assert activity(before, decision.player) == []
    assert decision.messages == ()


EVENTS = [CREDIT, "refunded", "chargeback", "chargeback e-1", "chargebackReversed", "chargebackReversed e-2"]


@given(st.lists(st.sampled_from(EVENTS), max_size=8), st.randoms(use_true_random=False))
def test_events_in_any_order_and_however_often_come_to_the_same_end(steps, random) -> None:  # type: ignore[no-untyped-def]
    other = [*steps, *steps]
    random.shuffle(other)

    one, same = after(steps), after(other)

    assert sum(amount for _, amount in entries(one)) == sum(amount for _, amount in entries(same))
    assert one.deposits["d-1"].taken_back == same.deposits["d-1"].taken_back
    for document in (one, same):
        assert sum(amount for _, amount in entries(document)) in (0, 100)
        assert audit(document).balanced


def test_a_wallet_is_made_by_its_first_credit_alone() -> None:
    assert reserved().wallets == {}
    assert decline_deposit(reserved(), end()).player.wallets == {}
    assert set(credit_deposit(reserved(), end()).player.wallets) == {"w-1"}


def test_a_reservation_holds_the_currency_of_the_wallet_that_it_may_make() -> None:
    before = reserved(reserve(currency="USD"))

    other = reserve_deposit(before, reserve("d-2", currency="EUR"), HOUSE).outcome
    same = reserve_deposit(before, reserve("d-2"), HOUSE).outcome

    assert isinstance(other, Refused)
    assert other.reason is Refusal.WALLET_CURRENCY
    assert isinstance(same, Deposit)
    assert same.currency == "USD"


@given(st.permutations(["d-1", "d-2", "d-3"]))
def test_no_wallet_ever_has_two_currencies(order: list[str]) -> None:
    document = player()
    for deposit_id, currency in (("d-1", "USD"), ("d-2", "EUR"), ("d-3", "JPY")):
        decision = reserve_deposit(document, reserve(deposit_id, currency=currency), HOUSE)
        document = decline_deposit(decision.player, end(deposit_id)).player

    for deposit_id in order:  # all of them turn out to have been charged
        document = credit_deposit(document, end(deposit_id)).player

    assert len(document.wallets) == 3
    assert audit(document).balanced
    for deposit in document.deposits.values():
        wallet = document.wallets[deposit.credited_to or deposit.wallet_id]
        assert (wallet.currency, wallet.cash) == (deposit.currency, 100)
    back = TakeBack(deposit_id=order[-1], status=EventStatus.REFUNDED, now=START)
    assert sum(wallet.cash for wallet in take_back_deposit(document, back).player.wallets.values()) == 200


def test_a_player_has_at_most_twenty_wallets_pending_ones_included() -> None:
    document = player()
    for number in range(MAX_WALLETS):
        document = reserved(reserve(f"d-{number}", 1, wallet_id=f"w-{number}"), document)
        document = credit_deposit(document, end(f"d-{number}")).player if number % 2 else document

    refused = reserve_deposit(document, reserve("d-x", 1, wallet_id="w-x"), HOUSE).outcome

    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.TOO_MANY_WALLETS
    assert isinstance(reserve_deposit(document, reserve("d-y", 1, wallet_id="w-0"), HOUSE).outcome, Deposit)
    released = decline_deposit(document, end("d-0")).player
    assert isinstance(reserve_deposit(released, reserve("d-x", 1, wallet_id="w-x"), HOUSE).outcome, Deposit)


def test_the_address_is_that_of_the_first_credited_deposit() -> None:
    declined = decline_deposit(reserved(reserve(email="thief@example.com")), end())
    assert declined.player.email is None
    assert [message.to for message in declined.messages] == ["thief@example.com"]

    mine = credit_deposit(reserved(reserve("d-2", email="mine@example.com"), declined.player), end("d-2")).player
    assert mine.email == "mine@example.com"

    for ending in (credit_deposit, decline_deposit):
        decision = ending(reserved(reserve("d-3", email="thief@example.com"), mine), end("d-3"))
        assert decision.player.email == "mine@example.com"
        assert [message.to for message in decision.messages] == ["mine@example.com"]


@pytest.mark.parametrize("waited", [True, False])
def test_what_was_charged_while_the_customer_was_asked_goes_back_to_one_who_is_restricted(waited: bool) -> None:
    restricted = self_exclude(reserved(), 6, START).player

    decision = credit_deposit(restricted, end().model_copy(update={"waited_for_customer": waited}))

    assert isinstance(decision.outcome, Deposit)
    assert decision.outcome.refund_due is waited
    assert entries(decision.player) == [(Kind.DEPOSIT, 100), *([ENTRIES["refunded"]] if waited else [])]
    told = take_back_deposit(decision.player, taken_back("refunded", "e-1")).player
    assert sum(amount for _, amount in entries(told)) == 0
    # A refund by our own rule is by nobody else; one that the provider made by itself is by the provider.
    assert [entry.by for entry in told.entries] == [None, None if waited else PROVIDER]


def test_a_void_charge_gives_the_limit_back() -> None:
    cancelled = cancel_deposit(reserved(), end())

    assert isinstance(cancelled.outcome, Deposit)
    assert cancelled.outcome.status == "cancelled"
    assert weekly_use(cancelled.player) == 0
    assert cancel_deposit(cancelled.player, end()).player is cancelled.player
