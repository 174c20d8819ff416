"""The end of a season: everything has come to rest, and agrees with the model, in the books and at the sandbox."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from app.simulation.client import Client
from app.simulation.model import ACCOUNTS, Bet
from app.simulation.play import WALLET, Play, eventually

WITHDRAWAL_ENDED = {"paid", "failed", "rejected", "timedOut"}


class Checks:
    """Compares what the system says in the end with what it must say. `play.wrong` grows by each disagreement."""

    def __init__(self, client: Client, play: Play, at_once: int) -> None:
        self._client = client
        self._play = play
        self._gate = asyncio.Semaphore(at_once)
        self.house: Counter[str | None] = Counter()
        """What the house has won in all in each currency (none: its own), by the books, in minor units."""

    @property
    def steps(self) -> int:
        """How many things there are to check."""
        model = self._play.model
        return (
            2 * len(model.bets)
            + len(model.settlements)
            + 2 * len(model.withdrawals)
            + len(model.deposits)
            + len(self._play.season.players)
        )

    async def check(self, done: Callable[[], None]) -> None:
        """First wait until nothing is under way any more, then compare."""
        model = self._play.model
        await self._each(self._bet_is_decided, model.bets, done)
        await self._each(self._settlement_is_done, model.settlements, done)
        await self._each(self._withdrawal_has_ended, model.withdrawals, done)
        await self._each(self._bet_agrees, model.bets, done)
        await self._each(self._charge_agrees, model.deposits, done)
        await self._each(self._payout_agrees, model.withdrawals, done)
        self._accounts = model.accounts(self._play.season.players)
        await self._each(self._books_agree, self._play.season.players, done)
        house: Counter[str | None] = Counter()
        for player, book in self._accounts.items():
            house[self._currency(player)] += book["house"]
        self._expect(self.house == house, f"the house has {self.house}, the model says {house}")

    async def _each(
        self, check: Callable[[str], Awaitable[None]], names: Iterable[str], done: Callable[[], None]
    ) -> None:
        async def one(name: str) -> None:
            async with self._gate:
                await check(name)
                done()

        async with asyncio.TaskGroup() as group:
            for name in list(names):
                group.create_task(one(name))

    async def _bet_is_decided(self, name: str) -> None:
        """A bet on a market in play was delayed; it has been accepted or refused since."""
        bet = self._play.model.bets[name]
        if bet.status != "delayed":
            return

        async def look() -> bool:
            status: str = (await self._bet(name, bet))["status"]
            return status != "delayed"

        if not await eventually(look):
            self._play.wrong.append(f"{name}: still delayed")
            return
        told = await self._bet(name, bet)
        bet.status = "refused" if told["status"] == "refused" else "open"
        self._play.tally.count("bet after its delay", told["refused"] and told["refused"]["reason"])
        for leg, taken in zip(bet.legs, told["legs"], strict=True):
            leg.price = Fraction(taken["price"])
        if bet.status == "open":
            self._play.wrong += self._play.unfair(name, bet)

    async def _settlement_is_done(self, name: str) -> None:
        progress: Mapping[str, Any] = {}

        async def look() -> bool:
            nonlocal progress
            progress = (await self._client.ask(f"SettlementWorkflow/{self._play.id(name)}/progress")).body
            return bool(progress["done"])

        ended = await eventually(look)
        self._expect(ended and progress["settled"] == progress["bets"], f"settlement {name}: {progress}")

    async def _withdrawal_has_ended(self, name: str) -> None:
        withdrawal = self._play.model.withdrawals[name]
        if withdrawal.status == "refused":
            return

        async def look() -> bool:
            answer = await self._client.ask(f"WithdrawalWorkflow/{self._play.id(name)}/status")
            withdrawal.status = answer.body["status"]
            return withdrawal.status in WITHDRAWAL_ENDED

        self._expect(await eventually(look), f"{name}: the withdrawal is still {withdrawal.status}")

    async def _bet_agrees(self, name: str) -> None:
        bet = self._play.model.bets[name]
        told = await self._bet(name, bet)
        returned = self._play.model.returned(bet)
        status = "settled" if bet.status == "open" and returned is not None else bet.status
        agrees = told["status"] == status and (status == "refused" or told["returned"] == returned)
        self._expect(agrees, f"{name}: {status} with {returned}, not {told}")

    async def _charge_agrees(self, name: str) -> None:
        deposit = self._play.model.deposits[name]
        charges = [charge["amount"] for charge in await self._client.moved("charges", self._play.id(name))]
        wanted = [deposit.amount] if deposit.status == "credited" else []
        self._expect(charges == wanted, f"{name}: {deposit.status}, and charged {charges}")

    async def _payout_agrees(self, name: str) -> None:
        withdrawal = self._play.model.withdrawals[name]
        payouts = [payout["amount"] for payout in await self._client.moved("payouts", self._play.id(name))]
        wanted = [withdrawal.amount] if withdrawal.status == "paid" else []
        self._expect(payouts == wanted, f"{name}: {withdrawal.status}, and paid out {payouts}")

    async def _books_agree(self, player: str) -> None:
        audit = (await self._client.ask(f"PlayerService/{self._play.id(player)}/audit")).body
        account = (await self._client.ask(f"PlayerService/{self._play.id(player)}/getAccount")).body
        self._expect(audit["balanced"] is True, f"{player}: not balanced: {audit}")
        book = audit["wallets"].get(WALLET, dict.fromkeys(ACCOUNTS, 0))
        self._expect(book == self._accounts[player], f"{player}: {book}, the model says {self._accounts[player]}")
        wallet = account["wallets"].get(WALLET, dict.fromkeys(ACCOUNTS, 0))
        shown = {name: wallet[name] for name in ("cash", "locked", "pendingOut")}
        self._expect(shown == {name: book[name] for name in shown}, f"{player}: shows {shown}, has {book}")
        currency = self._currency(player)
        is_theirs = currency is None or wallet.get("currency", currency) == currency
        self._expect(is_theirs, f"{player}: a wallet in {wallet.get('currency')}, not in {currency}")
        self.house[currency] += book["house"]

    async def _bet(self, name: str, bet: Bet) -> Mapping[str, Any]:
        path = f"PlayerService/{self._play.id(bet.player)}/getBet"
        return (await self._client.ask(path, {"betId": self._play.id(name)})).body

    def _currency(self, player: str) -> str | None:
        return self._play.season.currencies.get(player)

    def _expect(self, holds: bool, otherwise: str) -> None:
        self._play.expect(holds, otherwise)
