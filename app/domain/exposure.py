"""What the house can lose by a bet: what it returns if all its legs win at the prices taken, capped, less its stake."""

from collections.abc import Sequence

from app.domain.model import Wire
from app.domain.odds import LOWEST, Price, PriceChange
from app.domain.settlement import line_count, potential_return


def exposure(stake: int, system_size: int | None, prices: Sequence[Price], max_payout: int) -> int:
    """What the house loses if all legs win at these prices, never below 0; `stake` is a line's, in minor units."""
    total_stake = stake * line_count(len(prices), system_size)
    return max(0, potential_return(stake, system_size, prices, max_payout) - total_stake)


class Shape(Wire):
    """A bet as the market of one of its legs must know it, to tell what the house can lose by it.

    `other_prices` are those asked for the legs on other markets, which may be taken at others.
    """

    stake: int
    system_size: int | None
    other_prices: tuple[Price, ...]
    max_payout: int

    def exposure(self, price: Price) -> int:
        """What the house loses if this leg is taken at a price and all others at those asked."""
        return exposure(self.stake, self.system_size, (price, *self.other_prices), self.max_payout)

    def least_exposure(self, price: Price, change: PriceChange) -> int:
        """What the house loses at least, wherever the other markets' prices have moved that the player still takes."""
        if change is not PriceChange.ANY:
            return self.exposure(price)
        lowest = (Price(LOWEST),) * len(self.other_prices)
        return exposure(self.stake, self.system_size, (price, *lowest), self.max_payout)
