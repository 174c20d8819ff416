"""The maximum payout per player and UTC day. The house keeps what exceeds it. Amounts are in minor units.

A bet counts on the day on which it ends, under the limit at the time when it was placed. A correction, however late,
pays no more than the other bets of that day leave of the limit.
"""

from datetime import datetime

from app.domain.player import Bet, Player

KEPT_DAYS = 31
"""The number of days whose total is stored. For an older day, each bet has its own record of the earlier returns."""


def returned_by_others(player: Player, bet: Bet, now: datetime) -> int:
    """The returns of the player's other bets on the day on which a bet ended, or ends now."""
    known = player.returned_on.get(_currency(player, bet), {}).get(_day(bet, now))
    if bet.ended_at is None:
        return 0 if known is None else known
    return bet.day_returned if known is None else known - bet.returned


def most_to_return(player: Player, bet: Bet, now: datetime) -> int | None:
    """The most that a bet can return under the limit of its day; None if there is no limit."""
    if bet.max_payout_per_day is None:
        return None
    return max(0, bet.max_payout_per_day - returned_by_others(player, bet, now))


def with_return(player: Player, bet: Bet, difference: int, now: datetime) -> Player:
    """Add a bet's return, or the difference by a correction, to its day. Days no longer stored are not changed."""
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
