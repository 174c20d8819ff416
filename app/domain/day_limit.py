"""The most that a player's bets return on one UTC day: what is over it stays with the house.

A bet belongs to the day it ended on, under the limit of the moment it was placed. A correction, however late, is held
to what the other bets of that day leave.
"""

from datetime import datetime

from app.domain.player import Bet, Player

KEPT_DAYS = 31
"""Days whose sum is remembered. A bet remembers itself what was returned before it on an older one."""


def returned_by_others(player: Player, bet: Bet, now: datetime) -> int:
    """What other bets have returned on the day that a bet ended on, or ends on now."""
    known = player.returned_on.get(_currency(player, bet), {}).get(_day(bet, now))
    if bet.ended_at is None:
        return 0 if known is None else known
    return bet.day_returned if known is None else known - bet.returned


def most_to_return(player: Player, bet: Bet, now: datetime) -> int | None:
    """What the day lets a bet return; None where nothing limits it."""
    if bet.max_payout_per_day is None:
        return None
    return max(0, bet.max_payout_per_day - returned_by_others(player, bet, now))


def with_return(player: Player, bet: Bet, difference: int, now: datetime) -> Player:
    """Count what a bet returns, or returns more than before, on the day it ended on. Days long past are left alone."""
    if bet.max_payout_per_day is None:
        return player
    currency, day = _currency(player, bet), _day(bet, now)
    days = player.returned_on.get(currency, {})
    if bet.ended_at is not None and day not in days:
        return player
    days = {**days, day: days.get(day, 0) + difference}
    assert days[day] >= 0, f"on {day} more is taken back than was returned"
    kept = dict(sorted(days.items())[-KEPT_DAYS:])
    return player.changed(returned_on={**player.returned_on, currency: kept})


def _currency(player: Player, bet: Bet) -> str:
    return player.wallets[bet.wallet_id].currency


def _day(bet: Bet, now: datetime) -> str:
    return (now if bet.ended_at is None else bet.ended_at).date().isoformat()
