from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.market_views import operators_view
from app.domain.markets import (
    Holder,
    Lease,
    Market,
    MarketStatus,
    OpenMarket,
    SettleMarket,
    Withdrawn,
    WithdrawSelection,
    begin_round,
    close,
    join,
    lease,
    open_market,
    outcome_for,
    resume,
    set_prices,
    settle,
    suspend,
    withdraw,
)
from app.domain.odds import Price
from app.domain.refusals import Refusal, Refused
from app.domain.settlement import leg_factor
from app.domain.shards import (
    PAGE_SIZE,
    Accepted,
    BetPage,
    Delayed,
    ReserveLeg,
    Shard,
    apply_terms,
    bet_name,
    extent,
    lease_wanted,
    release,
    reserve,
    turn_page,
    with_lease,
    without_remains,
)
from tests.strategies import outcome


def offer(**fields: Any) -> OpenMarket:
    selections = [{"selectionId": name, "name": name, "price": "2.50"} for name in ("home", "away")]
    return OpenMarket.model_validate({"name": "A game", "selections": selections, **fields})


def opened(**fields: Any) -> Market:
    market = open_market(None, "m-1", offer(**fields))
    assert isinstance(market, Market)
    return market


def accepted(market: Market | Refused) -> Market:
    assert isinstance(market, Market), market
    return market


def result(version: int = 1, home: str = "won", away: str = "lost", **more: str) -> SettleMarket:
    named = {"home": home, "away": away, **more}
    return SettleMarket(version=version, outcomes={name: outcome(ended) for name, ended in named.items()})


def leg(bet_id: str = "b-1", **fields: Any) -> ReserveLeg:
    asked = {"price": "2.50", "price_change": "none", "stake": 1_000, "potential_return": 2_500}
    return ReserveLeg.model_validate({"user_id": "u-1", "bet_id": bet_id, "selection_id": "home", **asked, **fields})


def shard_of(market: Market, **leased: int) -> Shard:
    return apply_terms(None, market.terms).model_copy(update={"leased": leased})


def test_a_market_opened_again_with_the_same_content_is_unchanged_whatever_became_of_it() -> None:
    for market in (opened(), accepted(set_prices(opened(), {"home": Price.of("3")})), close(opened())):
        assert open_market(market, "m-1", offer()) is market

    other = open_market(opened(), "m-1", offer(maxStake=1))
    assert isinstance(other, Refused)
    assert other.reason is Refusal.ID_REUSED


@pytest.mark.parametrize(
    "bad",
    [
        {"selections": []},
        {"selections": [{"selectionId": "a", "name": "a", "price": "2"}] * 2},
        {"name": ""},
        {"maxStake": 0},
        {"betDelaySeconds": -1},
    ],
)
def test_a_market_that_cannot_be_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        offer(**bad)


Step = Callable[[Market], Market | Refused]
STEPS: dict[str, Step] = {
    "suspend": suspend,
    "resume": resume,
    "close": close,
    "price": lambda market: set_prices(market, {"home": Price.of("2.60")}),
    "settle": lambda market: settle(market, result()),
    "withdraw": lambda market: withdraw(market, WithdrawSelection(selection_id="home")),
}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("suspend", MarketStatus.SUSPENDED),
        ("suspend suspend", MarketStatus.SUSPENDED),
        ("suspend price", MarketStatus.SUSPENDED),
        ("suspend resume", MarketStatus.OPEN),
        ("resume", MarketStatus.OPEN),
        ("suspend close", MarketStatus.CLOSED),
        ("close close", MarketStatus.CLOSED),
        ("close settle", MarketStatus.SETTLED),
        ("settle", MarketStatus.SETTLED),
        ("settle close", MarketStatus.SETTLED),
        ("close suspend", None),
        ("close resume", None),
        ("close price", None),
        ("settle suspend", None),
        ("settle resume", None),
        ("settle price", None),
    ],
)
def test_a_market_goes_forward_only(steps: str, expected: MarketStatus | None) -> None:
    market: Market | Refused = opened()
    for step in steps.split():
        market = STEPS[step](accepted(market))

    if expected is None:
        assert isinstance(market, Refused)
        assert market.reason is Refusal.MARKET_NOT_OPEN
    else:
        assert accepted(market).status is expected


def test_prices_are_set_for_selections_that_there_are() -> None:
    refused = set_prices(opened(), {"home": Price.of("3"), "draw": Price.of("3")})

    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.UNKNOWN_SELECTION


def test_a_result_names_every_selection_and_no_other() -> None:
    missing = settle(opened(), SettleMarket(version=1, outcomes={"home": outcome("won")}))
    other = settle(opened(), result(draw="lost"))

    assert isinstance(missing, Refused)
    assert isinstance(other, Refused)
    assert (missing.reason, missing.message) == (Refusal.INVALID_REQUEST, "outcomes: away not named")
    assert other.reason is Refusal.UNKNOWN_SELECTION


def test_a_higher_version_corrects_and_any_other_changes_nothing() -> None:
    settled = accepted(settle(opened(), result(2)))

    assert settle(settled, result(2)) is settled
    assert settle(settled, result(1, home="lost")) is settled
    corrected = accepted(settle(settled, result(3, home="lost")))
    assert (corrected.result_version, corrected.outcomes["home"]) == (3, outcome("lost"))


def test_a_version_stands_for_one_result_for_ever() -> None:
    settled = accepted(settle(opened(), result(2)))

    other = settle(settled, result(2, home="lost"))

    assert isinstance(other, Refused)
    assert (other.reason, other.message) == (Refusal.ID_REUSED, "version: 2 stands for something else already")


def test_versions_go_up_to_the_greatest_number_that_json_keeps() -> None:
    assert result(2**53 - 1).version == 2**53 - 1
    for version in (2**53, 0, 1.0, "1"):
        with pytest.raises(ValidationError):
            SettleMarket.model_validate({"version": version, "outcomes": {}})


@pytest.mark.parametrize(
    "bad",
    [
        "2026-01-01T12:00:00",
        "2026-01-01",
        "12:00",
        "soon",
        "",
        "1767225600",
        1_767_225_600,
        True,
        "2026-13-01T12:00:00Z",
        "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:59:59-23:00",
    ],
)
def test_a_moment_that_is_none_or_has_no_zone_is_refused(bad: object) -> None:
    with pytest.raises(ValidationError):
        offer(closesAt=bad)


def test_a_market_opened_again_with_the_same_moment_is_the_same_however_it_is_written() -> None:
    market = Market.model_validate_json(opened(closesAt="2026-01-01T12:00:00.123456Z").model_dump_json())

    assert open_market(market, "m-1", offer(closesAt="2026-01-01T13:00:00.123+01:00")) is market


CLOSES_AT = "2026-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("seconds", "step", "reason"),
    [
        (-1, None, None),
        (-0.001, None, None),
        (0, None, Refusal.MARKET_NOT_OPEN),
        (1, None, Refusal.MARKET_NOT_OPEN),
        (1, "suspend", Refusal.MARKET_NOT_OPEN),
        (-1, "suspend", Refusal.MARKET_SUSPENDED),
        (1, "settle", Refusal.MARKET_NOT_OPEN),
    ],
)
def test_a_market_takes_no_bet_from_the_moment_it_closes_at(
    seconds: float, step: str | None, reason: Refusal | None
) -> None:
    market = opened(closesAt=CLOSES_AT)
    shard = shard_of(market if step is None else accepted(STEPS[step](market)))

    for asked in (leg(), leg(delayed=True)):
        _, answer = reserve(shard, asked, datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(seconds=seconds))
        assert (answer.reason if isinstance(answer, Refused) else None) is reason


@pytest.mark.parametrize("step", ["suspend", "close", "settle", "withdraw", "price", None])
def test_a_bet_that_is_asked_again_after_a_kill_is_decided_as_the_market_is_now(step: str | None) -> None:
    market = opened(closesAt=CLOSES_AT)
    closes_at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    left, _ = reserve(shard_of(market), leg(), closes_at - timedelta(seconds=1))
    now = closes_at if step is None else closes_at - timedelta(seconds=1)
    if step is not None:
        left = apply_terms(left, accepted(STEPS[step](market)).terms)

    shard, answer = reserve(without_remains(left, BetPage(), leg())[0], leg(), now)

    assert isinstance(answer, Refused)
    assert (shard.bets, shard.used) == (0, {"home": 0})


@pytest.mark.parametrize(
    ("named", "bet_in", "taken"),
    [(None, "EUR", True), (None, "JPY", False), ("JPY", "JPY", True), ("JPY", "EUR", False)],
)
def test_a_market_takes_bets_in_its_own_currency(named: str | None, bet_in: str, taken: bool) -> None:
    before = shard_of(opened(currency=named))

    shard, answer = reserve(before, leg(currency=bet_in))

    assert isinstance(answer, Accepted) is taken
    if isinstance(answer, Refused):
        assert (answer.reason, answer.metadata) == (Refusal.MARKET_CURRENCY, {"currency": named or "EUR"})
        assert shard is before


def test_a_market_keeps_the_currency_that_the_house_had_when_it_opened() -> None:
    market = open_market(None, "m-1", offer(), "SEK")
    assert isinstance(market, Market)

    assert (market.currency, market.terms.currency) == ("SEK", "SEK")
    assert open_market(market, "m-1", offer(), "EUR") is market


def withdrawn(market: Market, selection_id: str = "away", deduction: int = 20) -> Market:
    return accepted(withdraw(market, WithdrawSelection(selection_id=selection_id, deduction=deduction)))


def test_a_withdrawn_selection_takes_no_bets_and_no_prices_any_more() -> None:
    market = withdrawn(opened())

    for refused in (
        reserve(shard_of(market), leg(selection_id="away"))[1],
        reserve(shard_of(market), leg(selection_id="away", delayed=True))[1],
        set_prices(market, {"home": Price.of("2.40"), "away": Price.of("3")}),
    ):
        assert isinstance(refused, Refused)
        assert refused.reason is Refusal.SELECTION_WITHDRAWN
    assert isinstance(reserve(shard_of(market), leg())[1], Accepted)
    assert accepted(set_prices(market, {"home": Price.of("2.40")})).prices["home"] == Price.of("2.40")


def test_a_selection_is_withdrawn_once_for_one_deduction_until_there_is_a_result() -> None:
    market = withdrawn(accepted(suspend(opened())))

    assert withdrawn(market) is market
    other = withdraw(market, WithdrawSelection(selection_id="away"))
    unknown = withdraw(market, WithdrawSelection(selection_id="draw"))
    settled = accepted(settle(market, result(away="void")))
    late = withdraw(settled, WithdrawSelection(selection_id="home"))

    assert withdrawn(settled) is settled
    assert withdrawn(close(market), "home").withdrawn == [
        *market.withdrawn,
        Withdrawn(selection_id="home", deduction=20),
    ]
    reasons = [answer.reason for answer in (other, unknown, late) if isinstance(answer, Refused)]
    assert reasons == [Refusal.ID_REUSED, Refusal.UNKNOWN_SELECTION, Refusal.MARKET_NOT_OPEN]


def test_a_withdrawn_selection_is_void_whether_the_result_names_it_or_not() -> None:
    market = withdrawn(opened())
    unnamed = SettleMarket(version=1, outcomes={"home": outcome("won")})

    settled = accepted(settle(market, unnamed))

    assert settled.outcomes == {"home": outcome("won"), "away": outcome("void")}
    assert accepted(settle(market, result(away="void"))) == settled
    assert settle(settled, unnamed) is settled
    assert settle(settled, result(away="void")) is settled
    lost = settle(market, result(away="lost"))
    assert isinstance(lost, Refused)
    assert lost.reason is Refusal.SELECTION_WITHDRAWN


def test_a_bet_bears_the_deductions_of_withdrawals_after_it_and_no_others() -> None:
    market, shard, struck = opened(), shard_of(opened()), []
    for deduction in (20, 5, 80):
        shard, _ = reserve(shard, leg(f"b-{deduction}"))
        struck.append(shard.newest.bets[f"u-1/b-{deduction}"].withdrawals)
        market = market.changed(withdrawn=[*market.withdrawn, Withdrawn(selection_id="away", deduction=deduction)])
        shard = apply_terms(shard, market.terms)
    shard, _ = reserve(shard, leg("late"))
    struck.append(shard.newest.bets["u-1/late"].withdrawals)

    for own, expected in ((0, [90, 85, 80, 0]), (7, [90, 90, 87, 7])):
        ended = [outcome_for(outcome("won", deduction=own), market.withdrawn, known) for known in struck]
        assert [one.deduction for one in ended] == expected


def test_a_bet_before_a_withdrawal_bears_its_deduction_and_a_later_one_has_its_price() -> None:
    market = withdrawn(opened())

    before, after = (outcome_for(outcome("won"), market.withdrawn, known) for known in (0, 1))

    assert 1_000 * leg_factor(Price.of("5.00"), before) == 4_200
    assert 1_000 * leg_factor(Price.of("4.00"), after) == 4_000


@pytest.mark.parametrize(
    ("deduction", "known", "selection_id", "price"),
    [
        (20, 0, "home", None),
        (20, 1, "home", "2.50"),
        (0, 0, "home", "2.50"),
        (0, 0, "away", None),
        (20, 1, "away", None),
    ],
)
def test_a_leg_that_bears_a_withdrawal_has_no_price_to_be_cashed_out_at(
    deduction: int, known: int, selection_id: str, price: str | None
) -> None:
    terms = withdrawn(opened(), deduction=deduction).terms

    assert terms.current_price(selection_id, known) == (None if price is None else Price.of(price))
    assert accepted(suspend(opened())).terms.current_price("home", 0) is None


FEED, TRADER = Holder.FEED, Holder.TRADER


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(suspend, FEED), (resume, FEED)], MarketStatus.OPEN),
        ([(suspend, TRADER), (resume, TRADER)], MarketStatus.OPEN),
        ([(suspend, TRADER), (resume, FEED)], MarketStatus.SUSPENDED),
        ([(suspend, TRADER), (suspend, FEED), (resume, FEED)], MarketStatus.SUSPENDED),
        ([(suspend, FEED), (suspend, TRADER), (resume, FEED)], MarketStatus.SUSPENDED),
        ([(suspend, FEED), (suspend, TRADER), (resume, FEED), (resume, TRADER)], MarketStatus.OPEN),
        ([(suspend, FEED), (resume, TRADER)], MarketStatus.OPEN),
        ([(suspend, FEED), (suspend, TRADER), (resume, TRADER)], MarketStatus.OPEN),
        ([(suspend, TRADER), (resume, TRADER), (resume, FEED), (suspend, FEED)], MarketStatus.SUSPENDED),
    ],
)
def test_the_feed_lifts_its_own_suspension_only(
    steps: list[tuple[Callable[[Market, Holder], Market | Refused], Holder]], expected: MarketStatus
) -> None:
    market = opened()
    for step, by in steps:
        market = accepted(step(market, by))
        assert step(market, by) is market

    assert market.status is expected


def test_a_suspension_of_an_earlier_version_is_the_traders() -> None:
    market = opened().model_copy(update={"status": MarketStatus.SUSPENDED})

    assert resume(market, FEED) is market
    assert accepted(resume(market, TRADER)).status is MarketStatus.OPEN


def test_changes_wait_for_the_round_after_all_that_have_begun_and_a_round_begins_once() -> None:
    market = opened()

    first = begin_round(market, 0)
    third = begin_round(first, 2)

    assert [market.rounds, first.rounds, third.rounds] == [0, 1, 3]
    assert all(begin_round(third, number) is third for number in range(3))
    assert third.terms == market.terms, "a round is no change of the market"


def test_a_leg_tells_what_event_it_is_about() -> None:
    _, answer = reserve(shard_of(opened(eventId="e-1")), leg())

    assert answer == Accepted(price=Price.of("2.50"), page=0, exposure=1_500, event_id="e-1")


@pytest.mark.parametrize("later", ["suspend", "close", "price", "settle"])
def test_a_book_keeps_to_the_newest_terms_in_whatever_order_they_arrive(later: str) -> None:
    before = opened()
    after = accepted(STEPS[later](before))

    for order in ([before, after], [after, before], [after, after]):
        shard = None
        for market in order:
            shard = apply_terms(shard, market.terms)
        assert shard is not None
        assert shard.terms == after.terms


@pytest.mark.parametrize(
    ("market", "asked", "reason", "metadata"),
    [
        (suspend(opened()), {}, Refusal.MARKET_SUSPENDED, {}),
        (close(opened()), {}, Refusal.MARKET_NOT_OPEN, {}),
        (settle(opened(), result()), {}, Refusal.MARKET_NOT_OPEN, {}),
        (opened(), {"selection_id": "draw"}, Refusal.UNKNOWN_SELECTION, {}),
        (opened(), {"price": "2.60"}, Refusal.PRICE_CHANGED, {"price": "2.50"}),
        (opened(), {"price": "2.40"}, Refusal.PRICE_CHANGED, {"price": "2.50"}),
        (opened(), {"price": "2.60", "price_change": "higher"}, Refusal.PRICE_CHANGED, {"price": "2.50"}),
        (opened(maxStake=999), {}, Refusal.STAKE_TOO_HIGH, {"maxStake": "999"}),
        (opened(maxStakePerPlayer=1_500), {"open_stake": 501}, Refusal.STAKE_TOO_HIGH, {"maxStakePerPlayer": "1500"}),
        (opened(maxLiability=1_499), {}, Refusal.LIABILITY_LIMIT, {}),
        (opened(betDelaySeconds=5, maxStake=999), {}, Refusal.STAKE_TOO_HIGH, {"maxStake": "999"}),
    ],
)
def test_a_leg_that_its_market_refuses_leaves_the_book_untouched(
    market: Market, asked: dict[str, Any], reason: Refusal, metadata: dict[str, str]
) -> None:
    before = shard_of(market, home=1_499)

    after, refused = reserve(before, leg(**asked))

    assert isinstance(refused, Refused)
    assert (refused.reason, refused.metadata) == (reason, metadata)
    assert after is before


@pytest.mark.parametrize(("price", "change"), [("2.50", "none"), ("2.40", "higher"), ("2.60", "any"), ("2.40", "any")])
def test_a_leg_is_taken_at_the_current_price_and_exposes_the_house_to_its_win(price: str, change: str) -> None:
    potential = int(1_000 * Price.of(price).factor)

    shard, answer = reserve(shard_of(opened()), leg(price=price, price_change=change, potential_return=potential))

    assert answer == Accepted(price=Price.of("2.50"), page=0, exposure=1_500)
    assert shard.used == {"home": 1_500}


def test_a_bet_reserved_again_counts_once() -> None:
    shard, first = reserve(shard_of(opened()), leg())

    again, answer = reserve(without_remains(shard, BetPage(), leg())[0], leg())

    assert (again, answer) == (shard, first)
    other, _ = reserve(shard, leg(user_id="u-2"))
    assert (other.bets, other.used) == (2, {"home": 3_000})


def test_what_a_killed_attempt_reserved_is_not_taken_for_another_bet_of_its_name() -> None:
    left_over, _ = reserve(shard_of(opened()), leg())

    other, _ = without_remains(left_over, BetPage(), leg(selection_id="away"))
    shard, _ = reserve(other, leg(selection_id="away"))
    assert (shard.bets, shard.used) == (1, {"home": 0, "away": 1_500})


def test_a_market_in_play_is_asked_twice() -> None:
    shard = shard_of(opened(betDelaySeconds=5))

    assert reserve(shard, leg()) == (shard, Delayed(seconds=5))
    _, answer = reserve(shard, leg(delayed=True))
    assert isinstance(answer, Accepted)


def test_a_bet_is_released_once_from_the_newest_page_or_a_full_one() -> None:
    shard, pages = shard_of(opened()), {}
    for number in range(PAGE_SIZE + 1):
        shard, _ = reserve(shard, leg(str(number)))
        shard, full = turn_page(shard)
        if full is not None:
            pages[shard.full_pages - 1] = full
    assert (shard.bets, shard.full_pages, list(pages), len(shard.newest.bets)) == (PAGE_SIZE + 1, 1, [0], 1)

    for page, bet_id in ((pages[0], "7"), (shard.newest, str(PAGE_SIZE))):
        left, rest = release(shard, page, "u-1", bet_id)
        assert (left.bets, left.used) == (PAGE_SIZE, {"home": PAGE_SIZE * 1_500})
        assert bet_name("u-1", bet_id) not in rest.bets
        assert release(left, rest, "u-1", bet_id) == (left, rest)
    assert release(shard, BetPage(), "u-1", "7")[0] is shard


def test_a_lease_asked_again_changes_nothing() -> None:
    market, shard = opened(maxLiability=400_000), shard_of(opened(maxLiability=400_000))
    wanted = lease_wanted(shard, leg())
    assert wanted is not None
    assert (wanted.needed, wanted.wanted) == (1_500, 2_000)

    leased, held = lease(market, 3, wanted)
    assert held == 2_000
    assert lease(leased, 3, wanted) == (leased, held)
    assert lease_wanted(with_lease(shard, "home", held), leg()) is None


def test_a_book_is_leased_no_more_than_the_others_leave() -> None:
    market, _ = lease(opened(maxLiability=2_000), 3, Lease(selection_id="home", needed=1_500, wanted=1_500))

    refused, held = lease(market, 4, Lease(selection_id="home", needed=501, wanted=510))
    assert (refused, held) == (market, 0)
    leased, held = lease(market, 4, Lease(selection_id="home", needed=500, wanted=510))
    assert (leased.leases[4], held) == ({"home": 500}, 500)
    other, held = lease(leased, 4, Lease(selection_id="away", needed=2_000, wanted=2_000))
    assert held == 2_000
    assert lease(other, 4, Lease(selection_id="home", needed=501, wanted=501)) == (other, 500)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60_000),
    st.lists(st.tuples(st.integers(0, 15), st.integers(1, 2_000), st.booleans()), min_size=20, max_size=120),
)
def test_books_together_are_never_over_a_limit_and_use_nearly_all_of_it(
    limit: int, bets: list[tuple[int, int, bool]]
) -> None:
    market = opened(maxLiability=limit)
    shards: dict[int, Shard] = {}
    refused = False
    for number, (name, stake, regretted) in enumerate(bets):
        asked = leg(str(number), stake=stake, potential_return=stake * 5 // 2)
        market = join(market, name)
        shard = apply_terms(shards.get(name), market.terms)
        if (wanted := lease_wanted(shard, asked)) is not None:
            market, held = lease(market, name, wanted)
            shard = with_lease(shard, "home", held)
        shard, answer = reserve(shard, asked)
        if isinstance(answer, Refused):
            used = sum(one.used.get("home", 0) for one in {**shards, name: shard}.values())
            refused |= used + asked.potential_return - stake <= limit * 95 // 100
        elif regretted:
            shard, page = release(shard, shard.newest, "u-1", str(number))
            assert page is shard.newest
        shards[name] = shard
        assert sum(one.used.get("home", 0) for one in shards.values()) <= limit
        assert sum(one.leased.get("home", 0) for one in shards.values()) <= limit

    regrets = any(regretted for *_, regretted in bets)
    assert regrets or not refused, "refused a bet that fits into 95 % of the limit"
    view = operators_view("m-1", market, map(extent, shards.values()))
    assert view.liability is not None
    assert view.liability["home"] == sum(one.used.get("home", 0) for one in shards.values())
    assert view.bets == sum(len(one.newest.bets) for one in shards.values())
