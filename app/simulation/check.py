"""The end of a season: everything has come to rest, and agrees with the model, in the books and at the sandbox."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from app.simulation.client import Client
from app.simulation.model import ACCOUNTS, Bet, deducted
from app.simulation.play import WALLET, Play, eventually

CHARGED = {"credited", "refunded", "chargedBack"}
"""Deposits that the provider has charged, whatever has become of the money since."""
TO_CUSTOMERS = {"refund", "chargeback", "payout"}
CLOCKS_APART = timedelta(minutes=5)
"""How far the sandbox's clock may be from ours."""
PAID_OUT = {"paid", "sentBack"}


class Checks:
    """Compares what the system says in the end with what it must say. `play.wrong` grows by each disagreement."""

    def __init__(self, client: Client, play: Play, at_once: int) -> None:
        self._client = client
        self._play = play
        self._gate = asyncio.Semaphore(at_once)
        self._came_in: Counter[tuple[str, str]] = Counter()
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
            + 2 * len(model.deposits)
            + len(self._play.season.players)
        )

    async def check(self, done: Callable[[], None]) -> None:
        """First wait until nothing is under way any more, then compare."""
        model = self._play.model
        await self._each(self._bet_is_decided, model.bets, done)
        await self._each(self._settlement_is_done, model.settlements, done)
        await self._each(self._withdrawal_has_ended, model.withdrawals, done)
        await self._each(self._deposit_is_known, model.deposits, done)
        await self._learn_movements()
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
        bet = self._play.model.bets[name]
        if bet.status == "delayed":
            await self._play.bet_decided(name, bet)

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
        if withdrawal.status != "refused":
            await self._play.withdrawal_ended(name, withdrawal)

    async def _deposit_is_known(self, name: str) -> None:
        """What the provider has told of a charge is heard: the money is where it said."""
        deposit = self._play.model.deposits[name]
        if deposit.status not in CHARGED:
            return
        status = ""

        async def look() -> bool:
            nonlocal status
            status = (await self._client.ask(f"DepositFollowUp/{self._play.id(name)}/status")).body["status"]
            return bool(status == deposit.status)

        self._expect(await eventually(look), f"{name}: {status}, not {deposit.status}")

    async def _learn_movements(self) -> None:
        """What has come to the house at the provider under each reference of the season, there and back."""
        for what in ("charges", "payouts"):
            for moved in await self._client.movements(what, self._play.started - CLOCKS_APART):
                sign = -1 if moved["kind"] in TO_CUSTOMERS else 1
                self._came_in[what, moved["reference"]] += sign * moved["amount"]

    async def _bet_agrees(self, name: str) -> None:
        bet = self._play.model.bets[name]
        told = await self._play.bet(name, bet)
        self._learn_deductions(name, bet, told)
        returned = self._play.model.returned(bet)
        status = "settled" if bet.status == "open" and returned is not None else bet.status
        agrees = told["status"] == status and (status == "refused" or told["returned"] == returned)
        self._expect(agrees, f"{name}: {status} with {returned}, not {told}")

    def _learn_deductions(self, name: str, bet: Bet, told: Mapping[str, Any]) -> None:
        """What withdrawals take off a bet: for one struck during a withdrawal, it is what the bet shows.

        That has to be what it is for a bet struck just before, or just after.
        """
        model = self._play.model
        for leg, shown in zip(bet.legs, told["legs"], strict=True):
            may_be, outcome = model.deductions(leg, bet.struck), model.outcome(leg)
            leg.later = may_be[0]
            if len(may_be) > 1 and outcome is not None and shown["outcome"] is not None:
                fitting = [later for later in may_be if deducted(outcome, later) == shown["outcome"]["deduction"]]
                self._expect(bool(fitting), f"{name}: {may_be} off {leg.selection} of {leg.market}, not {shown}")
                leg.later = fitting[0] if fitting else leg.later

    async def _charge_agrees(self, name: str) -> None:
        deposit = self._play.model.deposits[name]
        charges = [charge["amount"] for charge in await self._client.moved("charges", self._play.id(name))]
        wanted = [deposit.amount] if deposit.status in CHARGED else []
        self._expect(charges == wanted, f"{name}: {deposit.status}, and charged {charges}")
        came, should = self._came_in["charges", self._play.id(name)], deposit.amount * (deposit.status == "credited")
        self._expect(came == should, f"{name}: {deposit.status}, and the provider has {came}, not {should}")

    async def _payout_agrees(self, name: str) -> None:
        withdrawal = self._play.model.withdrawals[name]
        payouts = [payout["amount"] for payout in await self._client.moved("payouts", self._play.id(name))]
        wanted = [withdrawal.amount] if withdrawal.status in PAID_OUT else []
        self._expect(payouts == wanted, f"{name}: {withdrawal.status}, and paid out {payouts}")
        came, should = self._came_in["payouts", self._play.id(name)], -withdrawal.amount * (withdrawal.status == "paid")
        self._expect(came == should, f"{name}: {withdrawal.status}, and the provider has {came}, not {should}")

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

    def _currency(self, player: str) -> str | None:
        return self._play.season.currencies.get(player)

    def _expect(self, holds: bool, otherwise: str) -> None:
        self._play.expect(holds, otherwise)
