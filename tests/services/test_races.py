"""Bets, prices, suspensions, results and cash-outs at the same moment, on the real system.

With forced replay each wait is an attempt of its own, so a third of the requests has as many of them at once.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import cycle, islice
from math import prod
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from tests.helpers.bets import Customer, Game, crowd
from tests.running import System

CLIENTS = 24
PRICES = ["2.50", "2.40", "2.60"]
Task = Callable[[], Any]


@pytest.fixture
def share(request: pytest.FixtureRequest) -> int:
    """What numbers of requests are divided by."""
    return 3 if request.node.callspec.params["betting"] == "replayed" else 1


@dataclass
class Attempt:
    """A bet that a customer tries to place, and what came of it."""

    customer: Customer
    legs: Sequence[str]
    stake: int = 1_000
    price_change: str = "none"
    bet_id: str = field(default_factory=lambda: f"b-{uuid4().hex}")
    accepted: bool = False
    answer: dict[str, Any] = field(default_factory=dict)

    def made(self) -> "Attempt":
        """Place the bet."""
        legs = [dict(zip(("marketId", "selectionId", "price"), leg.split(), strict=True)) for leg in self.legs]
        bet = {"betId": self.bet_id, "walletId": "w-1", "stake": self.stake, "legs": legs}
        body = {**bet, "priceChange": self.price_change}
        response = self.customer.betting.call("PlayerService", "placeBet", body, key=self.customer.user_id)
        assert response.status_code in {200, 404, 409, 422}, response.text
        self.accepted, self.answer = response.status_code == 200, response.json()
        return self

    @property
    def liability(self) -> int:
        """What each of its markets counts: what the house loses if the bet wins at the prices taken."""
        if not self.accepted:
            return 0
        return int(self.stake * prod(Decimal(leg["price"]) for leg in self.answer["legs"])) - self.stake

    @property
    def reason(self) -> str:
        """Why it was refused."""
        return "" if self.accepted else str(self.answer["metadata"]["reason"])


def at_once(tasks: Iterable[Task], clients: int = CLIENTS) -> list[Any]:
    """Do all of it, as much at a time as there are clients; what it gave, in the order of the tasks."""
    with ThreadPoolExecutor(clients) as pool:
        return [under_way.result() for under_way in [pool.submit(task) for task in tasks]]


def check(game: Game, attempts: Sequence[Attempt]) -> None:
    """The market has the bets that were accepted and no other, and their players' stakes are locked and no other."""
    accepted = [attempt for attempt in attempts if attempt.accepted]
    view = game.does("get")
    liability = sum(attempt.liability for attempt in accepted)
    assert (view["bets"], view["liability"]) == (len(accepted), {"home": liability, "away": 0})
    locked = Counter[str]()
    for attempt in accepted:
        locked[attempt.customer.user_id] += attempt.stake
    customers = {attempt.customer.user_id: attempt.customer for attempt in attempts}
    money = at_once(partial(lambda customer: customer.money, customer) for customer in customers.values())
    assert money == [(10_000 - locked[name], locked[name]) for name in customers]


def test_a_bet_is_cashed_out_or_settled_and_never_both(betting: System, share: int) -> None:
    for _ in range(10 // share):
        game, customers = Game(betting), crowd(betting, 12)
        bets = at_once(partial(customer.bets, game.home()) for customer in customers)
        early, *cash_outs, late = (partial(cash_out, *bet) for bet in zip(customers, bets, strict=True))

        paid = [early()]
        progress, *others = at_once([partial(game.ends, "won"), *cash_outs], 6)
        paid += [*others, late()]

        assert (paid[0], paid[-1]) == (950, None)
        for customer, amount in zip(customers, paid, strict=True):
            kinds = [entry["kind"] for entry in customer.does("getStatement")["entries"]]
            assert kinds == ["deposit", "stakeHeld", "betCashedOut" if amount else "betSettled"]
            assert customer.money == (9_000 + (amount or 2_500), 0)
        assert progress == {"bets": 12, "settled": 12, "paid": paid.count(None) * 2_500, "done": True}


def cash_out(customer: Customer, bet: dict[str, Any]) -> int | None:
    """What a cash-out paid; None if it came too late."""
    response = customer.betting.call("PlayerService", "cashOut", {"betId": bet["betId"]}, key=customer.user_id)
    if response.status_code == 200:
        return int(response.json()["amount"])
    assert response.json()["metadata"]["reason"] in {"cash_out_unavailable", "bet_not_open"}, response.text
    return None


def test_a_leg_that_is_given_back_while_its_market_settles_is_no_bet(betting: System, share: int) -> None:
    for before in (10, 20, 30) * (3 // share):
        game, unknown, customers = Game(betting), f"m-{uuid4().hex} home 2.50", crowd(betting, 40)
        wanted = [Attempt(customer, [game.home(), unknown]) for customer in customers]
        doubles: list[Task] = [attempt.made for attempt in wanted]

        results = at_once([*doubles[:before], partial(game.ends, "won"), *doubles[before:]], 40)

        assert results[before] == {"bets": 0, "settled": 0, "paid": 0, "done": True}
        assert {attempt.reason for attempt in wanted} <= {"unknown_market", "market_not_open"}
        check(game, wanted)


def test_once_suspend_has_answered_no_bet_is_accepted(betting: System, share: int) -> None:
    game, customers = Game(betting), crowd(betting, 60 // share)
    some_accepted, suspended = Event(), Event()

    def bet_on(customer: Customer) -> list[tuple[bool, Attempt]]:
        """Bet until a bet that was started after the suspension was answered, each with whether it was."""
        attempts: list[tuple[bool, Attempt]] = []
        while not (attempts and attempts[-1][0]):
            attempts.append((suspended.is_set(), Attempt(customer, [game.home()], stake=10).made()))
            some_accepted.set()
        return attempts

    def suspend() -> int:
        """Suspend in the middle of it; gives the bets on the market from then on."""
        some_accepted.wait(60)
        game.does("suspend")
        bets: int = game.does("get")["bets"]
        suspended.set()
        return bets

    bets, *made = at_once([suspend, *(partial(bet_on, customer) for customer in customers)], len(customers) + 1)

    attempts = [attempt for made_by_one in made for attempt in made_by_one]
    assert {attempt.reason for late, attempt in attempts if late} == {"market_suspended"}
    assert {attempt.reason for _, attempt in attempts} == {"", "market_suspended"}
    assert sum(attempt.accepted for _, attempt in attempts) == bets
    check(game, [attempt for _, attempt in attempts])


def test_many_bets_at_once_fill_a_liability_limit_and_are_never_over_it(betting: System, share: int) -> None:
    limit = 276_000 // share  # some 92 % of what is wanted
    game, customers = Game(betting, maxLiability=limit), crowd(betting, 120 // share)
    stakes = random.Random(0)
    wanted = [
        Attempt(customer, [game.home()], stake=stakes.randint(300, 500))
        for customer in islice(cycle(customers), 500 // share)
    ]

    attempts = at_once([attempt.made for attempt in wanted], 100)

    assert {attempt.reason for attempt in attempts} == {"", "liability_limit"}
    assert limit * 95 // 100 <= sum(attempt.liability for attempt in attempts) <= limit
    check(game, attempts)


def test_a_hundred_requests_for_one_bet_are_one_stake(betting: System) -> None:
    game, [customer] = Game(betting), crowd(betting, 1)
    same = [Attempt(customer, [game.home()], bet_id="b-same") for _ in range(100)]

    attempts = at_once([attempt.made for attempt in same], 100)

    assert {repr(attempt.answer) for attempt in attempts} == {repr(attempts[0].answer)}
    assert [entry["amount"] for entry in customer.does("getStatement")["entries"]] == [10_000, -1_000]
    check(game, attempts[:1])


@pytest.mark.parametrize("rule", ["none", "higher", "any"])
def test_while_prices_change_a_bet_is_at_a_price_that_its_player_takes(betting: System, share: int, rule: str) -> None:
    game, customers = Game(betting), crowd(betting, 10)
    willing = {"none": {"2.50"}, "higher": {"2.50", "2.60"}, "any": set(PRICES)}[rule]
    met, bets_done = set[str](), Event()

    def reprice() -> None:
        for price in cycle(PRICES):
            game.does("setPrices", {"prices": {"home": price}})
            if bets_done.is_set():
                return

    def bet(customer: Customer) -> list[Attempt]:
        """Bet until every price was met, at least some times and never without end."""
        attempts: list[Attempt] = []
        while len(attempts) < 15 // share or (met < set(PRICES) and len(attempts) < 300):
            attempts.append(attempt := Attempt(customer, [game.home()], 10, rule).made())
            met.add(attempt.answer["legs"][0]["price"] if attempt.accepted else attempt.answer["metadata"]["price"])
        return attempts

    def bet_all() -> list[list[Attempt]]:
        made = at_once([partial(bet, one) for one in customers], 10)
        bets_done.set()
        return made

    attempts = [attempt for made_by_one in at_once([bet_all, reprice])[0] for attempt in made_by_one]

    accepted = [attempt.answer for attempt in attempts if attempt.accepted]
    turned_away = [attempt.answer["metadata"] for attempt in attempts if not attempt.accepted]
    assert {answer["legs"][0]["price"] for answer in accepted} == willing
    assert all(answer["potentialReturn"] == round(10 * float(answer["legs"][0]["price"])) for answer in accepted)
    unwelcome = [{"reason": "price_changed", "price": price} for price in PRICES if price not in willing]
    assert all(refusal in unwelcome for refusal in turned_away)
    check(game, attempts)


@pytest.mark.parametrize("rule", ["none", "higher"])
def test_a_bet_placed_after_a_price_change_was_answered_is_at_no_older_price(
    betting: System, share: int, rule: str
) -> None:
    game, customers = Game(betting, home="3.000"), crowd(betting, 48)
    offered, bets_done = ["3.000"], Event()
    all_prices = [f"{number / 1_000:.3f}" for number in random.Random(0).sample(range(2_001, 3_000), 999)]

    def reprice() -> None:
        for price in all_prices:
            game.does("setPrices", {"prices": {"home": price}})
            offered.append(price)
            if bets_done.is_set():
                return

    def bet(customer: Customer) -> tuple[int, Attempt]:
        answered = len(offered)
        asked = "1.001" if rule == "higher" else random.choice([*offered[:4], *offered[-2:]])
        return answered, Attempt(customer, [game.home(asked)], 10, rule).made()

    def bet_all() -> list[tuple[int, Attempt]]:
        placed = at_once([partial(bet, one) for one in islice(cycle(customers), 480 // share)], 12)
        bets_done.set()
        return placed

    placed: list[tuple[int, Attempt]] = at_once([bet_all, reprice])[0]

    known = [Decimal(price) for price in ("3.000", *all_prices)]
    accepted = [(answered, attempt) for answered, attempt in placed if attempt.accepted]
    assert len(accepted) == len(placed) if rule == "higher" else accepted
    for answered, attempt in accepted:
        assert known.index(Decimal(attempt.answer["legs"][0]["price"])) >= answered - 1
    check(game, [attempt for _, attempt in placed])


def test_a_storm_of_doubles_leases_suspensions_and_prices_comes_to_an_end(betting: System, share: int) -> None:
    games = [Game(betting, maxLiability=2_000_000), Game(betting, maxLiability=2_000_000)]
    customers = crowd(betting, 45 // share)
    doubles = [[game.home() for game in games], [game.home() for game in reversed(games)]]
    wanted = [
        Attempt(customer, double, 1_000, "any")
        for customer, double in islice(zip(cycle(customers), cycle(doubles)), 150 // share)
    ]
    changes = [("suspend", None), ("resume", None), *(("setPrices", {"prices": {"home": price}}) for price in PRICES)]
    operators = [
        partial(game.does, handler, body)
        for game in games
        for handler, body in islice(cycle([*changes, ("get", None)]), 72 // share)
    ]
    tasks = [attempt.made for attempt in wanted] + operators
    random.Random(0).shuffle(tasks)

    at_once(tasks)

    for game in games:
        game.does("resume")
    wanted.append(Attempt(customers[0], doubles[0], 1, "any").made())
    assert {attempt.reason for attempt in wanted} == {"", "market_suspended"}
    for game in games:
        check(game, wanted)
