"""A running system and its books, as the bookkeeper and an operator see them."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from app.bookkeeper.books import Books
from app.bookkeeper.restate import Restate
from app.domain.player import Player
from app.domain.wallet import Account, Wallet
from tests.running import System

TWO = {"selections": [{"selectionId": name, "name": name, "price": "2.00"} for name in ("home", "away")]}
HOME_WON = {"home": {"result": "won"}, "away": {"result": "lost"}}

_POSTED = {"postings": {"provider": -5, "cash": 5}}
_ENTRY = {"seq": 1, "at": "2026-01-01T00:00:00Z", "kind": "deposit", "reference": "d", "walletId": "w"}
_BROKEN = {
    "wallets": {"w": {"currency": "EUR", "accounts": {}}},
    "entries": [
        *({name: value for name, value in _ENTRY.items() if name != left_out} | _POSTED for left_out in _ENTRY),
        {**_ENTRY, **_POSTED, "at": "2026-99-01T00:00:00Z"},
        {**_ENTRY, **_POSTED, "at": "2026-01-01T00:00:00"},
    ],
    "deposits": {"d": {"status": "reserved", "reservedAt": ""}},
    "withdrawals": {"w": {"status": "held", "heldAt": "2026-01-01T00:00:00"}},
    "bets": {"b": {"status": "pending", "placedAt": "2026-99"}, "c": {"status": "open", "legs": "x"}},
}
BROKEN = {
    "broken-1": "[]",
    "broken-2": json.dumps({"userId": "broken-2", **_BROKEN}),
    "broken-3": '{"userId":"broken-3","deposits":"reserved","withdrawals":["held"],"bets":"open","entries":{"at":1}}',
    "broken-4": '{"userId":"broken-4","bets":{"b":{"status":"open","legs":[{"marketId"',
}
"""Documents of players that cannot be read, each in another way, with words that a look searches for."""

EVERYBODY = 1_000
UNFINISHED = """
select id from sys_invocation_status
where target_service_name = '{service}' and target_service_key = '{key}' and status <> 'completed'"""


async def looks(restate: Restate, sample: int, times: int) -> list[Books]:
    """Look so many times."""
    async with restate:
        return [await restate.look(sample) for _ in range(times)]


@dataclass(frozen=True)
class Kept:
    """A system, looked at by a bookkeeper."""

    system: System

    def look(self, sample: int = EVERYBODY, charge_wait: float = 0, place: int = 0) -> Books:
        """Look once."""
        restate = Restate(self.system.admin, self.system.ingress, timedelta(seconds=charge_wait), place)
        [books] = asyncio.run(looks(restate, sample, 1))
        return books

    def look_again(self, times: int, sample: int) -> list[Books]:
        """Look several times, each time at other players."""
        return asyncio.run(looks(Restate(self.system.admin, self.system.ingress, timedelta(0), 0), sample, times))

    def deposit(self, user: str, amount: int = 1_000, **more: str) -> str:
        """Ask for a deposit into the wallet `w`, and tell its status."""
        request = {"walletId": "w", "userId": user, "email": "a@example.com", "amount": amount}
        answer = self.system.call("PaymentService", "deposit", {"paymentMethod": "creditCard", **request, **more})
        status: str = answer.json()["status"]
        return status

    def accepted(self, service: str, handler: str, body: object = None, key: str | None = None) -> Mapping[str, Any]:
        """Call a handler that must not refuse."""
        answer = self.system.call(service, handler, body, key)
        assert answer.is_success, answer.text
        told: Mapping[str, Any] = answer.json()
        return told

    @contextmanager
    def stored(self, service: str, key: str, state: Mapping[str, str]) -> Iterator[None]:
        """Put this in the place of what is stored, as an operator's mistake would, and back in the end."""
        before = self.system.state(service, key)
        self.system.plant(service, key, {name: value.encode() for name, value in state.items()})
        try:
            yield
        finally:
            self.system.plant(service, key, before)

    @contextmanager
    def player(self, player: Player) -> Iterator[None]:
        """For a while, this is stored of a player."""
        with self.stored("PlayerService", player.user_id, {"player": player.model_dump_json()}):
            yield

    @contextmanager
    def broken(self) -> Iterator[None]:
        """For a while, there are players whose documents cannot be read."""
        with ExitStack() as stack:
            for player, document in BROKEN.items():
                stack.enter_context(self.stored("PlayerService", player, {"player": document}))
            yield

    def kill(self, service: str, key: str) -> None:
        """End what is under way at this object."""
        for running in self.system.query(UNFINISHED.format(service=service, key=key)):
            answer = httpx.patch(f"{self.system.admin}/invocations/{running['id']}/kill", trust_env=False)
            assert answer.is_success or answer.status_code == httpx.codes.NOT_FOUND, (
                answer.text
            )  # it may just have ended

    def ended(self, service: str, key: str) -> bool:
        """End what is under way at this object, and tell whether nothing is."""
        self.kill(service, key)
        return not self.system.query(UNFINISHED.format(service=service, key=key))


def player_with(accounts: Mapping[Account, int], moved: Mapping[Account, int], user: str = "planted") -> Player:
    """A player whose wallet holds one thing and whose movements sum to another."""
    wallet = Wallet(currency="EUR", accounts=dict(accounts))
    return Player(user_id=user, wallets={"w": wallet}, carried={"w": dict(moved)})


def open_market(kept: Kept, market: str) -> None:
    kept.accepted("MarketService", "open", {"name": market, **TWO}, key=market)


def bet(kept: Kept, user: str, market: str, selection: str, number: int = 1, stake: int = 10) -> None:
    leg = {"marketId": market, "selectionId": selection, "price": "2.00"}
    request = {"betId": f"{market}-{number}", "walletId": "w", "stake": stake, "legs": [leg]}
    kept.accepted("PlayerService", "placeBet", request, key=user)


def settle(kept: Kept, market: str, version: int, outcomes: Mapping[str, Any]) -> None:
    kept.accepted("MarketService", "settle", {"version": version, "outcomes": outcomes}, key=market)
