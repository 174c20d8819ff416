"""Every kind of limit that a player can set refuses something, counts it, and is told to clients."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.bets import hold_stake, sure_to_be_held
from app.domain.currency import CurrencyAmounts
from app.domain.deposits import reserve_deposit
from app.domain.player import Bet, Decision, Player
from app.domain.policy import Policy
from app.domain.protection import SetLimit, set_limit
from app.domain.refusals import Refused
from app.domain.responsible_gambling import REASON, LimitKind, Period
from tests.strategies import START, place, reserve, rich

POLICY = Policy(default_weekly_deposit_limit=CurrencyAmounts(bare=10**9))
DOCS = Path(__file__).parents[2] / "docs"

ASKS: dict[LimitKind, Callable[[Player], Decision[Any]]] = {
    LimitKind.DEPOSIT: lambda player: reserve_deposit(player, reserve("limited"), POLICY),
    LimitKind.STAKE: lambda player: hold_stake(player, place(), START, POLICY),
    LimitKind.LOSS: lambda player: hold_stake(player, place(), START, POLICY),
}
"""For each kind of limit, what a player does that it can refuse."""

TOLD = {
    LimitKind.DEPOSIT: "Your deposit limit a day is now 12.34 EUR.",
    LimitKind.STAKE: "Your stake limit a day is now 12.34 EUR.",
    LimitKind.LOSS: "Your loss limit a day is now 12.34 EUR.",
}
"""The mail about a limit of 1234."""


def with_limit(kind: LimitKind, period: Period) -> Player:
    wish = SetLimit(kind=kind, period=period, amount=0)
    return set_limit(rich(), wish, START, POLICY).player


def test_every_kind_of_limit_is_tried() -> None:
    assert ASKS.keys() == TOLD.keys() == set(LimitKind)


@pytest.mark.parametrize("period", Period)
@pytest.mark.parametrize("kind", LimitKind)
def test_a_limit_of_zero_lets_nothing_through(kind: LimitKind, period: Period) -> None:
    outcome = ASKS[kind](with_limit(kind, period)).outcome

    assert isinstance(outcome, Refused)
    assert outcome.reason is REASON[kind]


@pytest.mark.parametrize("kind", LimitKind)
def test_what_a_limit_lets_through_counts_against_it(kind: LimitKind) -> None:
    before = rich()

    after = ASKS[kind](before).player

    assert sum(use.amount for use in after.uses[kind]) > sum(use.amount for use in before.uses.get(kind, []))


@pytest.mark.parametrize("kind", LimitKind)
def test_a_bet_that_a_limit_can_refuse_waits_for_the_time(kind: LimitKind) -> None:
    """A leg that a market reserved for a bet that a limit then refuses would stay reserved."""
    used = ASKS[kind](rich()).player
    wish = SetLimit(kind=kind, period=Period.DAY, amount=sum(use.amount for use in used.uses[kind]))
    limited = set_limit(used, wish, START, POLICY).player
    another = place("b-2", stake=1)

    refused = isinstance(hold_stake(limited, another, START, POLICY).outcome, Refused)

    assert isinstance(hold_stake(limited, another, START + timedelta(days=60), POLICY).outcome, Bet)
    assert (sure_to_be_held(limited, another, POLICY) is None) is refused


@pytest.mark.parametrize("kind", LimitKind)
def test_a_player_is_told_what_the_limit_is(kind: LimitKind) -> None:
    wish = SetLimit(kind=kind, period=Period.DAY, amount=1_234)

    [message] = set_limit(rich(), wish, START, POLICY).messages

    assert message.text == TOLD[kind]


def test_every_kind_of_limit_is_told_to_clients() -> None:
    page = (DOCS / "api.md").read_text()
    [row] = re.findall(r"^\| `PlayerService/\{userId\}/setLimit` \| `kind` \(([^)]+)\)", page, re.MULTILINE)

    assert re.findall(r"`(\w+)`", row) == list(LimitKind)
