"""Hypothesis generators for the values of the trade."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from app.domain.bets import PlaceBet
from app.domain.deposits import EndDeposit, ReserveDeposit, credit_deposit, reserve_deposit
from app.domain.odds import HIGHEST, LOWEST, Price
from app.domain.player import Player
from app.domain.policy import Policy
from app.domain.settlement import DeadHeat, Result, SelectionOutcome
from app.domain.wallet import HELD, Account
from app.domain.withdrawals import HoldWithdrawal

START = datetime(2026, 1, 1, tzinfo=UTC)

few_ids = st.sampled_from(["a", "b", "c", "d"])
wallet_ids = st.sampled_from(["w-1", "w-2"])
amounts = st.integers(1, 6_000)
moments = st.integers(0, 40 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))


prices = st.one_of(
    st.sampled_from(["1.001", "1.50", "1.95", "2.00", "2.125", "3.20", "1000"]).map(Price.of),
    st.integers(LOWEST, HIGHEST).map(Price),
)
dead_heats = st.integers(2, 10).flatmap(
    lambda tied: st.builds(DeadHeat, places=st.integers(1, tied - 1), tied=st.just(tied))
)
outcomes = st.builds(
    SelectionOutcome,
    result=st.sampled_from(Result),
    deduction=st.just(0) | st.integers(0, 90),
    dead_heat=st.none() | dead_heats,
)


def outcome(result: str, **fields: object) -> SelectionOutcome:
    return SelectionOutcome.model_validate({"result": result, **fields})


@st.composite
def balanced_postings(draw: st.DrawFn) -> dict[Account, int]:
    """Postings over a few accounts that sum to zero, and take nothing of what is held."""
    source = draw(st.sampled_from([account for account in Account if account not in HELD]))
    others = [account for account in Account if account is not source]
    targets = draw(st.lists(st.sampled_from(others), min_size=1, max_size=5, unique=True))
    parts = {target: draw(st.integers(0 if target in HELD else -10_000, 10_000)) for target in targets}
    return {source: -sum(parts.values()), **parts}


def player(user_id: str = "u-1") -> Player:
    return Player(user_id=user_id)


def reserve(deposit_id: str = "d-1", amount: int = 100, now: datetime = START, **fields: object) -> ReserveDeposit:
    content: dict[str, object] = {
        "wallet_id": "w-1",
        "currency": None,
        "payment_method": "creditCard",
        "email": "example@example.com",
    }
    return ReserveDeposit.model_validate({"deposit_id": deposit_id, "amount": amount, "now": now, **content, **fields})


def hold(withdrawal_id: str = "x-1", amount: int = 100, now: datetime = START, **fields: object) -> HoldWithdrawal:
    content = {"wallet_id": "w-1", "destination": "bank"}
    return HoldWithdrawal.model_validate(
        {"withdrawal_id": withdrawal_id, "amount": amount, "now": now, **content, **fields}
    )


def rich(amount: int = 100_000) -> Player:
    """A player with so much in the wallet w-1."""
    generous = Policy(default_weekly_deposit_limit=10**12)
    reserved = reserve_deposit(player(), reserve("d-rich", amount), generous).player
    return credit_deposit(reserved, EndDeposit(deposit_id="d-rich", now=START)).player


def place(bet_id: str = "b-1", stake: int = 1_000, legs: str = "m-1 2.50", **fields: object) -> PlaceBet:
    """A bet on `home` in markets at prices, in short: `m-1 2.50, m-2 1.80`."""
    asked = [leg.split() for leg in legs.split(", ")]
    return PlaceBet.model_validate(
        {
            "bet_id": bet_id,
            "wallet_id": "w-1",
            "stake": stake,
            "legs": [{"market_id": market, "selection_id": "home", "price": price} for market, price in asked],
            **fields,
        }
    )
