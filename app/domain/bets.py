"""Bets: the stake is held, the markets accept or refuse, and the bet ends once: refused, settled or cashed out.

A settled bet is never reopened. A corrected result posts the difference as soon as the new return is certain. A return
is never blocked, even if the player is restricted or in debt.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.domain.access import Actor
from app.domain.day_limit import most_to_return, returned_by_others, with_return
from app.domain.exposure import Shape, exposure
from app.domain.model import MAX_AMOUNT, Amount, Id, Moment, Wire, is_none
from app.domain.odds import Price, PriceChange, price_taken
from app.domain.player import (
    Bet,
    BetLeg,
    BetStatus,
    CashOutWish,
    Decision,
    Player,
    WishStatus,
    open_bets,
    post_entry,
    refuse_debit,
    refuse_short_funds,
)
from app.domain.policy import Policy
from app.domain.protection import has_own_limit, refuse_over_limit, refuse_restricted
from app.domain.refusals import Refusal, Refused, id_reused
from app.domain.responsible_gambling import LimitKind, Use, add_use
from app.domain.settlement import (
    MAX_LEGS,
    MAX_LINES,
    SelectionOutcome,
    bet_return,
    cash_out_value,
    least_return,
    leg_factor,
    line_count,
    potential_return,
)
from app.domain.shards import Accepted, CountLeg, Delayed, ExposeLeg, ReserveLeg
from app.domain.wallet import Account, Balance, Kind, move, total

COUNTED = (LimitKind.STAKE, LimitKind.LOSS)
"""The limits that a stake counts against, in the order in which they are checked."""
ANY_TIME = datetime.max.replace(tzinfo=UTC)
"""A placeholder for rules whose result does not depend on the time."""


class AskedLeg(Wire):
    """A selection and the price that the player saw."""

    market_id: Id
    selection_id: Id
    price: Price


class PlaceBet(Wire):
    """A single, a multiple or, with `system_size`, a system. `stake` is the stake per line, in minor units."""

    bet_id: Id
    wallet_id: Id
    stake: Amount
    system_size: Annotated[int, Field(strict=True, ge=1, le=MAX_LEGS)] | None = None
    legs: Annotated[tuple[AskedLeg, ...], Field(min_length=1, max_length=MAX_LEGS)]
    price_change: PriceChange = PriceChange.NONE

    @property
    def lines(self) -> int:
        """The number of lines, each of which costs the stake."""
        return line_count(len(self.legs), self.system_size)

    @model_validator(mode="after")
    def _is_within_bounds(self) -> Self:
        if not 1 <= self.lines <= MAX_LINES:
            raise ValueError(f"systemSize: a bet has 1 to {MAX_LINES} lines, not {self.lines}")
        if self.stake * self.lines > MAX_AMOUNT:
            raise ValueError(f"stake: all lines together may hold {MAX_AMOUNT}")
        return self


class ApplyResult(Wire):
    """A market's result for some of the player's bets on it. A higher version corrects a lower one."""

    market_id: str
    version: int
    outcomes: dict[str, SelectionOutcome]
    bet_ids: list[str]
    now: Moment
    by: Actor | None = Field(None, exclude_if=is_none)
    """Who entered the result; null if they are unknown."""


class Applied(Wire):
    """How many of the bets were not refused, and the net amount that the result paid to the player, in minor units.

    A market may name a bet that was refused: it reserved its leg, and then another market refused the bet.
    """

    known: int = 0
    paid: int


class TakenLeg(Wire):
    """A leg and the price at which it was accepted."""

    market_id: str
    selection_id: str
    price: Price


class LegView(TakenLeg):
    """A leg and its outcome, which is null until it is known."""

    outcome: SelectionOutcome | None


class PlacementStatus(StrEnum):
    """Whether a bet is accepted, or its markets, which are in play, decide after a delay."""

    ACCEPTED = "accepted"
    DELAYED = "delayed"


class Placement(Wire):
    """The answer to `placeBet`. Amounts are in minor units."""

    bet_id: str
    status: PlacementStatus
    total_stake: int
    lines: int
    potential_return: int
    legs: list[TakenLeg]
    balance: Balance | None


class CashOutView(Wire):
    """A cash-out in play that is waiting or was refused.

    `amount` is the value of the bet when the cash-out was refused as too low, in minor units; otherwise null.
    """

    status: WishStatus
    reason: Refusal | None = None
    message: str | None = None
    amount: int | None = None


class BetView(Wire):
    """A bet as the player sees it; amounts are in minor units.

    `returned` is null until the bet has ended. `capped` is the amount that a maximum payout withheld.
    """

    bet_id: str
    wallet_id: str
    status: BetStatus
    stake: int
    system_size: int | None
    total_stake: int
    lines: int
    potential_return: int
    legs: list[LegView]
    returned: int | None
    capped: int | None
    placed_at: Moment
    ended_at: Moment | None
    refused: Refused | None
    cash_out: CashOutView | None


class AllBets(Wire):
    """The answer to `listBets`: the open bets and those that ended most recently."""

    bets: list[BetView]


class CashedOut(Wire):
    """The answer to `cashOut`. `amount` is null until it is paid, which in play happens after a delay."""

    bet_id: str
    status: BetStatus
    amount: int | None = None


def hold_stake(player: Player, request: PlaceBet, now: datetime, policy: Policy) -> Decision[Bet]:
    """Hold a stake and count it against the limits.

    A repeated request changes nothing and returns the bet as it now is. Refuses with `id_reused` if the bet id is used
    for a different bet. Otherwise the order of the checks is: related legs, restriction, wallet and debt, currency,
    number of open bets, limits, funds.
    """
    bet = _new_bet(player, request, now, policy)
    if (known := player.bets.get(request.bet_id)) is not None:
        return Decision(player, known if _content(known) == _content(bet) else id_reused("betId", request.bet_id))
    if (refused := _refuse_new_bet(player, request, bet, policy)) is not None:
        return Decision(player, refused)
    assert bet.total_stake > 0, "a bet has a stake"
    postings = move(Account.CASH, Account.LOCKED, bet.total_stake)
    after = post_entry(player, request.wallet_id, Kind.STAKE_HELD, request.bet_id, postings, now, by=None)
    currency = player.wallets[request.wallet_id].currency
    use = Use(at=now, amount=bet.total_stake, currency=currency, reference=request.bet_id)
    for kind in COUNTED:
        after = _counted(after, kind, use)
    return _with_bet(after, request.bet_id, bet, balance=after.wallets[request.wallet_id].balance)


def sure_to_be_held(player: Player, request: PlaceBet, policy: Policy) -> Bet | None:
    """Return the new bet if its stake can be held at any time. Its markets can then be asked before the time is known.

    Returns None if the bet is known or would be refused, or if the time matters: the player has or had a restriction,
    or has a limit that the stake counts against.
    """
    wallet = player.wallets.get(request.wallet_id)
    if wallet is None or request.bet_id in player.bets or player.restriction is not None:
        return None
    if any(has_own_limit(player, kind, wallet.currency, policy) for kind in COUNTED):
        return None
    bet = _new_bet(player, request, ANY_TIME, policy)
    return bet if _refuse_new_bet(player, request, bet, policy) is None else None


def legs_to_reserve(player: Player, bet_id: str, bet: Bet) -> dict[str, ReserveLeg]:
    """The leg that each market of a bet is asked to reserve."""
    asked = potential_return(bet.stake, bet.system_size, [leg.asked for leg in bet.legs], bet.max_payout)
    open_stakes = _open_stakes(player, bet_id)
    return {
        leg.market_id: ReserveLeg(
            user_id=player.user_id,
            bet_id=bet_id,
            selection_id=leg.selection_id,
            price=leg.asked,
            price_change=bet.price_change,
            stake=bet.total_stake,
            potential_return=asked,
            delayed=bet.status is BetStatus.DELAYED,
            currency=player.wallets[bet.wallet_id].currency,
            shape=_shape(bet, leg),
            open_stake=open_stakes[leg.market_id, leg.selection_id],
        )
        for leg in bet.legs
    }


def refuse_related_by_event(answers: Iterable[Accepted | Delayed]) -> Refused | None:
    """Refuse a bet with two markets on the same event. A market without an event id has an event of its own."""
    events = [answer.event_id for answer in answers if answer.event_id is not None]
    if len(set(events)) == len(events):
        return None
    return Refused(reason=Refusal.RELATED_LEGS, message="legs: two of them are on one event")


def legs_to_expose(user_id: str, bet_id: str, bet: Bet, accepted: Mapping[str, Accepted]) -> dict[str, ExposeLeg]:
    """The markets whose liability for a bet changes now that the prices at all markets are known."""
    prices = [accepted[leg.market_id].price for leg in bet.legs]
    exact = exposure(bet.stake, bet.system_size, prices, bet.max_payout)
    return {
        market_id: ExposeLeg(user_id=user_id, bet_id=bet_id, page=leg.page, exposure=exact)
        for market_id, leg in accepted.items()
        if leg.exposure != exact
    }


def legs_to_count(before: Player, after: Player, bet_ids: Iterable[str]) -> dict[str, list[CountLeg]]:
    """Collect, by market without a result, the new exposure of bets that stopped counting or count again.

    A bet counts again if a correction makes its return uncertain. An unchanged bet is included again, because an
    earlier attempt may have been killed before it told the markets.
    """
    told: dict[str, list[CountLeg]] = {}
    for bet_id in bet_ids:
        old, bet = before.bets.get(bet_id), after.bets.get(bet_id)
        if old is None or bet is None or bet.exposure_changes == 0:
            continue
        if old is bet or old.exposure_changes != bet.exposure_changes:
            for leg in _undecided(bet):
                told.setdefault(leg.market_id, []).append(_count_leg(after.user_id, bet_id, bet, leg))
    return told


def delay_bet(player: Player, bet_id: str, decide_at: datetime | None = None) -> Decision[Bet]:
    """Delay a bet on a market in play: it waits with its stake locked until the markets are asked again."""
    bet = player.bets[bet_id]
    if bet.status is not BetStatus.PENDING:
        return Decision(player, bet)
    assert player.wallets[bet.wallet_id].on(Account.LOCKED) >= bet.total_stake, "a bet waits with its stake locked"
    return _with_bet(player, bet_id, bet, status=BetStatus.DELAYED, decide_at=decide_at)


def accept_bet(
    player: Player,
    bet_id: str,
    prices: Mapping[str, Price],
    pages: Mapping[str, int] | None = None,
    withdrawals: Mapping[str, int] | None = None,
) -> Decision[Bet]:
    """Open a bet that every market has accepted. Changes nothing if the bet is no longer pending or delayed.

    By market id: `prices` has the accepted price, `pages` the page of the shard's index that has the leg, and
    `withdrawals` how many withdrawals the market knew. Raises AssertionError if a market is missing, or if the player
    does not accept one of the prices.
    """
    bet = player.bets[bet_id]
    if not bet.status.can_be_released:
        return Decision(player, bet)
    assert prices.keys() == {leg.market_id for leg in bet.legs}, "a bet is accepted by all of its markets, or by none"
    for leg in bet.legs:
        asked, price = leg.asked, prices[leg.market_id]
        assert price_taken(asked, price, bet.price_change) == price, (
            f"{leg.market_id}: {price} is not what the player takes"
        )
    kept_on = {} if pages is None else pages
    known = {} if withdrawals is None else withdrawals
    legs = [
        leg.model_copy(
            update={
                "price": prices[leg.market_id],
                "page": kept_on.get(leg.market_id),
                "withdrawals": known.get(leg.market_id, 0),
            }
        )
        for leg in bet.legs
    ]
    for_good = _uses(player, bet_id, lambda use: [use.model_copy(update={"reference": None})])
    return _with_bet(player.changed(uses=for_good), bet_id, bet, status=BetStatus.OPEN, legs=legs)


def decide_restricted(player: Player, bet_id: str, now: datetime) -> Decision[Bet] | None:
    """Refuse a delayed bet if the player has been restricted in the meantime, and return the stake."""
    refused = refuse_restricted(player, now)
    return None if refused is None else release_stake(player, bet_id, refused, now)


def holds_leg(player: Player, bet_id: str, market_id: str, page: int) -> bool:
    """Whether a leg on a page of a market's index belongs to an accepted bet."""
    bet = player.bets.get(bet_id)
    if bet is None or bet.status.can_be_released or bet.status is BetStatus.REFUSED:
        return False
    return any(leg.market_id == market_id and leg.page in {None, page} for leg in bet.legs)


def release_stake(player: Player, bet_id: str, refused: Refused, now: datetime) -> Decision[Bet]:
    """Refuse a bet that is not open yet: return the stake, once, and stop counting it against the limits."""
    bet = player.bets[bet_id]
    if not bet.status.can_be_released:
        return Decision(player, bet)
    assert (bet.returned, bet.ended_at) == (0, None), "a stake goes back instead of a return, never beside one"
    postings = move(Account.LOCKED, Account.CASH, bet.total_stake)
    after = post_entry(player, bet.wallet_id, Kind.STAKE_RETURNED, bet_id, postings, now, by=None)
    taken_back = _uses(after, bet_id, lambda use: [])
    return _with_bet(
        after.changed(uses=taken_back), bet_id, bet, status=BetStatus.REFUSED, refused=refused, ended_at=now
    )


def apply_result(player: Player, request: ApplyResult) -> Decision[Applied]:
    """Apply a market's result to bets. Each settles once its return is certain; a settled bet posts the difference.

    A version that a bet already has changes nothing, and no result changes a bet that was refused or cashed out.
    """
    after, paid = player, 0
    for bet_id in request.bet_ids:
        if bet_id in after.bets:
            after, difference = _apply_outcome(after, bet_id, request)
            paid += difference
    placed = [after.bets[bet_id] for bet_id in request.bet_ids if bet_id in after.bets]
    known = sum(bet.status is not BetStatus.REFUSED for bet in placed)
    return Decision(after, Applied(known=known, paid=paid))


def cash_out_selections(player: Player, bet_id: str) -> dict[str, str]:
    """The selections, by market, whose current prices a cash-out needs; empty if its answer depends on no price."""
    bet = player.bets.get(bet_id)
    if bet is None or bet.waits_for_cash_out or _refuse_cash_out(bet) is not None:
        return {}
    return _undecided_selections(bet)


def wished_selections(player: Player, bet_id: str) -> dict[str, str]:
    """The selections, by market, whose current prices decide a waiting cash-out; empty if none is waiting."""
    bet = player.bets.get(bet_id)
    return _undecided_selections(bet) if bet is not None and bet.waits_for_cash_out else {}


def withdrawals_known(player: Player, bet_id: str) -> dict[str, int]:
    """For each market of a bet, how many withdrawals were known when its leg was accepted."""
    bet = player.bets.get(bet_id)
    return {} if bet is None else {leg.market_id: leg.withdrawals for leg in bet.legs}


def cash_out(
    player: Player,
    bet_id: str,
    prices: Mapping[str, Price],
    min_amount: int | None,
    now: datetime,
    policy: Policy,
    delay: timedelta = timedelta(0),
) -> Decision[Bet]:
    """Cash out a bet at its current value or, in play, after a delay.

    `prices` has the current price at each open market; `min_amount` is in minor units. A repeated request changes
    nothing and returns the bet as it now is. Refuses with `unknown_bet`, `bet_not_open`, `cash_out_unavailable` or
    `cash_out_changed`; the last means that the bet is worth less than `min_amount`.
    """
    bet = player.bets.get(bet_id)
    if bet is None:
        return Decision(player, Refused(reason=Refusal.UNKNOWN_BET, message=f"betId: there is no bet {bet_id}"))
    if bet.status is BetStatus.CASHED_OUT or bet.waits_for_cash_out:
        return Decision(player, bet)
    value = _worth(player, bet, prices, min_amount, now, policy)
    if isinstance(value, Refused):
        return Decision(player, value)
    if delay > timedelta(0):
        wish = CashOutWish(min_amount=min_amount, decide_at=now + delay)
        return _with_bet(player, bet_id, bet, cash_out=wish)
    return _end(player, bet_id, _recounted(bet, bet, counts=False), BetStatus.CASHED_OUT, value, now, by=None)


def decide_cash_out(
    player: Player, bet_id: str, prices: Mapping[str, Price], now: datetime, policy: Policy
) -> Decision[Bet]:
    """Pay a waiting cash-out at the current prices.

    If it is no longer available or is worth less than the player's minimum, it is refused and the bet stays open.
    """
    bet = player.bets[bet_id]
    if bet.cash_out is None or not bet.waits_for_cash_out:
        return Decision(player, bet)
    value = _worth(player, bet, prices, bet.cash_out.min_amount, now, policy)
    if isinstance(value, Refused):
        return _with_bet(player, bet_id, bet, cash_out=_refused_wish(bet.cash_out, value))
    return _end(player, bet_id, _recounted(bet, bet, counts=False), BetStatus.CASHED_OUT, value, now, by=None)


def cashed_out(bet_id: str, bet: Bet) -> CashedOut:
    """The answer to a player who cashes out."""
    if bet.waits_for_cash_out:
        return CashedOut(bet_id=bet_id, status=BetStatus.DELAYED)
    return CashedOut(bet_id=bet_id, status=bet.status, amount=bet.returned)


def placement(bet_id: str, bet: Bet) -> Placement | Refused:
    """The answer to `placeBet` for this bet, also when the request is repeated; a refusal if the bet was refused."""
    if bet.refused is not None:
        return bet.refused
    return Placement(
        bet_id=bet_id,
        status=PlacementStatus.DELAYED if bet.status is BetStatus.DELAYED else PlacementStatus.ACCEPTED,
        total_stake=bet.total_stake,
        lines=bet.lines,
        potential_return=potential(bet),
        legs=[TakenLeg(market_id=leg.market_id, selection_id=leg.selection_id, price=leg.price) for leg in bet.legs],
        balance=bet.balance,
    )


def bet_view(bet_id: str, bet: Bet) -> BetView:
    """A bet as `getBet` and `listBets` show it."""
    return BetView(
        bet_id=bet_id,
        wallet_id=bet.wallet_id,
        status=bet.status,
        stake=bet.stake,
        system_size=bet.system_size,
        total_stake=bet.total_stake,
        lines=bet.lines,
        potential_return=potential(bet),
        legs=[
            LegView(market_id=leg.market_id, selection_id=leg.selection_id, price=leg.price, outcome=leg.outcome)
            for leg in bet.legs
        ],
        returned=None if bet.status.holds_stake else bet.returned,
        capped=bet.withheld or None,
        placed_at=bet.placed_at,
        ended_at=bet.ended_at,
        refused=bet.refused,
        cash_out=None if bet.cash_out is None else _cash_out_view(bet.cash_out),
    )


def potential(bet: Bet) -> int:
    """The potential return of a bet, in minor units: all its legs win at the accepted prices."""
    return potential_return(bet.stake, bet.system_size, [leg.price for leg in bet.legs], bet.max_payout)


def _new_bet(player: Player, request: PlaceBet, now: datetime, policy: Policy) -> Bet:
    currency = _currency(player, request, policy)
    max_payout = policy.max_payout.of(currency)
    return Bet(
        wallet_id=request.wallet_id,
        stake=request.stake,
        system_size=request.system_size,
        lines=request.lines,
        legs=[
            BetLeg(market_id=leg.market_id, selection_id=leg.selection_id, asked=leg.price, price=leg.price)
            for leg in request.legs
        ],
        price_change=request.price_change,
        max_payout=0 if max_payout is None else max_payout,
        max_payout_per_day=policy.max_payout_per_day.of(currency),
        placed_at=now,
    )


def _refuse_new_bet(player: Player, request: PlaceBet, bet: Bet, policy: Policy) -> Refused | None:
    currency, now = _currency(player, request, policy), bet.placed_at
    return (
        _refuse_related_legs(request.legs)
        or refuse_restricted(player, now)
        or refuse_debit(player, request.wallet_id)
        or policy.refuse_currency(currency)
        or _refuse_too_many_open(player, policy)
        or _refuse_over_limits(player, bet.total_stake, currency, now, policy)
        or refuse_short_funds(player.wallets[request.wallet_id], bet.total_stake)
    )


def _currency(player: Player, request: PlaceBet, policy: Policy) -> str:
    """The currency of a bet: that of its wallet or, if there is no such wallet, the house's."""
    wallet = player.wallets.get(request.wallet_id)
    return policy.default_currency if wallet is None else wallet.currency


def _apply_outcome(player: Player, bet_id: str, request: ApplyResult) -> tuple[Player, int]:
    bet = player.bets[bet_id]
    legs = [_with_outcome(leg, request) for leg in bet.legs]
    if bet.status not in {BetStatus.OPEN, BetStatus.SETTLED} or legs == bet.legs:
        return player, sum(leg.moved for leg in bet.legs if _has_outcome(leg, request))
    before, bet = bet, bet.model_copy(update={"legs": legs})
    amount = _certain_return(bet)
    bet = _recounted(before, bet, counts=amount is None)
    if amount is None:
        return _with_bet(player, bet_id, bet).player, 0
    full = amount if amount < bet.max_payout else _least_return(bet)
    amount = _capped(player, bet, full, request.now)
    moved = amount if bet.status is BetStatus.OPEN else amount - bet.returned
    legs = [leg.model_copy(update={"moved": moved}) if _has_outcome(leg, request) else leg for leg in legs]
    bet = bet.model_copy(update={"legs": legs})
    if bet.status is BetStatus.OPEN:
        return _end(player, bet_id, bet, BetStatus.SETTLED, full, request.now, request.by).player, moved
    return _correct(player, bet_id, bet, full, request), moved


def _has_outcome(leg: BetLeg, request: ApplyResult) -> bool:
    return leg.market_id == request.market_id and leg.result_version == request.version


def _with_outcome(leg: BetLeg, request: ApplyResult) -> BetLeg:
    if leg.market_id != request.market_id or request.version <= leg.result_version:
        return leg
    outcome = request.outcomes[leg.selection_id]
    return leg.model_copy(update={"result_version": request.version, "outcome": outcome, "moved": 0})


def _end(
    player: Player, bet_id: str, bet: Bet, status: BetStatus, full: int, now: datetime, by: Actor | None
) -> Decision[Bet]:
    """Release the stake and pay the return. `full` is the return before any maximum payout, in minor units."""
    assert bet.status is BetStatus.OPEN, "a stake is released once"
    amount = _capped(player, bet, full, now)
    assert 0 <= amount <= full, f"{amount} of {full} is returned"
    kind = Kind.BET_CASHED_OUT if status is BetStatus.CASHED_OUT else Kind.BET_SETTLED
    postings = total([move(Account.LOCKED, Account.HOUSE, bet.total_stake), move(Account.HOUSE, Account.CASH, amount)])
    after = post_entry(player, bet.wallet_id, kind, bet_id, postings, now, by)
    after = _returned(after, bet, amount, now)
    fields = {
        "status": status,
        "returned": amount,
        "withheld": full - amount,
        "day_returned": returned_by_others(player, bet, now),
        "ended_at": now,
        "cash_out": _wish_after(bet, status),
    }
    return _with_bet(after, bet_id, bet, **fields)


def _wish_after(bet: Bet, status: BetStatus) -> CashOutWish | None:
    """The cash-out of a bet after the bet has ended. A waiting one is refused, because a result came first."""
    if bet.cash_out is None or status is BetStatus.CASHED_OUT:
        return None
    if not bet.waits_for_cash_out:
        return bet.cash_out
    return _refused_wish(bet.cash_out, Refused(reason=Refusal.BET_NOT_OPEN, message=f"this bet is {status.value}"))


def _correct(player: Player, bet_id: str, bet: Bet, full: int, request: ApplyResult) -> Player:
    assert bet.status is BetStatus.SETTLED, "only what was paid can be corrected"
    now = request.now
    amount = _capped(player, bet, full, now)
    assert 0 <= amount <= full, f"{amount} of {full} is returned"
    difference = amount - bet.returned
    if difference != 0:
        postings = move(Account.HOUSE, Account.CASH, difference)
        player = post_entry(player, bet.wallet_id, Kind.BET_CORRECTED, bet_id, postings, now, request.by)
        player = _returned(player, bet, difference, now)
    return _with_bet(player, bet_id, bet, returned=amount, withheld=full - amount).player


def _capped(player: Player, bet: Bet, full: int, now: datetime) -> int:
    """The part of a return that is paid under the maximum payouts. The house keeps the rest."""
    of_day = most_to_return(player, bet, now)
    of_bet = min(full, bet.max_payout)
    return of_bet if of_day is None else min(of_bet, of_day)


def _worth(
    player: Player, bet: Bet, prices: Mapping[str, Price], min_amount: int | None, now: datetime, policy: Policy
) -> int | Refused:
    """The cash-out value of a bet before any maximum payout, in minor units, or the refusal."""
    if (refused := _refuse_cash_out(bet)) is not None:
        return refused
    undecided = _undecided(bet)
    if any(leg.market_id not in prices for leg in undecided):
        return _unavailable("a market of this bet is not open")
    full = cash_out_value(
        bet.stake,
        [leg_factor(leg.price, leg.outcome) for leg in bet.legs if leg.outcome is not None],
        [(leg.price, prices[leg.market_id]) for leg in undecided],
        policy.cash_out_margin_percent,
    )
    value = _capped(player, bet, full, now)
    if value == 0:
        return _unavailable("this bet pays nothing now")
    if min_amount is not None and value < min_amount:
        return Refused(
            reason=Refusal.CASH_OUT_CHANGED,
            message=f"this bet is worth {value} now, less than {min_amount}",
            metadata={"amount": str(value)},
        )
    return full


def _refused_wish(wish: CashOutWish, refused: Refused) -> CashOutWish:
    return wish.model_copy(update={"status": WishStatus.REFUSED, "refused": refused})


def _cash_out_view(wish: CashOutWish) -> CashOutView:
    if wish.refused is None:
        return CashOutView(status=wish.status)
    amount = wish.refused.metadata.get("amount")
    return CashOutView(
        status=wish.status,
        reason=wish.refused.reason,
        message=wish.refused.message,
        amount=None if amount is None else int(amount),
    )


def _shape(bet: Bet, leg: BetLeg) -> Shape:
    others = tuple(other.asked for other in bet.legs if other is not leg)
    return Shape(stake=bet.stake, system_size=bet.system_size, other_prices=others, max_payout=bet.max_payout)


def _open_stakes(player: Player, but_bet_id: str) -> Counter[tuple[str, str]]:
    """The stakes of a player's open bets on each selection, leaving out one bet."""
    stakes: Counter[tuple[str, str]] = Counter()
    for bet_id, bet in player.bets.items():
        if bet.status.holds_stake and bet_id != but_bet_id:
            for leg in bet.legs:
                stakes[leg.market_id, leg.selection_id] += bet.total_stake
    return stakes


def _undecided(bet: Bet) -> list[BetLeg]:
    return [leg for leg in bet.legs if leg.outcome is None]


def _undecided_selections(bet: Bet) -> dict[str, str]:
    return {leg.market_id: leg.selection_id for leg in _undecided(bet)}


def _least_return(bet: Bet) -> int:
    return least_return(bet.stake, bet.system_size, [(leg.price, leg.outcome) for leg in bet.legs])


def _certain_return(bet: Bet) -> int | None:
    legs = [(leg.price, leg.outcome) for leg in bet.legs]
    return bet_return(bet.stake, bet.system_size, legs, bet.max_payout)


def _counts(bet: Bet) -> bool:
    """Whether the house can still lose on a bet: it is open, or a correction has made its return uncertain again."""
    if bet.status is BetStatus.SETTLED:
        return _certain_return(bet) is None
    return bet.status is BetStatus.OPEN


def _recounted(before: Bet, bet: Bet, counts: bool) -> Bet:
    """Add one to the changes of exposure if the bet starts or stops counting at its markets without a result."""
    if not _undecided(bet) or _counts(before) == counts:
        return bet
    return bet.model_copy(update={"exposure_changes": bet.exposure_changes + 1})


def _count_leg(user_id: str, bet_id: str, bet: Bet, leg: BetLeg) -> CountLeg:
    prices = [one.price for one in bet.legs]
    counted = exposure(bet.stake, bet.system_size, prices, bet.max_payout) if _counts(bet) else 0
    return CountLeg(user_id=user_id, bet_id=bet_id, page=leg.page, exposure=counted, changes=bet.exposure_changes)


def _with_bet(player: Player, bet_id: str, bet: Bet, **fields: object) -> Decision[Bet]:
    changed = bet.model_copy(update=fields)
    return Decision(player.changed(bets={**player.bets, bet_id: changed}), changed)


def _counted(player: Player, kind: LimitKind, use: Use) -> Player:
    if use.amount == 0:
        return player
    may_be_taken_back = (bet_id for bet_id, bet in player.bets.items() if bet.status.can_be_released)
    counted = add_use(player.uses.get(kind, []), use, may_be_taken_back)
    return player.changed(uses={**player.uses, kind: counted})


def _returned(player: Player, bet: Bet, amount: int, now: datetime) -> Player:
    """Count a return against the loss limit in the wallet's currency, and towards the maximum payout of its day."""
    currency = player.wallets[bet.wallet_id].currency
    player = with_return(player, bet, amount, now)
    return _counted(player, LimitKind.LOSS, Use(at=now, amount=-amount, currency=currency))


def _uses(player: Player, bet_id: str, become: Callable[[Use], list[Use]]) -> dict[LimitKind, list[Use]]:
    """Replace the uses of one bet in each limit that stakes count against; a deposit may have the same id."""
    return {
        kind: [new for use in uses for new in (become(use) if use.reference == bet_id else [use])]
        if kind is not LimitKind.DEPOSIT
        else uses
        for kind, uses in player.uses.items()
    }


def _content(bet: Bet) -> tuple[object, ...]:
    legs = [(leg.market_id, leg.selection_id, leg.asked) for leg in bet.legs]
    return bet.wallet_id, bet.stake, bet.system_size, bet.price_change, legs


def _refuse_related_legs(legs: Sequence[AskedLeg]) -> Refused | None:
    if len({leg.market_id for leg in legs}) == len(legs):
        return None
    return Refused(reason=Refusal.RELATED_LEGS, message="legs: two of them are on one market")


def _refuse_too_many_open(player: Player, policy: Policy) -> Refused | None:
    if open_bets(player) < policy.max_open_bets:
        return None
    return Refused(reason=Refusal.TOO_MANY_OPEN_BETS, message=f"at most {policy.max_open_bets} bets can be open")


def _refuse_over_limits(player: Player, stake: int, currency: str, now: datetime, policy: Policy) -> Refused | None:
    refusals = (refuse_over_limit(player, kind, stake, currency, now, policy) for kind in COUNTED)
    return next((refused for refused in refusals if refused is not None), None)


def _refuse_cash_out(bet: Bet) -> Refused | None:
    if bet.status is not BetStatus.OPEN:
        return Refused(reason=Refusal.BET_NOT_OPEN, message=f"this bet is {bet.status.value}")
    if bet.lines > 1:
        return _unavailable("a system cannot be cashed out")
    return None


def _unavailable(why: str) -> Refused:
    return Refused(reason=Refusal.CASH_OUT_UNAVAILABLE, message=why)
