"""PlayerService: all money and rules of one player.

The handlers are spread over several modules. All of them are imported here, so that importing any one serves them all.
"""

from app.services.player import account, bets, limits, payments
from app.services.player.document import player

__all__ = ["account", "bets", "limits", "payments", "player"]
