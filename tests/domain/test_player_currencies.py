"""Money of one currency says nothing about another: each has limits, a threshold and a maximum payout of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.bets import ApplyResult, accept_bet, apply_result, hold_stake
from app.domain.currency import CurrencyAmounts
from app.domain.deposits import EndDeposit, credit_deposit, decline_deposit, reserve_deposit
from app.domain.odds import Price
from app.domain.player import Bet, Decision, Deposit, Player, Withdrawal
from app.domain.policy import Policy
from app.domain.protection import (
    AllLimits,
    SetLimit,
    WhichLimit,
    cancel_limit_change,
    confirm_limit,
    limit_usages,
    set_limit,
)
from app.domain.refusals import Refusal, Refused
from app.domain.responsible_gambling import LimitKind, LimitView, Period, Use, add_use
from app.domain.wallet import Wallet
from app.domain.withdrawals import EndWithdrawal, hold_withdrawal, return_withdrawal
from tests.strategies import START, hold, outcome, place, player, reserve

POLICY = Policy(
    default_weekly_deposit_limit=CurrencyAmounts.parse("EUR=10000,JPY=20000,KWD=5000"),
    review_threshold=CurrencyAmounts.parse("EUR=1000,JPY=150000,KWD=1"),
    max_payout=CurrencyAmounts.parse("EUR=2000,JPY=300000,KWD=100000"),
)
WALLETS = {"EUR": "w-1", "JPY": "w-2", "KWD": "w-3"}


def paid_in(*currencies: str, amount: int = 5_000) -> Player:
    """A player with a wallet in each currency."""
    document = player()
    for currency in currencies:
        asked = reserve(f"d-{currency}", amount, wallet_id=WALLETS[currency], currency=currency)
        document = reserve_deposit(document, asked, POLICY).player
        document = credit_deposit(document, EndDeposit(deposit_id=f"d-{currency}", now=START)).player
    return document


def reason(decision: Decision[Any]) -> Refusal | None:
    return decision.outcome.reason if isinstance(decision.outcome, Refused) else None


@pytest.mark.parametrize(
    ("missing", "settings"),
    [
        ("limit", {"default_weekly_deposit_limit": "EUR=1000"}),
        ("threshold", {"review_threshold": "EUR=1000"}),
        ("payout", {"max_payout": "EUR=1000"}),
    ],
)
def test_a_currency_that_one_setting_does_not_name_is_not_accepted(missing: str, settings: dict[str, str]) -> None:
    policy = Policy.model_validate(dict(POLICY) | settings)

    decision = reserve_deposit(player(), reserve(currency="JPY"), policy)

    assert isinstance(decision.outcome, Refused)
    assert decision.outcome.reason is Refusal.CURRENCY_NOT_ACCEPTED
    assert decision.outcome.metadata == {"currency": "JPY"}
    assert isinstance(reserve_deposit(player(), reserve(currency="EUR"), policy).outcome, Deposit)


def test_without_names_only_the_default_currency_is_accepted() -> None:
    policy = Policy(default_currency="SEK")

    assert isinstance(reserve_deposit(player(), reserve(currency="SEK"), policy).outcome, Deposit)
    assert reason(reserve_deposit(player(), reserve(currency="EUR"), policy)) is Refusal.CURRENCY_NOT_ACCEPTED


def test_a_wallet_of_another_currency_is_named_before_a_currency_that_is_not_accepted() -> None:
    decision = reserve_deposit(paid_in("EUR"), reserve("d-2", currency="USD"), POLICY)

    assert reason(decision) is Refusal.WALLET_CURRENCY


def test_a_deposit_that_names_no_currency_is_in_its_wallets_and_else_in_the_default_one() -> None:
    policy = Policy.model_validate(dict(POLICY) | {"default_currency": "KWD"})
    in_yen = reserve_deposit(paid_in("JPY"), reserve("d-2", wallet_id=WALLETS["JPY"]), policy).outcome
    in_new = reserve_deposit(paid_in("JPY"), reserve("d-2", wallet_id="new"), policy).outcome

    assert isinstance(in_yen, Deposit)
    assert isinstance(in_new, Deposit)
    assert (in_yen.currency, in_new.currency) == ("JPY", "KWD")


@pytest.mark.parametrize(
    ("currency", "amount", "in_review"),
    [("EUR", 999, False), ("EUR", 1_000, True), ("JPY", 1_000, False), ("KWD", 1, True)],
)
def test_the_review_threshold_is_that_of_the_withdrawals_currency(currency: str, amount: int, in_review: bool) -> None:
    held = hold_withdrawal(paid_in(currency), hold(amount=amount, wallet_id=WALLETS[currency]), POLICY).outcome

    assert isinstance(held, Withdrawal)
    assert held.in_review is in_review


def test_money_in_a_currency_that_is_not_accepted_any_more_is_withdrawn_after_a_review_and_cannot_be_played() -> None:
    document = player().changed(
        wallets={"w-1": Wallet(currency="USD", accounts=paid_in("EUR").wallets["w-1"].accounts)}
    )

    held = hold_withdrawal(document, hold(amount=1), POLICY).outcome

    assert isinstance(held, Withdrawal)
    assert held.in_review
    assert reason(hold_stake(document, place(stake=1), START, POLICY)) is Refusal.CURRENCY_NOT_ACCEPTED


@pytest.mark.parametrize(("currency", "max_payout"), [("EUR", 2_000), ("JPY", 300_000)])
def test_a_bet_returns_at_most_the_maximum_of_its_wallets_currency(currency: str, max_payout: int) -> None:
    held = hold_stake(paid_in(currency), place(wallet_id=WALLETS[currency]), START, POLICY).outcome

    assert isinstance(held, Bet)
    assert held.max_payout == max_payout


def test_a_mail_names_an_amount_as_its_currency_writes_it() -> None:
    texts = []
    for currency in ("EUR", "JPY", "KWD"):
        asked = reserve(amount=999, currency=currency)
        document = reserve_deposit(player(), asked, POLICY).player
        end = EndDeposit(deposit_id="d-1", now=START)
        credited = credit_deposit(document, end)
        held = hold_withdrawal(credited.player, hold(amount=9), POLICY).player
        returned = return_withdrawal(held, EndWithdrawal(withdrawal_id="x-1", now=START))
        wanted = SetLimit(kind=LimitKind.LOSS, period=Period.DAY, amount=9_000, currency=currency)
        limit = set_limit(credited.player, wanted, START, POLICY)
        declined = decline_deposit(document, end)
        texts += [one.text for told in (credited, declined, returned, limit) for one in told.messages]

    words = ["9.99 EUR", "9.99 EUR", "0.09 EUR", "90.00 EUR", "999 JPY", "999 JPY", "9 JPY", "9000 JPY"]
    words += ["0.999 KWD", "0.999 KWD", "0.009 KWD", "9.000 KWD"]
    assert [f" {word}" in text for word, text in zip(words, texts, strict=True)] == [True] * 12


def test_limits_of_other_currencies_are_shown_behind_those_of_the_default_one() -> None:
    document = paid_in("EUR", "KWD", "JPY")

    shown = AllLimits(limits=limit_usages(document, START, POLICY)).model_dump(mode="json")["limits"]

    assert ["currency" in limit for limit in shown] == [False] * 9 + [True] * 18
    assert [limit.get("currency") for limit in shown[9:]] == ["JPY"] * 9 + ["KWD"] * 9
    weekly = [limit for limit in shown if (limit["kind"], limit["period"]) == ("deposit", "week")]
    assert [(limit["inForce"], limit["used"], limit["remaining"]) for limit in weekly] == [
        (10_000, 5_000, 5_000),
        (20_000, 5_000, 15_000),
        (5_000, 5_000, 0),
    ]


def test_a_player_of_the_default_currency_is_shown_what_they_were_always_shown() -> None:
    shown = AllLimits(limits=limit_usages(paid_in("EUR"), START, POLICY)).model_dump(mode="json")["limits"]

    assert len(shown) == 9
    assert all(set(limit) == {"kind", "period", "inForce", "used", "remaining", "pending"} for limit in shown)


def test_a_limit_can_be_set_raised_confirmed_and_cancelled_in_each_currency() -> None:
    which = {"kind": LimitKind.STAKE, "period": Period.DAY}
    cooled = START + POLICY.raise_cooling_off
    document = player()
    for currency in (None, "JPY"):
        for amount in (100, 200):
            document = set_limit(document, SetLimit(**which, amount=amount, currency=currency), START, POLICY).player

    confirmed = confirm_limit(document, WhichLimit(**which, currency="JPY"), cooled, POLICY).player
    cancelled = cancel_limit_change(confirmed, WhichLimit(**which, currency="EUR"), cooled, POLICY).player

    assert {name: limit.amount for name, limit in cancelled.limits.items()} == {"stake.day": 100, "stake.day.JPY": 200}
    assert [limit.pending for limit in cancelled.limits.values()] == [None, None]


@pytest.mark.parametrize(("currency", "refused"), [("JPY", False), ("USD", True), ("CHF", True)])
def test_limits_are_set_in_currencies_that_are_accepted_or_that_the_player_has(currency: str, refused: bool) -> None:
    wish = SetLimit(kind=LimitKind.LOSS, period=Period.DAY, amount=1, currency=currency)

    decision = set_limit(player(), wish, START, POLICY)

    assert isinstance(decision.outcome, Refused if refused else LimitView)
    in_wallet = player().changed(wallets={"w-1": Wallet(currency=currency)})
    assert isinstance(set_limit(in_wallet, wish, START, POLICY).outcome, LimitView)


def test_uses_that_an_earlier_version_stored_count_in_the_default_currency() -> None:
    old = player().changed(uses={LimitKind.DEPOSIT: [Use(at=START, amount=4_000)]})

    refused = reserve_deposit(old, reserve(amount=6_001, currency="EUR"), POLICY).outcome

    assert isinstance(refused, Refused)
    assert refused.metadata["remaining"] == "6000"
    assert isinstance(reserve_deposit(old, reserve(amount=20_000, currency="JPY"), POLICY).outcome, Deposit)


def test_movements_of_two_currencies_are_never_counted_together() -> None:
    uses: list[Use] = []
    for number in range(400):
        currency, amount = (("EUR", 1), ("JPY", 1_000))[number % 2]
        uses = add_use(uses, Use(at=START + timedelta(seconds=number), amount=amount, currency=currency), ())

    assert len(uses) <= 101
    assert {currency: sum(use.amount for use in uses if use.currency == currency) for currency in ("EUR", "JPY")} == {
        "EUR": 200,
        "JPY": 200_000,
    }


@dataclass(frozen=True)
class Ask:
    """A request in one currency: what, how much, and when."""

    what: str
    currency: str
    amount: int
    hours: int


asks = st.builds(
    Ask,
    what=st.sampled_from(["deposit", "declined deposit", "bet", "limit", "withdrawal"]),
    currency=st.sampled_from(list(WALLETS)),
    amount=st.integers(1, 4_000),
    hours=st.integers(0, 60),
)


def done(document: Player, ask: Ask, name: str, now: datetime) -> tuple[Player, object]:
    """The document after a request, and what it was answered, told by what it is of rather than by its currency."""
    wallet_id = WALLETS[ask.currency]
    match ask.what:
        case "bet":
            decision: Decision[Any] = hold_stake(document, place(name, ask.amount, wallet_id=wallet_id), now, POLICY)
            after = decision.player
            if isinstance(decision.outcome, Bet):
                after = accept_bet(after, name, {"m-1": Price.of("2.50")}).player
                how = {"home": outcome("won" if ask.amount % 3 == 0 else "lost")}
                result = ApplyResult(market_id="m-1", version=1, outcomes=how, bet_ids=[name], now=now)
                after = apply_result(after, result).player
        case "limit":
            kind = list(LimitKind)[ask.amount % 3]
            wish = SetLimit(kind=kind, period=Period.DAY, amount=ask.amount, currency=ask.currency)
            decision = set_limit(document, wish, now, POLICY)
            after = decision.player
        case "withdrawal":
            decision = hold_withdrawal(document, hold(name, ask.amount, now, wallet_id=wallet_id), POLICY)
            after = decision.player
        case _:
            asked = reserve(name, ask.amount, now, wallet_id=wallet_id, currency=ask.currency)
            decision = reserve_deposit(document, asked, POLICY)
            after = decision.player
            if isinstance(decision.outcome, Deposit):
                end = EndDeposit(deposit_id=name, now=now)
                after = (decline_deposit if ask.what == "declined deposit" else credit_deposit)(after, end).player
    return after, decision.outcome


def played(asked: list[Ask], only: str | None = None) -> tuple[Player, list[tuple[str, object]], datetime]:
    document, now = player(), START
    answers: list[tuple[str, object]] = []
    for number, ask in enumerate(asked):
        now += timedelta(hours=ask.hours)
        if only in (None, ask.currency):
            document, answer = done(document, ask, f"a-{number}", now)
            answers.append((ask.currency, answer))
    return document, answers, now


@given(st.lists(asks, max_size=25))
def test_what_happens_in_one_currency_is_as_if_there_were_no_other(asked: list[Ask]) -> None:
    together, answers, now = played(asked)

    for currency, wallet_id in WALLETS.items():
        alone, alone_answers, _ = played(asked, only=currency)
        assert [answer for answer in answers if answer[0] == currency] == alone_answers
        assert together.wallets.get(wallet_id) == alone.wallets.get(wallet_id)
        assert limits_in(together, currency, now) == limits_in(alone, currency, now)


def limits_in(document: Player, currency: str, now: datetime) -> list[tuple[object, ...]]:
    return [
        (limit.kind, limit.period, limit.in_force, limit.used, limit.remaining)
        for limit in limit_usages(document, now, POLICY)
        if getattr(limit, "currency", POLICY.default_currency) == currency and (limit.used or limit.in_force)
    ]
