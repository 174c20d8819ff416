"""A season as data: everything that happens in it, in order, decided by a seed.

Prices are in thousandths, amounts in minor units. Names are unique in a season; the one who plays it makes ids of them.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import comb, prod

MARKETS_A_ROUND = 10
RACE = 8
"""So many selections run against each other in a race."""
NEXT_OPEN = 0.6
"""The next round's markets open when so much of a round is over."""
MAX_POTENTIAL = 5_000_000
"""No bet is planned that could return more: well below the usual maximum payout, so that wins are really paid."""


ANOTHER_CURRENCY = 4
"""One in so many players and markets is of the other currency, where there is one."""


@dataclass(frozen=True, slots=True)
class Purse:
    """Another currency than the house's, and what a player may deposit in it a week, in its minor units."""

    currency: str
    deposit_limit: int


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens in a season. `deposit_limit` is what a player may deposit a week, in minor units."""

    players: int
    markets: int
    bets: int
    deposit_limit: int
    other: Purse | None = None

    def currency_of(self, number: int) -> str | None:
        """The currency of the player or market with this number; none where it is the house's."""
        return self.other.currency if self.other is not None and number % ANOTHER_CURRENCY == 0 else None

    def limit_in(self, currency: str | None) -> int:
        """What a player may deposit a week."""
        return self.deposit_limit if currency is None or self.other is None else self.other.deposit_limit

    def worth_in(self, currency: str | None) -> int:
        """How many minor units are about as much as one of the house's."""
        return max(1, self.limit_in(currency) // max(1, self.deposit_limit))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a selection ended, in the words of the public contract; a dead heat is places and tied."""

    result: str
    deduction: int = 0
    dead_heat: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Deposit:
    """A player pays in; the first one comes before anything else they do."""

    name: str
    player: str
    amount: int
    method: str
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A player takes money out."""

    name: str
    player: str
    amount: int
    destination: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The provider moves a deposit's money back, or again: `refund`, `chargeback` or `chargebackReversed`."""

    deposit: str
    how: str


@dataclass(frozen=True, slots=True)
class SendBack:
    """The customer's bank does not take a payout."""

    withdrawal: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A player limits stakes or losses."""

    player: str
    kind: str
    period: str
    amount: int
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """A player takes a break."""

    player: str
    days: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A market opens with the first price of each selection. Those with the same `event` are about the same match.

    `closes_in` is how many seconds after that it takes bets, whatever else becomes of it.
    """

    market: str
    prices: dict[str, int]
    max_stake: int | None = None
    max_stake_per_player: int | None = None
    max_liability: int | None = None
    bet_delay_seconds: int | None = None
    currency: str | None = None
    event: str | None = None
    closes_in: int | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Some prices of a market change, each by this many percent of what it is."""

    market: str
    percent: dict[str, int]


@dataclass(frozen=True, slots=True)
class Turn:
    """A market is suspended, resumed or closed."""

    market: str
    handler: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """A selection does not take part, which takes so many percent off the winnings of bets struck before."""

    market: str
    selection: str
    deduction: int


@dataclass(frozen=True, slots=True)
class Result:
    """A market's result, or with a higher version its correction."""

    market: str
    version: int
    outcomes: dict[str, Outcome]


@dataclass(frozen=True, slots=True)
class Bet:
    """A bet on selections of different markets. `late`: its player still sees the first prices."""

    name: str
    player: str
    stake: int
    system_size: int | None
    picks: tuple[tuple[str, str], ...]
    price_change: str
    late: bool

    @property
    def kind(self) -> str:
        """What people call it."""
        if self.system_size is not None:
            return "system"
        return "single" if len(self.picks) == 1 else "multiple"


@dataclass(frozen=True, slots=True)
class CashOut:
    """A player ends a bet for what it is worth; `min_share` is the least they take, in percent of the stake."""

    bet: str
    min_share: int | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """A request is sent once more, word for word."""

    name: str


@dataclass(frozen=True, slots=True)
class Reuse:
    """A bet's id is sent once more with another stake."""

    bet: str


Action = (
    Deposit
    | Withdrawal
    | TakeBack
    | SendBack
    | Limit
    | Break
    | Offer
    | Move
    | Turn
    | Withdraw
    | Result
    | Bet
    | CashOut
    | Repeat
    | Reuse
)


@dataclass(frozen=True, slots=True)
class Season:
    """What happens, in order; neighbours may happen at once."""

    seed: int
    players: tuple[str, ...]
    actions: tuple[Action, ...]
    currencies: Mapping[str, str]
    """The currency of each player who does not play in the house's."""


Timed = tuple[float, Action]
"""An action and when it happens: round n lasts from n to n + 1."""


def plan_season(size: Size, seed: int) -> Season:
    """A season of some rounds: markets open, players bet on them, they settle while the next round is under way."""
    rng = random.Random(seed)  # noqa: S311  a season can be played again; nothing here is a secret
    players = tuple(f"p{number}" for number in range(1, size.players + 1))
    currencies = {player: size.currency_of(number) for number, player in enumerate(players, start=1)}
    rounds = [_markets(rng, numbers, size) for numbers in _rounds(size.markets)]
    bets = iter(range(1, size.bets + 1))
    timed = list(_payments(rng, currencies, len(rounds), size))
    for number, offers in enumerate(rounds):
        following = rounds[number + 1] if number + 1 < len(rounds) else []
        share = size.bets * (number + 1) // len(rounds) - size.bets * number // len(rounds)
        for offer in offers:
            timed += _life(rng, number, offer)
        for _ in range(share):
            when = number + rng.random()
            open_now = [*offers, *following] if when > number + NEXT_OPEN else offers
            timed += _story(rng, when, _bet(rng, f"b{next(bets)}", currencies, open_now, size))
    timed.sort(key=lambda one: one[0])
    strangers = {player: currency for player, currency in currencies.items() if currency is not None}
    return Season(seed, players, tuple(action for _, action in timed), strangers)


def _rounds(markets: int) -> Iterator[range]:
    for first in range(1, markets + 1, MARKETS_A_ROUND):
        yield range(first, min(first + MARKETS_A_ROUND, markets + 1))


def _payments(rng: random.Random, currencies: Mapping[str, str | None], rounds: int, size: Size) -> Iterator[Timed]:
    """Everybody pays in before the season; later some pay in again, at times too much, and some take money out."""
    deposits, withdrawals = count(1), count(1)
    for player, currency in currencies.items():
        limit = size.limit_in(currency)
        first = max(1, limit * 7 // 10)
        deposit = Deposit(f"d{next(deposits)}", player, first, "creditCard", currency)
        yield -1, deposit
        yield from _taken_back(rng, rng.uniform(0.3, rounds), deposit)
        if rng.random() < 0.15:
            kind, amount = rng.choice((("stake", first // 3), ("loss", first // 5)))
            yield -0.9, Limit(player, kind, rng.choice(("day", "week", "month")), max(1, amount), currency)
        if rng.random() < 0.04:
            yield rng.uniform(0, rounds), Break(player, rng.randint(1, 42))
        if rng.random() < 0.5:
            method = rng.choice(("creditCard", "creditCard", "flaky", "threeDSecure", "declined"))
            more = rng.randint(1, max(2, limit * 4 // 10))
            deposit, when = Deposit(f"d{next(deposits)}", player, more, method, currency), rng.uniform(0, rounds)
            yield from _twice(rng, when, deposit, deposit.name, 0.3)
            yield from _taken_back(rng, when + rng.uniform(0.1, 0.6), deposit)
        if rng.random() < 0.6:
            destination = rng.choice(("bank", "bank", "bank", "flaky", "refused"))
            withdrawal = Withdrawal(f"w{next(withdrawals)}", player, rng.randint(1, first), destination)
            when = rng.uniform(0.2, rounds + 0.5)
            yield from _twice(rng, when, withdrawal, withdrawal.name, 0.3)
            if rng.random() < 0.2:
                yield when + rng.uniform(0.2, 0.6), SendBack(withdrawal.name)


def _taken_back(rng: random.Random, when: float, deposit: Deposit) -> Iterator[Timed]:
    """Some deposits are refunded and some charged back; a bank that has done so may think again."""
    chance = rng.random()
    if chance < 0.05:
        yield when, TakeBack(deposit.name, "refund")
    elif chance < 0.15:
        yield when, TakeBack(deposit.name, "chargeback")
        if rng.random() < 0.5:
            yield when + rng.uniform(0, 0.5), TakeBack(deposit.name, "chargebackReversed")


def _twice(rng: random.Random, when: float, action: Action, name: str, how_often: float) -> Iterator[Timed]:
    yield when, action
    if rng.random() < how_often:
        yield when + rng.uniform(0.1, 0.6), Repeat(name)


def _markets(rng: random.Random, numbers: Sequence[int], size: Size) -> list[Offer]:
    """A round's markets; some are about one event with the one before."""
    offers: list[Offer] = []
    for number in numbers:
        offer = _offer(rng, f"m{number}", size.currency_of(number), size)
        if offers and rng.random() < 0.3:
            event = offers[-1].event or f"event-{offers[-1].market}"
            offers[-1], offer = replace(offers[-1], event=event), replace(offer, event=event)
        offers.append(offer)
    return offers


def _offer(rng: random.Random, market: str, currency: str | None, size: Size) -> Offer:
    """A match, a handicap or a race; some are limited, some in play, and some close at a time set before."""
    names = rng.choice((("home", "draw", "away"), ("under", "over"), tuple(f"runner{n}" for n in range(1, RACE + 1))))
    chances = [rng.uniform(0.5, 3) for _ in names]
    prices = {
        name: max(1_010, round(sum(chances) / chance / 1.06 * 1_000))
        for name, chance in zip(names, chances, strict=True)
    }
    return Offer(
        market,
        prices,
        max_stake=rng.choice((None, None, None, 150 * size.worth_in(currency))),
        max_stake_per_player=rng.choice((None, None, None, 250 * size.worth_in(currency))),
        max_liability=rng.choice((None, None, None, 6_000 * size.worth_in(currency))),
        bet_delay_seconds=rng.choice((None, None, None, None, 0, 1)),
        currency=currency,
        closes_in=rng.choice((None, None, None, None, None, None, None, 5, 20, 3_600)),
    )


def _life(rng: random.Random, start: int, offer: Offer) -> Iterator[Timed]:
    """A market opens before its round, its prices move, and it is settled, perhaps corrected, perhaps back again."""
    market = offer.market
    yield start - 1 + NEXT_OPEN, offer
    withdrawn = _withdrawals(rng, start, offer)
    for when, withdrawal in withdrawn.items():
        yield when, withdrawal
    for _ in range(rng.randint(2, 6)):
        when, often = start + rng.random(), rng.random() < 0.9
        gone = {one.selection for then, one in withdrawn.items() if often and then < when}
        priced = sorted(offer.prices.keys() - gone)
        moved = rng.sample(priced, rng.randint(1, len(priced)))
        yield when, Move(market, {name: rng.randint(-15, 18) for name in moved})
    if rng.random() < 0.25:
        suspended = start + rng.uniform(0, 0.8)
        yield suspended, Turn(market, "suspend")
        yield suspended + rng.uniform(0.03, 0.15), Turn(market, "resume")
    if rng.random() < 0.3:
        yield start + rng.uniform(0.9, 1), Turn(market, "close")
    settled = start + rng.uniform(1, 1.25)
    takes_part = {name: price for name, price in offer.prices.items() if name not in _names(withdrawn)}
    void = {name: Outcome("void") for name in _names(withdrawn)}
    results = [_result(rng, takes_part) | void, _result(rng, takes_part) | void]
    yield settled, Result(market, 1, results[0])
    if rng.random() < 0.1:
        yield settled + 0.05, Result(market, 1, results[0])
    if rng.random() < 0.3:
        yield settled + rng.uniform(0.1, 0.5), Result(market, 2, results[1])
        if rng.random() < 0.5:
            yield settled + rng.uniform(0.6, 0.9), Result(market, 3, results[0])


def _withdrawals(rng: random.Random, start: int, offer: Offer) -> dict[float, Withdraw]:
    """Runners of a race that do not take part after all, by time."""
    if len(offer.prices) < RACE or rng.random() < 0.2:
        return {}
    gone = rng.sample(sorted(offer.prices), rng.choice((1, 1, 2)))
    deductions = (0, 10, 20, 55)
    return {start + rng.uniform(-0.2, 0.95): Withdraw(offer.market, name, rng.choice(deductions)) for name in gone}


def _names(withdrawn: Mapping[float, Withdraw]) -> list[str]:
    return [one.selection for one in withdrawn.values()]


def _result(rng: random.Random, prices: Mapping[str, int]) -> dict[str, Outcome]:
    """A result as it may come; the likelier a selection, the likelier it won."""
    names = list(prices)
    if rng.random() < 0.06:
        return {name: Outcome("void") for name in names}
    first, *others = _order(rng, prices)
    if len(names) == 2 and rng.random() < 0.5:
        return rng.choice(
            (
                {first: Outcome("halfWon", deduction=rng.choice((0, 0, 10))), others[0]: Outcome("halfLost")},
                {first: Outcome("void"), others[0]: Outcome("void")},
            )
        )
    return _finish(rng, first, others)


def _finish(rng: random.Random, first: str, others: list[str]) -> dict[str, Outcome]:
    """One wins, or several that tie share one or two places; a late withdrawal takes something off the winnings."""
    tied = rng.choice((1, 1, 1, 1, 2, 3)) if len(others) > 2 else 1
    deduction = rng.choice((0, 0, 0, 5, 25, 90)) if len(others) > 2 else 0
    withdrawn = 1 if deduction > 0 else 0
    dead_heat = (rng.randint(1, tied - 1), tied) if tied > 1 else None
    winners = [first, *others[: tied - 1]]
    lost = {name: Outcome("lost") for name in others[tied - 1 : len(others) - withdrawn]}
    void = {name: Outcome("void") for name in others[len(others) - withdrawn :]}
    return {name: Outcome("won", deduction, dead_heat) for name in winners} | lost | void


def _order(rng: random.Random, prices: Mapping[str, int]) -> list[str]:
    return sorted(prices, key=lambda name: rng.expovariate(1 / prices[name]))


def _bet(
    rng: random.Random, name: str, currencies: Mapping[str, str | None], open_now: Sequence[Offer], season: Size
) -> Bet:
    """A bet on some of the markets that are open; some players bet a lot more than others, few in a wrong currency."""
    players = tuple(currencies)
    player = players[min(int(rng.expovariate(3) * len(players)), len(players) - 1)]
    theirs = [offer for offer in open_now if offer.currency == currencies[player]]
    offers = open_now if rng.random() < 0.02 else theirs or open_now
    size, system_size = rng.choices(
        ((1, None), (2, None), (3, None), (5, None), (3, 2), (4, 2), (4, 3), (5, 3)),
        weights=(50, 18, 10, 6, 6, 4, 3, 3),
    )[0]
    mixed = rng.sample(offers, len(offers))
    chosen = (_related_first(mixed) if rng.random() < 0.04 else _unrelated(mixed))[:size]
    picks = tuple((offer.market, rng.choice(sorted(offer.prices))) for offer in chosen)
    if len(picks) < size:
        system_size = None
    lines = comb(len(picks), system_size) if system_size is not None else 1
    best = prod(offer.prices[selection] for offer, (_, selection) in zip(chosen, picks, strict=True))
    worth = season.worth_in(currencies[player])
    most = max(1, MAX_POTENTIAL * worth * 1_000 ** len(picks) // best // lines)
    return Bet(
        name,
        player=player,
        stake=min(max(1, rng.randint(5, 250) * worth // lines), most),
        system_size=system_size,
        picks=picks,
        price_change=rng.choice(("none", "higher", "any")),
        late=rng.random() < 0.1,
    )


def _unrelated(offers: Sequence[Offer]) -> list[Offer]:
    """One market of each event."""
    return list({offer.event or offer.market: offer for offer in offers}.values())


def _related_first(offers: Sequence[Offer]) -> list[Offer]:
    """Markets of one event before others."""
    return sorted(offers, key=lambda offer: offer.event or "~")


def _story(rng: random.Random, when: float, bet: Bet) -> Iterator[Timed]:
    """A bet, and what its player does about it later; a cash-out may come at the moment of the result."""
    yield from _twice(rng, when, bet, bet.name, 0.03)
    if rng.random() < 0.01:
        yield when + rng.uniform(0.1, 0.5), Reuse(bet.name)
    if rng.random() < 0.15:
        least = rng.choice((None, None, 60, 95))
        cash_out = CashOut(bet.name, least)
        yield from _twice(rng, when + rng.uniform(0.05, 0.8), cash_out, f"cash-out of {bet.name}", 0.1)
