"""What the house risks: shards count a bet with what it can really lose the house, and free it when that is over.

Everything is compared with a naive count that enumerates a bet's lines and knows nothing of the rules under test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from math import floor, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import markets
from app.domain import shards as shard_rules
from app.domain.bets import (
    ApplyResult,
    PlaceBet,
    accept_bet,
    apply_result,
    cash_out,
    hold_stake,
    legs_to_count,
    legs_to_expose,
    legs_to_reserve,
    refuse_related_by_event,
)
from app.domain.markets import Lease, Market, OpenMarket
from app.domain.odds import Price
from app.domain.player import Bet, BetStatus, Player
from app.domain.policy import Policy
from app.domain.refusals import Refusal, Refused
from app.domain.shards import Accepted, BetPage, CountLeg, Delayed, ExposeLeg, ReserveLeg, Shard, bet_name
from tests.strategies import START, outcome, place, rich

MARKETS = ["m-1", "m-2", "m-3", "m-4"]


def naive_potential(stake: int, size: int, prices: list[str], cap: int) -> int:
    """What a bet returns if all legs win, line by line."""
    lines = [prod(map(Fraction, line), start=Fraction(1)) for line in combinations(prices, size)]
    return min(floor(stake * sum(lines)), cap)


def naive_exposure(stake: int, size: int, prices: list[str], cap: int) -> int:
    lines = len(list(combinations(prices, size)))
    return max(0, naive_potential(stake, size, prices, cap) - stake * lines)


@dataclass
class House:
    """Markets with a shard each, and a player who bets at them, as the services let them work together."""

    limits: Mapping[str, int | None]
    policy: Policy = field(default_factory=Policy)
    player: Player = field(default_factory=lambda: rich(10**9))
    offers: dict[str, Market] = field(default_factory=dict)
    shards: dict[str, Shard] = field(default_factory=dict)
    pages: dict[tuple[str, int], BetPage] = field(default_factory=dict)
    versions: int = 0

    def __post_init__(self) -> None:
        for name, limit in self.limits.items():
            selections = [{"selectionId": "home", "name": "Home", "price": "10.00"}]
            offer = {"name": name, "selections": selections} | ({} if limit is None else {"maxLiability": limit})
            market = markets.open_market(None, name, OpenMarket.model_validate(offer))
            assert isinstance(market, Market)
            self.offers[name] = markets.join(market, 0)
            self.shards[name] = shard_rules.apply_terms(None, self.offers[name].terms)

    def moves(self, name: str, price: str) -> None:
        market = markets.set_prices(self.offers[name], {"home": Price.of(price)})
        assert isinstance(market, Market)
        self.offers[name] = market
        self.shards[name] = shard_rules.apply_terms(self.shards[name], market.terms)

    def page(self, name: str, number: int) -> BetPage:
        shard = self.shards[name]
        return shard.newest if number == shard.full_pages else self.pages[name, number]

    def keep(self, name: str, shard: Shard, number: int, page: BetPage) -> None:
        if number != self.shards[name].full_pages:
            self.pages[name, number] = page
        self.shards[name] = shard

    def leased(self, name: str, shard: Shard, wanted: Lease | None) -> Shard:
        if wanted is None:
            return shard
        self.offers[name], held = markets.lease(self.offers[name], 0, wanted)
        return shard_rules.with_lease(shard, wanted.selection_id, held)

    def reserve(self, name: str, request: ReserveLeg) -> Accepted | Delayed | Refused:
        shard, _ = shard_rules.without_remains(self.shards[name], BetPage(), request)
        shard = self.leased(name, shard, shard_rules.lease_wanted(shard, request))
        shard, answer = shard_rules.reserve(shard, request)
        number = shard.full_pages
        shard, full = shard_rules.turn_page(shard)
        if full is not None:
            self.pages[name, number] = full
        self.shards[name] = shard
        return answer

    def expose(self, name: str, request: ExposeLeg) -> Accepted | Refused:
        page = self.page(name, request.page)
        shard = self.leased(name, self.shards[name], shard_rules.lease_to_expose(self.shards[name], page, request))
        shard, left, answer = shard_rules.expose(shard, page, request)
        self.keep(name, shard, request.page, left)
        return answer

    def release(self, name: str, bet_id: str, page: int) -> None:
        shard, left = shard_rules.release(self.shards[name], self.page(name, page), "u-1", bet_id)
        self.keep(name, shard, page, left)

    def count(self, name: str, request: CountLeg) -> None:
        assert request.page is not None
        shard, left = shard_rules.count(self.shards[name], self.page(name, request.page), request)
        self.keep(name, shard, request.page, left)

    def bets(self, request: PlaceBet) -> Bet | Refused:
        """Place a bet: every market is asked, and told what it really counts with; if one refuses, none has it."""
        held = hold_stake(self.player, request, START, self.policy)
        if isinstance(held.outcome, Refused):
            return held.outcome
        legs = legs_to_reserve(self.player, request.bet_id, held.outcome)
        answers = {name: self.reserve(name, leg) for name, leg in legs.items()}
        accepted = {name: answer for name, answer in answers.items() if isinstance(answer, Accepted)}
        refused = [answer for answer in answers.values() if isinstance(answer, Refused)]
        if not refused:
            exact = legs_to_expose("u-1", request.bet_id, held.outcome, accepted)
            told = [self.expose(name, leg) for name, leg in exact.items()]
            refused = [answer for answer in told if isinstance(answer, Refused)]
        if refused:
            for name, answer in accepted.items():
                self.release(name, request.bet_id, answer.page)
            return refused[0]
        prices = {name: answer.price for name, answer in accepted.items()}
        pages = {name: answer.page for name, answer in accepted.items()}
        self.player = accept_bet(held.player, request.bet_id, prices, pages).player
        return self.player.bets[request.bet_id]

    def change(self, after: Player, bet_ids: list[str]) -> None:
        told = legs_to_count(self.player, after, bet_ids)
        for _ in range(2):  # whatever is told may come twice
            for name, legs in told.items():
                for leg in legs:
                    self.count(name, leg)
        self.player = after

    def cashes_out(self, bet_id: str) -> None:
        prices = {name: market.prices["home"] for name, market in self.offers.items()}
        self.change(cash_out(self.player, bet_id, prices, None, START, self.policy).player, [bet_id])

    def ends(self, name: str, result: str) -> None:
        self.versions += 1
        ended = {"home": outcome(result)}
        bet_ids = list(self.player.bets)
        request = ApplyResult(market_id=name, version=self.versions, outcomes=ended, bet_ids=bet_ids, now=START)
        self.change(apply_result(self.player, request).player, bet_ids)

    def used(self, name: str) -> int:
        return self.shards[name].used.get("home", 0)

    def naive_used(self, name: str) -> int:
        """The sum over open bets of what each can win, line by line, less its stake."""
        return sum(self.naive(bet) for bet in self.player.bets.values() if self.is_on(bet, name) and is_open(bet))

    def naive(self, bet: Bet) -> int:
        size = len(bet.legs) if bet.system_size is None else bet.system_size
        return naive_exposure(bet.stake, size, [str(leg.price) for leg in bet.legs], bet.max_payout)

    @staticmethod
    def is_on(bet: Bet, name: str) -> bool:
        return any(leg.market_id == name for leg in bet.legs)


def is_open(bet: Bet) -> bool:
    if bet.status is BetStatus.SETTLED and bet.system_size is None:
        lost = any(leg.outcome is not None and leg.outcome.result == "lost" for leg in bet.legs)
        return not lost and any(leg.outcome is None for leg in bet.legs)
    return bet.status is BetStatus.OPEN


def test_the_price_asked_does_not_switch_a_limit_off() -> None:
    house = House({"m-1": 20_000, "m-2": 20_000})

    refused = house.bets(place(legs="m-1 1.001, m-2 1.001", price_change="higher"))

    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.LIABILITY_LIMIT
    assert (house.used("m-1"), house.used("m-2")) == (0, 0)


def test_a_single_that_asks_for_more_than_it_gets_counts_with_what_it_gets() -> None:
    house = House({"m-1": 10**9})
    house.moves("m-1", "2.00")

    assert isinstance(house.bets(place(stake=1_000_000, legs="m-1 1000", price_change="any")), Bet)

    assert house.used("m-1") == 1_000_000


def test_any_price_is_not_refused_for_what_the_asked_prices_would_have_won() -> None:
    house = House({"m-1": 5_000, "m-2": 5_000})
    house.moves("m-1", "2.00")
    house.moves("m-2", "2.00")

    assert isinstance(house.bets(place(legs="m-1 100, m-2 100", price_change="any")), Bet)

    assert (house.used("m-1"), house.used("m-2")) == (3_000, 3_000)


def test_a_bet_at_the_prices_asked_is_exact_at_once() -> None:
    house = House({"m-1": None, "m-2": None, "m-3": None})
    for request in (
        place("b-1", legs="m-1 10.00, m-2 10.00, m-3 10.00", system_size=2),
        place("b-2", legs="m-1 10.00, m-2 10.00"),
        place("b-3", legs="m-1 3.00", price_change="any"),
    ):
        held = hold_stake(house.player, request, START, house.policy).outcome
        assert isinstance(held, Bet)
        legs = legs_to_reserve(house.player, request.bet_id, held)
        answers = {name: house.reserve(name, leg) for name, leg in legs.items()}
        accepted = {name: answer for name, answer in answers.items() if isinstance(answer, Accepted)}

        assert legs_to_expose("u-1", request.bet_id, held, accepted) == {}


def test_the_maximum_payout_bounds_what_a_bet_counts_with() -> None:
    house = House({"m-1": 10_000, "m-2": 10_000}, Policy(max_payout=9_000))

    assert isinstance(house.bets(place(legs="m-1 10.00, m-2 10.00")), Bet)

    assert (house.used("m-1"), house.used("m-2")) == (8_000, 8_000)


def test_a_cash_out_frees_what_the_bet_counted_with_in_every_market() -> None:
    house = House({"m-1": None, "m-2": None})
    house.bets(place(legs="m-1 10.00, m-2 10.00"))

    house.cashes_out("b-1")
    house.cashes_out("b-1")

    assert (house.used("m-1"), house.used("m-2")) == (0, 0)
    assert house.shards["m-1"].bets == 1, "the leg stays in the index: a result still has to reach the bet"


def test_a_lost_leg_frees_the_other_markets_and_its_correction_counts_there_again() -> None:
    house = House({"m-1": 100_000, "m-2": 100_000})
    house.bets(place(legs="m-1 10.00, m-2 10.00"))
    assert house.used("m-2") == 99_000

    house.ends("m-1", "lost")
    assert (house.used("m-1"), house.used("m-2")) == (99_000, 0), "the market that has its result keeps its account"
    house.bets(place("b-2", 10_000, "m-2 10.00"))
    assert house.used("m-2") == 90_000

    house.ends("m-1", "won")
    assert house.used("m-2") == 189_000, "what was accepted long ago is not refused"
    house.ends("m-1", "lost")
    assert house.used("m-2") == 90_000


def test_what_was_told_of_a_bet_before_something_newer_changes_nothing() -> None:
    house = House({"m-1": None, "m-2": None})
    house.bets(place(legs="m-1 10.00, m-2 10.00"))
    leg = CountLeg(user_id="u-1", bet_id="b-1", page=0, exposure=0, changes=2)
    house.count("m-2", leg)

    house.count("m-2", leg.model_copy(update={"exposure": 99_000, "changes": 1}))

    assert house.used("m-2") == 0


def test_what_a_killed_attempt_left_is_not_counted_twice_nor_taken_for_another_bet() -> None:
    house = House({"m-1": None})
    held = hold_stake(house.player, place(), START, house.policy).outcome
    assert isinstance(held, Bet)
    house.moves("m-1", "2.50")
    house.reserve("m-1", legs_to_reserve(house.player, "b-1", held)["m-1"])

    assert isinstance(house.bets(place(stake=2_000)), Bet)

    assert (house.shards["m-1"].bets, house.used("m-1")) == (1, 3_000)


def test_what_a_killed_attempt_left_on_a_page_that_was_let_go_is_found() -> None:
    house = House({"m-1": None})
    house.moves("m-1", "2.50")
    for number in range(shard_rules.PAGE_SIZE):
        house.bets(place(f"b-{number}", 10))
    request = legs_to_reserve(house.player, "b-7", house.player.bets["b-7"])["m-1"]
    shard, full = house.shards["m-1"], house.pages["m-1", 0]

    assert shard_rules.may_be_on_turned_page(shard, request)
    assert not shard_rules.may_be_on_turned_page(shard, request.model_copy(update={"bet_id": "b-77"}))
    shard, left = shard_rules.without_remains(shard, full, request)
    assert (shard.bets, bet_name("u-1", "b-7") in left.bets) == (shard_rules.PAGE_SIZE - 1, False)


def test_the_stakes_of_a_player_on_a_selection_are_limited_together() -> None:
    house = House({"m-1": None, "m-2": None})
    house.bets(place("b-1", 600, "m-1 10.00, m-2 10.00"))
    house.bets(place("b-2", 300, "m-1 10.00"))

    open_stakes = {
        name: leg.open_stake for name, leg in reserved(house, place("b-3", legs="m-1 2.50, m-2 2.50")).items()
    }
    assert open_stakes == {"m-1": 900, "m-2": 600}
    house.cashes_out("b-1")
    assert reserved(house, place("b-3"))["m-1"].open_stake == 300


def reserved(house: House, request: PlaceBet) -> Mapping[str, ReserveLeg]:
    held = hold_stake(house.player, request, START, house.policy)
    assert isinstance(held.outcome, Bet)
    return legs_to_reserve(held.player, request.bet_id, held.outcome)


@pytest.mark.parametrize(
    ("events", "related"),
    [
        (["e-1", "e-1"], True),
        (["e-1", "e-2"], False),
        ([None, None], False),
        (["e-1", None], False),
        (["e-1", None, "e-2", "e-1"], True),
    ],
)
def test_two_markets_of_one_event_are_related(events: list[str | None], related: bool) -> None:
    accepted = [Accepted(price=Price.of("2"), page=0, event_id=event) for event in events]

    refused = refuse_related_by_event([accepted[0], Delayed(seconds=1, event_id=events[-1]), *accepted[1:-1]])

    assert (refused is not None and refused.reason is Refusal.RELATED_LEGS) == related


few_prices = st.sampled_from(["1.001", "1.50", "2.125", "3.20", "10.00", "1000"])
moves = st.tuples(st.just("move"), st.sampled_from(MARKETS), few_prices)
ends = st.tuples(st.just("end"), st.sampled_from(MARKETS), st.sampled_from(["won", "lost", "void", "halfWon"]))
cash_outs = st.tuples(st.just("cash out"), st.integers(0, 10), st.none())
legs = st.lists(st.tuples(st.sampled_from(MARKETS), few_prices), min_size=1, max_size=4, unique_by=lambda leg: leg[0])
wishes = st.tuples(
    st.just("bet"),
    legs,
    st.tuples(st.integers(1, 3_000), st.integers(1, 4), st.sampled_from(["none", "higher", "any"])),
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(MARKETS), st.integers(1, 100_000), min_size=0),
    st.sampled_from([5_000, 10**8]),
    st.lists(st.one_of(wishes, wishes, moves, cash_outs, ends), min_size=5, max_size=25),
)
def test_books_count_what_open_bets_can_win_and_never_more_than_their_limit(  # type: ignore[no-untyped-def]
    limits, cap, steps
) -> None:
    house = House({name: limits.get(name) for name in MARKETS}, Policy(max_payout=cap))
    ended: set[str] = set()
    for number, (kind, what, how) in enumerate(steps):
        match kind:
            case "move":
                house.moves(what, how)
            case "end" if what not in ended:
                house.ends(what, how)
                ended.add(what)
            case "cash out":
                house.cashes_out(f"b-{what}")
            case "bet" if not ended & {name for name, _ in what}:
                stake, size, change = how
                legs = ", ".join(f"{name} {price}" for name, price in what)
                system_size = size if size <= len(what) and size % 2 else None
                house.bets(place(f"b-{number}", stake, legs, system_size=system_size, price_change=change))
        for name in set(MARKETS) - ended:
            assert house.used(name) == house.naive_used(name)
            if name in limits:
                assert house.used(name) <= limits[name]
