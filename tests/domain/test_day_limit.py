"""The most that a player's bets return on one UTC day: what is over it stays with the house, and the bet tells."""

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.bets import ApplyResult, accept_bet, apply_result, bet_view, cash_out, hold_stake
from app.domain.currency import CurrencyAmounts
from app.domain.day_limit import KEPT_DAYS
from app.domain.odds import Price
from app.domain.player import Player
from app.domain.policy import Policy
from app.domain.refusals import Refusal, Refused
from app.domain.settlement import SelectionOutcome
from app.domain.statement import audit
from app.domain.wallet import Account
from tests.strategies import START, outcome, outcomes, place, rich

LIMITED = Policy(max_payout_per_day=CurrencyAmounts(bare=3_000))
DAY = timedelta(days=1)


def placed(document: Player, bet_id: str, stake: int = 1_000, policy: Policy = LIMITED) -> Player:
    held = hold_stake(document, place(bet_id, stake, f"{bet_id} 2.50"), START, policy).player
    return accept_bet(held, bet_id, {bet_id: Price.of("2.50")}).player


def ended(
    document: Player, bet_id: str, result: str | SelectionOutcome, now: datetime = START, version: int = 1
) -> Player:
    how = outcome(result) if isinstance(result, str) else result
    request = ApplyResult(market_id=bet_id, version=version, outcomes={"home": how}, bet_ids=[bet_id], now=now)
    decision = apply_result(document, request)
    assert not isinstance(decision.outcome, Refused)
    moved = decision.player.wallets["w-1"].cash - document.wallets["w-1"].cash
    assert decision.outcome.paid == moved
    assert audit(decision.player).balanced
    return decision.player


def shown(document: Player, bet_id: str) -> tuple[int | None, int | None]:
    view = bet_view(bet_id, document.bets[bet_id])
    return view.returned, view.capped


def three_placed() -> Player:
    return placed(placed(placed(rich(), "a"), "b"), "c")


def test_a_day_pays_no_more_than_its_maximum_and_the_bet_tells_what_was_withheld() -> None:
    document = ended(ended(three_placed(), "a", "won"), "b", "won")

    assert (shown(document, "a"), shown(document, "b")) == ((2_500, None), (500, 2_000))
    house = document.wallets["w-1"].on(Account.HOUSE)
    assert house == 2_000 - 3_000, "what is withheld stays with the house"
    assert shown(ended(document, "c", "won"), "c") == (0, 2_500)


def test_the_day_is_that_of_the_end_of_a_bet_in_utc() -> None:
    last = START + DAY - timedelta(milliseconds=1)
    document = ended(ended(three_placed(), "a", "won"), "b", "won", now=last)

    assert shown(document, "b") == (500, 2_000)
    assert shown(ended(document, "c", "won", now=START + DAY), "c") == (2_500, None)


def test_a_cash_out_counts_and_is_capped_too() -> None:
    document = ended(three_placed(), "a", "won")
    current = {"b": Price.of("1.25")}

    refused = cash_out(document, "b", current, 501, START, LIMITED).outcome
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.metadata) == (Refusal.CASH_OUT_CHANGED, {"amount": "500"})
    paid = cash_out(document, "b", current, 500, START, LIMITED).player
    assert shown(paid, "b") == (500, 1_400)
    nothing = cash_out(paid, "c", {"c": Price.of("1.25")}, None, START, LIMITED).outcome
    assert isinstance(nothing, Refused)
    assert nothing.reason is Refusal.CASH_OUT_UNAVAILABLE


def test_a_correction_is_held_to_what_the_other_bets_of_that_day_leave() -> None:
    document = ended(ended(three_placed(), "a", "won"), "b", "won")

    later = START + 3 * DAY
    lost = ended(document, "b", "lost", now=later, version=2)
    assert shown(lost, "b") == (0, None)
    assert shown(ended(lost, "b", "won", now=later, version=3), "b") == (500, 2_000)
    freed = ended(document, "a", "lost", now=later, version=2)
    assert shown(ended(freed, "b", "halfWon", now=later, version=2), "b") == (1_750, None)


def test_a_correction_of_a_day_that_is_forgotten_keeps_to_what_that_day_had_left() -> None:
    document = ended(ended(rich_and_placed(KEPT_DAYS + 1), "a", "won"), "b", "won")
    for number in range(KEPT_DAYS + 1):
        document = ended(document, f"later-{number}", "won", now=START + (number + 1) * DAY)
    assert len(document.returned_on["EUR"]) == KEPT_DAYS

    lost = ended(document, "b", "lost", now=START + 99 * DAY, version=2)
    assert shown(ended(lost, "b", "won", now=START + 99 * DAY, version=3), "b") == (500, 2_000)


def rich_and_placed(later: int) -> Player:
    document = three_placed()
    for number in range(later):
        document = placed(document, f"later-{number}", 1)
    return document


def test_without_a_maximum_a_day_nothing_is_withheld_or_remembered() -> None:
    document = placed(placed(rich(), "a", policy=Policy()), "b", policy=Policy())

    document = ended(ended(document, "a", "won"), "b", "won")

    assert shown(document, "b") == (2_500, None)
    assert document.returned_on == {}


def test_the_maximum_payout_of_a_bet_is_shown_as_well() -> None:
    document = ended(placed(rich(), "a", policy=Policy(max_payout=CurrencyAmounts(bare=2_000))), "a", "won")

    assert shown(document, "a") == (2_000, 500)


steps = st.tuples(st.sampled_from("abc"), outcomes, st.integers(0, 3))


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=12))
def test_no_day_ever_returns_more_than_its_maximum(history: list[tuple[str, SelectionOutcome, int]]) -> None:
    document = three_placed()
    for version, (bet_id, how, day) in enumerate(history, start=1):
        document = ended(document, bet_id, how, START + day * DAY, version)
        document = Player.model_validate_json(document.model_dump_json())
        by_day: dict[object, int] = {}
        for bet in document.bets.values():
            if bet.ended_at is not None:
                by_day[bet.ended_at.date()] = by_day.get(bet.ended_at.date(), 0) + bet.returned
        assert all(returned <= 3_000 for returned in by_day.values())
