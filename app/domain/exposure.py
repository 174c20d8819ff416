"""The exposure of a bet: what the house loses if all legs win at the accepted prices, in minor units.

It is the potential return, capped by the maximum payout, less the total stake.
"""

from collections.abc import Sequence

from app.domain.model import Wire
from app.domain.odds import LOWEST, Price, PriceChange
from app.domain.settlement import line_count, potential_return


def exposure(stake: int, system_size: int | None, prices: Sequence[Price], max_payout: int) -> int:
    """The exposure at these prices, in minor units, at least 0. `stake` is the stake per line."""
    total_stake = stake * line_count(len(prices), system_size)
    return max(0, potential_return(stake, system_size, prices, max_payout) - total_stake)


class Shape(Wire):
    """What the market of one leg must know about a bet to compute its exposure.

    `other_prices` are the requested prices of the other legs. Their markets may accept them at different prices.
    """

    stake: int
    system_size: int | None
    other_prices: tuple[Price, ...]
    max_payout: int

    def exposure(self, price: Price) -> int:
        """The exposure with this leg at `price` and the others at their requested prices, in minor units."""
        return exposure(self.stake, self.system_size, (price, *self.other_prices), self.max_payout)

    def least_exposure(self, price: Price, change: PriceChange) -> int:
        """The smallest exposure with this leg at `price`, at any other prices that the player accepts (`change`)."""
        if change is not PriceChange.ANY:
            return self.exposure(price)
        lowest = (Price(LOWEST),) * len(self.other_prices)
        return exposure(self.stake, self.system_size, (price, *lowest), self.max_payout)
