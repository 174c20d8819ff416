"""How a season is played, where several do things at once."""

import asyncio

from app.simulation.client import Client
from app.simulation.model import Model, Payment, Terms
from app.simulation.plan import Season, TakeBack
from app.simulation.play import Play


class Slow(Client):
    """Its sandbox answers some time after it was asked."""

    def __init__(self) -> None:
        super().__init__("", "", at_once=2, patience_seconds=1)
        self.said: list[str] = []

    async def move_back(self, what: str, reference: str, how: str) -> None:
        """Note what begins and what has been answered."""
        self.said.append(f"{how}?")
        await asyncio.sleep(0.01)
        self.said.append(f"{how}!")


def test_a_chargeback_is_reversed_only_after_the_sandbox_has_answered_it() -> None:
    async def run() -> None:
        async with Slow() as client:
            moved = (TakeBack("d1", "chargeback"), TakeBack("d1", "chargebackReversed"))
            model = Model(Terms(5, 50), deposits={"d1": Payment("p1", 10, "credited")})
            await Play(client, Season(1, (), moved, {}), model, "sim").play(2, lambda: None)

            assert client.said == ["chargeback?", "chargeback!", "chargebackReversed?", "chargebackReversed!"]
            assert model.deposits["d1"].status == "credited"

    asyncio.run(run())
