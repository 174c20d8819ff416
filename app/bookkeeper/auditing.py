"""How many players are audited in a look: so many that each has a turn within a day, however many there are."""

from math import ceil

TURN_SECONDS = 20 * 3600
"""In so long everybody has had a turn. It leaves four hours of a day for looks that fail."""
MOST = 5_000
"""In one look, which has to end."""


def audits_due(players: int, seconds: float, fewest: int) -> int:
    """The audits of a look that begins so many seconds after the one before it."""
    return min(players, MOST, max(fewest, ceil(players * seconds / TURN_SECONDS)))
