"""PlayerService: all money and rules of one player.

Its handlers stand in several modules. All of them are imported here, so that whoever imports one serves all.
"""

from app.services.player import account, bets, limits, payments
from app.services.player.document import player

__all__ = ["account", "bets", "limits", "payments", "player"]
