from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.archive_pages import KEPT_ENDED, MAX_ENDED, archive_ended
from app.domain.bets import (
    Applied,
    ApplyResult,
    PlaceBet,
    Placement,
    accept_bet,
    apply_result,
    bet_view,
    cash_out,
    cash_out_selections,
    decide_cash_out,
    decide_restricted,
    delay_bet,
    hold_stake,
    holds_leg,
    placement,
    release_stake,
    sure_to_be_held,
    wished_selections,
)
from app.domain.bets import cashed_out as cashed_out_answer
from app.domain.odds import Price
from app.domain.player import Bet, BetStatus, Decision, Player, account_view
from app.domain.policy import Policy
from app.domain.protection import SetLimit, limit_usages, set_limit, take_break
from app.domain.refusals import Refusal, Refused
from app.domain.responsible_gambling import LimitKind, Period
from app.domain.settlement import Leg, SelectionOutcome, bet_return
from app.domain.statement import audit
from app.domain.wallet import Account, Kind, Wallet, move, post
from tests.strategies import START, moments, outcome, outcomes, place, rich

POLICY = Policy()
MAX_PAYOUT = 100_000_000
NO = Refused(reason=Refusal.MARKET_SUSPENDED, message="a test")
TREBLE = "m-1 2.50, m-2 1.80, m-3 3.20"


def placed(document: Player, bet_id: str = "b-1", stake: int = 1_000, legs: str = "m-1 2.50", **fields: Any) -> Player:
    """A bet that its markets took at the prices asked."""
    request = place(bet_id, stake, legs, **fields)
    held = hold_stake(document, request, START, POLICY)
    assert isinstance(held.outcome, Bet), held.outcome
    return accept_bet(held.player, bet_id, {leg.market_id: leg.price for leg in request.legs}).player


def settled(
    document: Player, market_id: str, result: str | SelectionOutcome, version: int = 1, bet_id: str = "b-1"
) -> Player:
    ended = outcome(result) if isinstance(result, str) else result
    request = ApplyResult(
        market_id=market_id, version=version, outcomes={"home": ended}, bet_ids=[bet_id, "not here"], now=START
    )
    return apply_result(document, request).player


def cashed_out(document: Player, min_amount: int | None = None, **current: str) -> Decision[Bet]:
    prices = {name.replace("_", "-"): Price.of(price) for name, price in current.items()}
    return cash_out(document, "b-1", prices, min_amount, START, POLICY)


def balance(document: Player) -> tuple[int, int, int]:
    wallet = document.wallets["w-1"]
    return wallet.cash, wallet.on(Account.LOCKED), wallet.on(Account.HOUSE)


def limited(document: Player, kind: LimitKind, amount: int) -> Player:
    return set_limit(document, SetLimit(kind=kind, period=Period.WEEK, amount=amount), START, POLICY).player


def used(document: Player, kind: LimitKind) -> int:
    return next(
        usage.used for usage in limit_usages(document, START, POLICY) if (usage.kind, usage.period) == (kind, "week")
    )


def test_a_stake_is_locked_for_all_lines_and_counted() -> None:
    document = hold_stake(rich(), place(legs=TREBLE, system_size=2), START, POLICY).player

    assert balance(document) == (97_000, 3_000, 0)
    assert used(document, LimitKind.STAKE) == used(document, LimitKind.LOSS) == 3_000
    assert account_view(document, START).open_bets == 1


def test_an_accepted_bet_is_answered_the_same_whatever_became_of_it() -> None:
    accepted = placed(rich())
    first = placement("b-1", accepted.bets["b-1"])
    assert isinstance(first, Placement)
    assert first.model_dump(mode="json", exclude={"legs"}) == {
        "betId": "b-1",
        "status": "accepted",
        "totalStake": 1_000,
        "lines": 1,
        "potentialReturn": 2_500,
        "balance": {"cash": 99_000, "locked": 1_000, "pendingOut": 0},
    }

    for ended in (settled(accepted, "m-1", "won"), cashed_out(accepted, m_1="2.00").player):
        again = hold_stake(ended, place(price_change="none"), START, POLICY)

        assert again.player is ended
        assert isinstance(again.outcome, Bet)
        assert placement("b-1", again.outcome) == first


def test_a_bet_is_taken_at_the_prices_the_markets_accepted() -> None:
    held = hold_stake(rich(), place(price_change="any"), START, POLICY).player

    document = accept_bet(held, "b-1", {"m-1": Price.of("3.00")}).player

    assert bet_view("b-1", document.bets["b-1"]).potential_return == 3_000
    assert balance(settled(document, "m-1", "won")) == (102_000, 0, -2_000)
    assert hold_stake(document, place(price_change="any"), START, POLICY).player is document


@pytest.mark.parametrize("delayed", [False, True])
def test_a_refused_bet_gives_its_stake_back_once_and_counts_no_more(delayed: bool) -> None:
    document = hold_stake(rich(), place(), START, POLICY).player
    document = delay_bet(document, "b-1").player if delayed else document
    released = release_stake(document, "b-1", NO, START).player

    assert balance(released) == (100_000, 0, 0)
    assert used(released, LimitKind.STAKE) == used(released, LimitKind.LOSS) == 0
    assert placement("b-1", released.bets["b-1"]) == NO
    for again in (
        release_stake(released, "b-1", NO, START),
        accept_bet(released, "b-1", {"m-1": Price.of("2.50")}),
        delay_bet(released, "b-1"),
        hold_stake(released, place(), START, POLICY),
    ):
        assert again.player is released
    assert settled(released, "m-1", "won") is released


def test_a_delayed_bet_says_so_until_it_is_accepted() -> None:
    document = delay_bet(hold_stake(rich(), place(), START, POLICY).player, "b-1").player

    answer = placement("b-1", document.bets["b-1"])
    assert isinstance(answer, Placement)
    assert answer.status == "delayed"
    assert settled(document, "m-1", "won") is document
    accepted = accept_bet(document, "b-1", {"m-1": Price.of("2.50")}).player
    assert accepted.bets["b-1"].status is BetStatus.OPEN
    assert release_stake(accepted, "b-1", NO, START).player is accepted


def indebted(document: Player) -> Player:
    debt = post(Wallet(currency="EUR"), move(Account.CASH, Account.HOUSE, 1))
    return document.changed(wallets={**document.wallets, "w-2": debt})


@pytest.mark.parametrize(
    ("situation", "change", "reason", "metadata"),
    [
        (placed, {"stake": 999}, Refusal.ID_REUSED, {}),
        (placed, {"legs": "m-1 2.51"}, Refusal.ID_REUSED, {}),
        (placed, {"price_change": "any"}, Refusal.ID_REUSED, {}),
        (placed, {"system_size": 1}, Refusal.ID_REUSED, {}),
        (rich, {"legs": "m-1 2.50, m-1 1.80"}, Refusal.RELATED_LEGS, {}),
        (lambda _: take_break(rich(), 1, START).player, {}, Refusal.ON_A_BREAK, {"until": "2026-01-02T00:00:00.000Z"}),
        (rich, {"wallet_id": "w-9"}, Refusal.UNKNOWN_WALLET, {}),
        (indebted, {}, Refusal.IN_DEBT, {}),
        (lambda _: placed(placed(rich(), "a"), "b"), {}, Refusal.TOO_MANY_OPEN_BETS, {}),
        (
            lambda _: placed(limited(rich(), LimitKind.STAKE, 1_999), "a"),
            {},
            Refusal.STAKE_LIMIT,
            {"remaining": "999", "period": "week"},
        ),
        (
            lambda _: settled(placed(limited(rich(), LimitKind.LOSS, 1_200), "a"), "m-1", "halfLost", bet_id="a"),
            {},
            Refusal.LOSS_LIMIT,
            {"remaining": "700", "period": "week"},
        ),
        (lambda _: placed(rich(1_999), "a"), {}, Refusal.INSUFFICIENT_FUNDS, {"available": "999"}),
    ],
)
def test_a_refusal_gives_the_document_back_untouched(
    situation: Callable[[Any], Player], change: dict[str, Any], reason: Refusal, metadata: dict[str, str]
) -> None:
    before = rich() if situation is rich else situation(rich())

    decision = hold_stake(before, place(**change), START, Policy(max_open_bets=2))

    assert isinstance(decision.outcome, Refused)
    assert (decision.outcome.reason, decision.outcome.metadata) == (reason, metadata)
    assert decision.player is before


@pytest.mark.parametrize(
    "bad",
    [
        {"system_size": 4},
        {"system_size": 0},
        {"legs": ", ".join(f"m-{number} 2.00" for number in range(14)), "system_size": 10},
        {"legs": ", ".join(f"m-{number} 2.00" for number in range(21))},
        {"stake": 10**12, "system_size": 2},
        {"stake": 0},
        {"price_change": "lower"},
    ],
)
def test_a_bet_that_is_out_of_bounds_is_no_bet(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        place(**{"legs": TREBLE, **bad})


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({"m-1": "won", "m-2": "won", "m-3": "won"}, (113_400, 0, -13_400)),
        ({"m-1": "won", "m-2": "void", "m-3": "won"}, (107_000, 0, -7_000)),
        ({"m-2": "lost"}, (99_000, 0, 1_000)),
        ({"m-1": "won", "m-3": "won"}, (99_000, 1_000, 0)),
    ],
)
def test_a_bet_is_settled_as_soon_as_its_return_is_certain(
    results: dict[str, str], expected: tuple[int, int, int]
) -> None:
    for order in permutations(results.items()):
        document = placed(rich(), legs=TREBLE)
        for market_id, result in order:
            document = settled(document, market_id, result)

        assert balance(document) == expected
        assert audit(document).balanced


def test_the_same_or_an_older_version_changes_nothing() -> None:
    document = settled(placed(rich()), "m-1", "won", version=2)

    for version in (2, 1):
        assert settled(document, "m-1", "lost", version=version) is document


def test_a_result_that_comes_twice_pays_once() -> None:
    document = settled(placed(rich()), "m-1", "won")

    assert settled(document, "m-1", "won") is document


def result_of(version: int, home: str, *bet_ids: str, market_id: str = "m-1") -> ApplyResult:
    outcomes = {"home": outcome(home)}
    return ApplyResult(market_id=market_id, version=version, outcomes=outcomes, bet_ids=list(bet_ids), now=START)


def test_a_result_that_comes_twice_is_told_what_it_moved_the_first_time() -> None:
    document = placed(placed(placed(rich()), "b-2", legs="m-1 3.00, m-2 2.00"), "b-3", legs="m-1 2.00, m-2 2.00")
    steps = [
        (result_of(1, "won", "b-1", "b-2", "b-3"), 2_500),
        (result_of(1, "won", "b-2", market_id="m-2"), 6_000),
        (result_of(2, "halfWon", "b-1", "b-2", "b-3"), -750 - 2_000),
        (result_of(3, "halfWon", "b-1", "b-2", "b-3"), 0),
        (result_of(4, "lost", "b-1", "b-2", "b-3"), -1_750 - 4_000),
    ]

    for request, paid in steps:
        first = apply_result(document, request)
        again = apply_result(first.player, request)
        assert first.outcome == again.outcome == Applied(known=len(request.bet_ids), paid=paid)
        assert again.player is first.player
        document = first.player


def test_a_result_counts_the_bets_that_were_placed() -> None:
    document = delay_bet(hold_stake(placed(rich()), place("b-2"), START, POLICY).player, "b-2").player
    document = release_stake(document, "b-2", NO, START).player
    request = ApplyResult(
        market_id="m-1", version=1, outcomes={"home": outcome("won")}, bet_ids=["b-1", "b-2", "b-3"], now=START
    )

    assert apply_result(document, request).outcome == Applied(known=1, paid=2_500)


def test_a_win_is_paid_to_a_player_in_debt() -> None:
    document = settled(indebted(placed(rich())), "m-1", "won")

    assert balance(document) == (101_500, 0, -1_500)
    assert account_view(document, START).in_debt


def test_a_correction_moves_the_difference_also_below_zero() -> None:
    document = settled(placed(rich(1_000)), "m-1", "won")
    spent = placed(document, "b-2", 2_500, "m-9 2.00")

    wrong = settled(spent, "m-1", "lost", version=2)
    assert balance(wrong)[0] == -2_500
    assert account_view(wrong, START).in_debt
    assert balance(settled(wrong, "m-1", "won", version=3)) == balance(spent)
    assert [entry.kind for entry in wrong.entries[-1:]] == [Kind.BET_CORRECTED]
    assert used(wrong, LimitKind.LOSS) == 3_500


def test_a_settled_bet_is_never_opened_again() -> None:
    lost_at_once = settled(placed(rich(), legs="m-1 2.00, m-2 3.00"), "m-1", "lost")

    corrected = settled(lost_at_once, "m-1", "won", version=2)
    assert balance(corrected) == balance(lost_at_once) == (99_000, 0, 1_000)
    assert corrected.bets["b-1"].status is BetStatus.SETTLED
    assert balance(settled(corrected, "m-2", "won")) == (105_000, 0, -5_000)


def test_the_terms_of_a_bet_are_those_of_its_placing() -> None:
    held = hold_stake(rich(), place(), START, Policy(max_payout=2_000)).player
    document = accept_bet(held, "b-1", {"m-1": Price.of("2.50")}).player

    assert balance(settled(document, "m-1", "won"))[0] == 101_000


def test_a_cash_out_pays_once_and_nothing_comes_after_it() -> None:
    document = placed(rich(), legs="m-1 4.00")
    assert cash_out_selections(document, "b-1") == {"m-1": "home"}

    ended = cashed_out(document, 1_900, m_1="2.00")
    assert isinstance(ended.outcome, Bet)
    assert (ended.outcome.status, ended.outcome.returned) == (BetStatus.CASHED_OUT, 1_900)
    assert balance(ended.player) == (100_900, 0, -900)
    assert used(ended.player, LimitKind.LOSS) == 0
    again = cashed_out(ended.player, 5_000, m_1="1.10")
    assert (again.player, again.outcome) == (ended.player, ended.outcome)
    assert settled(ended.player, "m-1", "won") is ended.player
    assert cash_out_selections(ended.player, "b-1") == {}


def test_a_cash_out_counts_what_is_decided() -> None:
    document = settled(placed(rich(), legs="m-1 2.50, m-2 4.00"), "m-1", "won")

    assert cash_out_selections(document, "b-1") == {"m-2": "home"}
    assert balance(cashed_out(document, m_2="2.00").player) == (99_000 + 4_750, 0, -3_750)


@pytest.mark.parametrize(
    ("before", "current", "min_amount", "reason"),
    [
        (rich(), {}, None, Refusal.UNKNOWN_BET),
        (settled(placed(rich()), "m-1", "lost"), {}, None, Refusal.BET_NOT_OPEN),
        (settled(placed(rich()), "m-1", "won"), {}, None, Refusal.BET_NOT_OPEN),
        (hold_stake(rich(), place(), START, POLICY).player, {}, None, Refusal.BET_NOT_OPEN),
        (placed(rich(), legs=TREBLE, system_size=2), {}, None, Refusal.CASH_OUT_UNAVAILABLE),
        (placed(rich()), {}, None, Refusal.CASH_OUT_UNAVAILABLE),
        (placed(rich(), stake=1), {"m_1": "1000"}, None, Refusal.CASH_OUT_UNAVAILABLE),
        (placed(rich()), {"m_1": "2.50"}, 951, Refusal.CASH_OUT_CHANGED),
    ],
)
def test_a_cash_out_that_cannot_be_changes_nothing(
    before: Player, current: dict[str, str], min_amount: int | None, reason: Refusal
) -> None:
    decision = cashed_out(before, min_amount, **current)

    assert isinstance(decision.outcome, Refused)
    assert decision.outcome.reason is reason
    assert decision.player is before


IN_PLAY = timedelta(seconds=5)


def asked_in_play(document: Player, min_amount: int | None = None) -> Player:
    asked = cash_out(document, "b-1", {"m-1": Price.of("2.00")}, min_amount, START, POLICY, IN_PLAY)
    assert isinstance(asked.outcome, Bet)
    return asked.player


def decided(document: Player, price: str | None) -> Player:
    prices = {} if price is None else {"m-1": Price.of(price)}
    return decide_cash_out(document, "b-1", prices, START + IN_PLAY, POLICY).player


def cash_out_shown(document: Player) -> dict[str, Any] | None:
    shown: dict[str, Any] | None = bet_view("b-1", document.bets["b-1"]).model_dump(mode="json")["cashOut"]
    return shown


def test_a_cash_out_in_play_waits_and_is_paid_at_the_price_of_that_moment() -> None:
    waiting = asked_in_play(placed(rich(), legs="m-1 4.00"), 1_500)

    assert cashed_out_answer("b-1", waiting.bets["b-1"]).model_dump(exclude_none=True) == {
        "betId": "b-1",
        "status": "delayed",
    }
    assert balance(waiting) == (99_000, 1_000, 0)
    assert cash_out_shown(waiting) == {"status": "delayed", "reason": None, "message": None, "amount": None}
    assert asked_in_play(waiting, 99_999) is waiting
    assert cash_out_selections(waiting, "b-1") == {}
    assert wished_selections(waiting, "b-1") == {"m-1": "home"}

    paid = decided(waiting, "2.50")
    assert balance(paid) == (99_000 + 1_520, 0, -520)
    assert (cash_out_shown(paid), cashed_out_answer("b-1", paid.bets["b-1"]).amount) == (None, 1_520)
    assert decided(paid, "1.10") is paid


@pytest.mark.parametrize(
    ("price", "reason", "amount"),
    [("2.60", "cash_out_changed", 1_461), (None, "cash_out_unavailable", None)],
)
def test_a_cash_out_in_play_that_cannot_be_paid_any_more_leaves_the_bet_open_and_says_so(
    price: str | None, reason: str, amount: int | None
) -> None:
    waiting = asked_in_play(placed(rich(), legs="m-1 4.00"), 1_500)

    refused = decided(waiting, price)

    assert refused.bets["b-1"].status is BetStatus.OPEN
    shown = cash_out_shown(refused)
    assert shown is not None
    assert (shown["status"], shown["reason"], shown["amount"]) == ("refused", reason, amount)
    assert decided(refused, "2.00") is refused
    assert asked_in_play(refused).bets["b-1"].waits_for_cash_out, "it can be asked for again"


def test_a_result_that_comes_while_a_cash_out_waits_is_what_pays() -> None:
    waiting = asked_in_play(placed(rich(), legs="m-1 4.00"))

    won = settled(waiting, "m-1", "won")

    assert balance(won) == (103_000, 0, -3_000)
    assert decided(won, "2.00") is won
    shown = cash_out_shown(won)
    assert shown is not None
    assert (shown["status"], shown["reason"]) == ("refused", "bet_not_open")


def test_a_bet_that_waits_is_given_back_to_a_player_who_stopped_meanwhile() -> None:
    document = delay_bet(hold_stake(rich(), place(), START, POLICY).player, "b-1").player
    assert decide_restricted(document, "b-1", START) is None

    stopped = decide_restricted(take_break(document, 1, START).player, "b-1", START)

    assert stopped is not None
    assert balance(stopped.player) == (100_000, 0, 0)
    assert isinstance(stopped.outcome, Bet)
    assert stopped.outcome.refused is not None
    assert stopped.outcome.refused.reason is Refusal.ON_A_BREAK


@pytest.mark.parametrize(("page", "held"), [(3, True), (2, False)])
def test_a_leg_is_held_by_a_bet_that_was_accepted_with_it(page: int, held: bool) -> None:
    pending = hold_stake(rich(), place(), START, POLICY).player
    accepted = accept_bet(pending, "b-1", {"m-1": Price.of("2.50")}, {"m-1": 3}).player

    assert holds_leg(accepted, "b-1", "m-1", page) is held
    assert holds_leg(settled(accepted, "m-1", "won"), "b-1", "m-1", page) is held
    assert not holds_leg(accepted, "b-2", "m-1", page)
    assert not holds_leg(accepted, "b-1", "m-2", page)
    assert not holds_leg(release_stake(pending, "b-1", NO, START).player, "b-1", "m-1", page)
    assert not holds_leg(delay_bet(pending, "b-1").player, "b-1", "m-1", page)


def test_a_win_counts_against_later_losses_for_as_long_as_the_window() -> None:
    document = settled(placed(limited(rich(), LimitKind.LOSS, 2_000)), "m-1", "won")

    assert used(document, LimitKind.LOSS) == 0
    assert isinstance(hold_stake(document, place("b-2", 2_000), START, POLICY).outcome, Bet)
    tomorrow = START + timedelta(days=1)
    assert isinstance(hold_stake(document, place("b-2", 2_001), tomorrow, POLICY).outcome, Refused)


def test_bets_that_ended_are_archived_and_open_ones_stay() -> None:
    document = placed(rich(10_000_000), "open", 1, "m-2 2.00")
    for number in range(MAX_ENDED + 1):
        document = settled(placed(document, str(number), 1), "m-1", "lost", bet_id=str(number))

    kept, page = archive_ended(document)

    assert page is not None
    assert list(page.bets) == [str(number) for number in range(MAX_ENDED + 1 - KEPT_ENDED)]
    assert {**page.bets, **kept.bets} == document.bets
    assert kept.bets["open"].status is BetStatus.OPEN


MARKETS = ["m-1", "m-2", "m-3", "m-4"]
BETS = {
    "single": place("single", 700, "m-1 1.95"),
    "treble": place("treble", 333, "m-1 2.50, m-2 1.80, m-4 3.20"),
    "system": place("system", 101, "m-1 1.50, m-2 1.001, m-3 7.125, m-4 2.00", system_size=2),
    "singles": place("singles", 50, "m-3 4.00, m-4 1.10", system_size=1),
}
results = st.tuples(st.sampled_from(MARKETS), st.integers(1, 4), outcomes)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(dict.fromkeys(MARKETS, outcomes)),
    st.lists(results, max_size=8),
    st.permutations(MARKETS),
    st.permutations(MARKETS),
)
def test_in_the_end_only_the_last_results_count_whatever_came_before_and_in_what_order(
    final: dict[str, SelectionOutcome],
    before: list[tuple[str, int, SelectionOutcome]],
    one_order: list[str],
    other_order: list[str],
) -> None:
    started = rich()
    for bet_id, request in BETS.items():
        held = hold_stake(started, request, START, POLICY).player
        started = accept_bet(held, bet_id, {leg.market_id: leg.price for leg in request.legs}).player

    def run(history: list[tuple[str, int, SelectionOutcome]]) -> Player:
        document = started
        newest: dict[str, tuple[int, int]] = {}
        for market_id, version, result in history:
            request = ApplyResult(
                market_id=market_id, version=version, outcomes={"home": result}, bet_ids=list(BETS), now=START
            )
            decision = apply_result(document, request)
            assert not isinstance(decision.outcome, Refused)
            moved = balance(decision.player)[0] - balance(document)[0]
            known, paid = newest.get(market_id, (0, 0))
            if version > known:
                newest[market_id] = version, moved
            else:
                assert moved == 0, "it was told before, or overtaken"
            assert decision.outcome.paid == (paid if version == known else moved)
            document = Player.model_validate_json(decision.player.model_dump_json())
            assert audit(document).balanced
            locked = sum(bet.total_stake for bet in document.bets.values() if bet.status.holds_stake)
            assert balance(document)[1] == locked
        return document

    straight = run([(market, 9, final[market]) for market in one_order])
    winding = run([*before, *((market, 9, final[market]) for market in other_order)])

    assert balance(straight) == balance(winding)
    expected = 0
    for request in BETS.values():
        legs: list[Leg] = [(leg.price, final[leg.market_id]) for leg in request.legs]
        returned = bet_return(request.stake, request.system_size, legs, MAX_PAYOUT)
        assert returned is not None
        expected += returned
    assert balance(straight)[0] == balance(started)[0] + expected
    assert used(straight, LimitKind.LOSS) == used(winding, LimitKind.LOSS)
    releases = [entry.reference for entry in winding.entries if entry.postings.get(Account.LOCKED, 0) < 0]
    assert sorted(releases) == sorted(BETS)


@given(st.lists(st.sampled_from(["accept", "release", "delay", "won", "lost", "cash out"]), max_size=8))
def test_a_locked_stake_is_released_once_whatever_comes_in_whatever_order(steps: list[str]) -> None:
    document = hold_stake(rich(), place(), START, POLICY).player
    acts: dict[str, Callable[[Player, int], Player]] = {
        "accept": lambda now, _: accept_bet(now, "b-1", {"m-1": Price.of("2.50")}).player,
        "release": lambda now, _: release_stake(now, "b-1", NO, START).player,
        "delay": lambda now, _: delay_bet(now, "b-1").player,
        "won": lambda now, version: settled(now, "m-1", "won", version),
        "lost": lambda now, version: settled(now, "m-1", "lost", version),
        "cash out": lambda now, _: cashed_out(now, m_1="2.00").player,
    }
    for version, step in enumerate(steps, start=1):
        document = acts[step](document, version)

    bet = document.bets["b-1"]
    released = [entry for entry in document.entries if entry.postings.get(Account.LOCKED, 0) < 0]
    assert len(released) == (0 if bet.status.holds_stake else 1)
    paid = {BetStatus.SETTLED: bet.returned, BetStatus.CASHED_OUT: bet.returned, BetStatus.REFUSED: 1_000}
    assert balance(document)[0] == 99_000 + paid.get(bet.status, 0)
    assert audit(document).balanced


@example(kinds={(LimitKind.STAKE, Period.DAY): 1_500}, stakes=[1_000], stake=1_000, on_a_break=False, now=START)
@given(
    kinds=st.dictionaries(
        st.tuples(st.sampled_from(LimitKind), st.sampled_from(Period)), st.none() | st.integers(0, 3_000), max_size=2
    ),
    stakes=st.lists(st.integers(1, 1_500), max_size=3),
    stake=st.integers(1, 2_000) | st.just(1_000_000),
    on_a_break=st.sampled_from([False, False, True]),
    now=moments,
)
def test_a_stake_that_is_sure_to_be_held_is_held_whenever_it_is_asked_for(
    kinds: dict[tuple[LimitKind, Period], int | None], stakes: list[int], stake: int, on_a_break: bool, now: datetime
) -> None:
    document = rich()
    for number, earlier in enumerate(stakes):
        document = placed(document, f"b-{number}", earlier)
    for (kind, period), amount in kinds.items():
        document = set_limit(document, SetLimit(kind=kind, period=period, amount=amount), START, POLICY).player
    if on_a_break:
        document = take_break(document, 1, START).player
    request = place("b-new", stake)

    sure = sure_to_be_held(document, request, POLICY)

    held = hold_stake(document, request, now, POLICY)
    if sure is not None:
        assert isinstance(held.outcome, Bet), held.outcome
        assert held.outcome.legs == sure.legs
    elif not kinds and not on_a_break:
        assert isinstance(held.outcome, Refused)


OTHERS = {"wallet_id": "w-2", "stake": 999, "legs": "m-1 2.51", "system_size": 1, "price_change": "any"}


@pytest.mark.parametrize("field", sorted(PlaceBet.model_fields.keys() - {"bet_id"}))
def test_a_bet_that_differs_in_any_field_is_another_bet(field: str) -> None:
    outcome = hold_stake(placed(rich()), place(**{field: OTHERS[field]}), START, POLICY).outcome  # type: ignore[arg-type]

    assert isinstance(outcome, Refused)
    assert outcome.reason is Refusal.ID_REUSED
