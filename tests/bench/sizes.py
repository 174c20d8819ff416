"""What a bet, a deposit and the rest cost in CPU and leave on disk: the constants of `betting capacity`.

After each phase restate-server is stopped and started again, which writes to disk what it had in memory. What RocksDB
has not compacted yet is on disk too, so the disk's numbers are rough; what is stored, counted by SQL, is exact.
"""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp
import httpx
from rich.table import Table

from app.capacity.constants import CONSTANTS, Basis
from tests.bench.bets import bet, names, through
from tests.bench.costs import Cost, Meter
from tests.bench.door import Door
from tests.bench.measuring import Request, ask, fresh, one_round
from tests.bench.payments import deposit
from tests.bench.planting import market_with_bets, plant, veterans
from tests.bench.settling import players_with_bets
from tests.running import System

CLIENTS = 16
VETERANS = 64
HISTORY = 1_000
"""Bets of a veteran before: its document has its final size then, and what it lets go of is what stays for ever."""
MARKETS = 64
BETS = 3_000
AT_THE_DOOR = 1_000
SETTLED = 2_000
DEPOSITS = 2_000
WITHDRAWALS = 1_500
PRICE_CHANGES = 300
READS = 1_000
ANSWERS = 5_000
LOOK_SECONDS = 0.2
LOG_RECORDS = "restate_bifrost_sequencer_committed_records_total"

SETTINGS = {"BETTING_DEFAULT_WEEKLY_DEPOSIT_LIMIT": "EUR=1000000000000"}
"""Veterans have deposited more than any limit that is not lifted."""

_STATE = """
select service_name as service, count(*) as n,
       sum(coalesce(octet_length(value_utf8), octet_length(encode(value, 'hex')) / 2)) as bytes
from state group by 1"""
_KEPT = """
select target_service_name as service, target_handler_name as handler, count(*) as n
from sys_invocation_status where status = 'completed' group by 1, 2"""
_JOURNALS = """
select i.target_service_name as service, i.target_handler_name as handler, count(*) as n,
       sum(octet_length(encode(j.raw, 'hex')) / 2) as bytes
from sys_journal j join sys_invocation_status i on i.id = j.id where i.status = 'completed' group by 1, 2"""


@dataclass(frozen=True)
class Kept:
    """What Restate keeps at a moment: bytes of state by service, what ended by handler, and bytes on disk."""

    state: Mapping[str, int]
    ended: Mapping[str, int]
    journals: Mapping[str, int]
    disk: Mapping[str, int]
    """By the first folder below that of the node: what is stored, and the log of what happened."""

    def since(self, before: "Kept") -> "Kept":
        """What came since an earlier look."""
        return Kept(
            _less(self.state, before.state),
            _less(self.ended, before.ended),
            _less(self.journals, before.journals),
            _less(self.disk, before.disk),
        )


def _less(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: after.get(name, 0) - before.get(name, 0) for name in sorted({*after, *before})}


@dataclass(frozen=True)
class Written:
    """What restate-server has given to the disk in bytes, and appended to its logs in records."""

    disk: int
    records: float


@dataclass
class Sizes:
    """What was measured: the constants by name, and what each phase left."""

    values: dict[str, float] = field(default_factory=dict)
    left: dict[str, Kept] = field(default_factory=dict)


class Sizing:
    """Measures one system, phase by phase."""

    def __init__(self, system: System, door: Door) -> None:
        self._system = system
        self._door = door
        self.sizes = Sizes()
        self._records: dict[str, float] = {}
        """Appended to the logs for all requests of a kind."""

    async def measured(self) -> Sizes:
        """All phases, one after the other."""
        players, markets = names("veteran", VETERANS), names("m", MARKETS)
        self._idle()
        before = self._flushed()
        await plant(self._system.admin, veterans(players, HISTORY))
        planted = self._flushed()
        self._player(planted.since(before))
        for market_id in markets:
            await plant(self._system.admin, market_with_bets(market_id, []))
        opened = self._flushed()
        self.sizes.values["market_bytes"] = sum(opened.since(planted).state.values()) / MARKETS
        await self._bets(players, markets, opened)
        await self._settling()
        await self._deposits(players)
        await self._withdrawals(players)
        await self._price_changes()
        await self._answers_kept()
        await self._reads(players)
        self._factor(before, self._flushed())
        self._memory()
        return self.sizes

    def _idle(self) -> None:
        idle = self._meter().idle
        for name, constant in (
            ("service", "idle_service_ms"),
            ("restate", "idle_restate_ms"),
            ("edge", "idle_door_ms"),
        ):
            self.sizes.values[constant] = idle[name]

    def _player(self, left: Kept) -> None:
        self.sizes.left["a veteran"] = left
        self.sizes.values["player_bytes"] = sum(left.state.values()) / VETERANS

    async def _bets(self, players: Sequence[str], markets: Sequence[str], before: Kept) -> None:
        place = partial(bet, players, markets)
        await self._costs("bet", place, BETS)
        at_door = await self._round(through(self._door, place), AT_THE_DOOR)
        self.sizes.values["request_door_ms"] = at_door.cpu["edge"]
        async with self._client() as client:
            for market_id in markets:
                await self._settle(client, market_id)
        left = self._flushed().since(before)
        self._left("bet", left, with_warm(BETS) + with_warm(AT_THE_DOOR))

    async def _settling(self) -> None:
        market_id = f"big-{fresh()}"
        await plant(self._system.admin, players_with_bets(market_id, SETTLED))
        self._flushed()
        meter = self._meter()
        async with self._client() as client:
            started, before, written = asyncio.get_running_loop().time(), meter.read(), self._written()
            await self._settle(client, market_id)
            await asyncio.sleep(1)
            self._wrote("settlement", written, SETTLED)
            seconds = asyncio.get_running_loop().time() - started
            self._cpu("settlement", meter.read().since(before).a_request(SETTLED, meter.idle, seconds).cpu)

    async def _deposits(self, players: Sequence[str]) -> None:
        before = self._flushed()
        await self._costs("deposit", lambda: self._of(players, deposit()), DEPOSITS)
        left = self._flushed().since(before)
        self.sizes.values["follow_up_bytes"] = left.state["DepositFollowUp"] / with_warm(DEPOSITS)
        # Of a phase in which all that was asked is counted; Restate's own counter of bytes says what it guesses.
        self.sizes.values["record_bytes"] = left.disk["log-store"] / self._records["deposit"]
        self.sizes.values["deposit_journal_bytes"] = sum(left.journals.values()) / with_warm(DEPOSITS)
        self._left("deposit", left, with_warm(DEPOSITS), without=("DepositFollowUp",))

    async def _withdrawals(self, players: Sequence[str]) -> None:
        before = self._flushed()

        def withdraw() -> Request:
            name, user = fresh(), random.choice(players)
            body: dict[str, object] = {"walletId": "w", "userId": user, "amount": 100, "destination": "bank"}
            return "PaymentService/withdraw", {**body, "withdrawalId": name}

        await self._costs("withdrawal", withdraw, WITHDRAWALS)
        left = self._flushed().since(before)
        count = with_warm(WITHDRAWALS)
        self.sizes.values["withdrawal_journal_bytes"] = left.journals["PaymentService/withdraw"] / count
        self.sizes.values["workflow_journal_bytes"] = left.journals["WithdrawalWorkflow/run"] / count
        self._left("withdrawal", left, count)

    async def _price_changes(self) -> None:
        in_use = names("priced", MARKETS)
        for market_id in in_use:
            await plant(self._system.admin, market_with_bets(market_id, []))

        def change(markets: Sequence[str]) -> Request:
            body: dict[str, object] = {"prices": {"home": random.choice(["2.10", "2.20", "2.30"])}}
            return f"MarketService/{random.choice(markets)}/setPrices", body

        await self._costs("price_change", partial(change, in_use), PRICE_CHANGES)

    async def _answers_kept(self) -> None:
        """What an answer takes on disk that is kept without a journal: of something that changes nothing else."""
        markets = names("open", MARKETS)
        await plant(self._system.admin, (next(market_with_bets(market_id, [])) for market_id in markets))
        before = self._flushed()
        await self._round(lambda: (f"MarketService/{random.choice(markets)}/resume", None), ANSWERS)
        left = self._flushed().since(before)
        self.sizes.left["answer"] = left
        assert left.ended["MarketService/resume"] == with_warm(ANSWERS), left.ended
        self.sizes.values["answer_bytes"] = left.disk["db"] / with_warm(ANSWERS)

    def _factor(self, before: Kept, after: Kept) -> None:
        left = after.since(before)
        self.sizes.left["all of it"] = left
        stored = sum(left.state.values()) + sum(left.journals.values())
        rows = sum(left.ended.values()) * self.sizes.values["answer_bytes"]
        self.sizes.values["disk_factor"] = (left.disk["db"] - rows) / stored
        self.sizes.values["node_bytes"] = sum(before.disk.values())

    async def _reads(self, players: Sequence[str]) -> None:
        def read() -> Request:
            return f"PlayerService/{random.choice(players)}/getAccount", None

        await self._costs("read", read, READS)

    def _memory(self) -> None:
        pids = self._system.facts()["pids"]
        self.sizes.values["service_memory_bytes"] = _resident(pids["service"])
        self.sizes.values["door_memory_bytes"] = _resident(self._door.pid)

    @staticmethod
    def _of(players: Sequence[str], request: Request) -> Request:
        path, body, *_ = request
        assert body is not None
        return path, {**body, "userId": random.choice(players)}

    async def _costs(self, what: str, flow: Callable[[], Request], count: int) -> None:
        """A round of requests: what it takes of the CPUs, and what restate-server writes."""
        written = self._written()
        self._cpu(what, (await self._round(flow, count)).cpu)
        self._wrote(what, written, with_warm(count))

    def _wrote(self, what: str, before: "Written", count: int) -> None:
        after = self._written()
        self.sizes.values[f"{what}_written_bytes"] = (after.disk - before.disk) / count
        self._records[what] = after.records - before.records

    def _written(self) -> "Written":
        """What restate-server has given to the disk since it was started, and appended to its logs."""
        lines = Path(f"/proc/{self._system.facts()['pids']['restate']}/io").read_text().splitlines()
        text = httpx.get(f"{self._system.ports.url('node')}/metrics", trust_env=False).raise_for_status().text
        records = [
            line.split()[-1] for line in text.splitlines() if line.startswith((f"{LOG_RECORDS} ", f"{LOG_RECORDS}{{"))
        ]
        written = int(dict(line.split(": ") for line in lines)["write_bytes"])
        return Written(written, sum(map(float, records)))

    def _cpu(self, what: str, cpu: Mapping[str, float]) -> None:
        self.sizes.values |= {f"{what}_service_ms": cpu["service"], f"{what}_restate_ms": cpu["restate"]}

    def _left(self, what: str, left: Kept, count: int, without: Sequence[str] = ()) -> None:
        self.sizes.left[what] = left
        state = sum(size for name, size in left.state.items() if name not in without)
        self.sizes.values[f"{what}_bytes"] = state / count

    async def _round(self, flow: Callable[[], Request], count: int) -> Cost:
        meter = self._meter()
        async with self._client() as client:
            await one_round(client, flow, CLIENTS, with_warm(count) - count, meter)
            return (await one_round(client, flow, CLIENTS, count, meter)).cost

    async def _settle(self, client: aiohttp.ClientSession, market_id: str) -> None:
        outcomes = {"home": {"result": "won"}, "away": {"result": "lost"}}
        await ask(client, f"MarketService/{market_id}/settle", {"version": 1, "outcomes": outcomes})
        done = False
        while not done:
            await asyncio.sleep(LOOK_SECONDS)
            async with client.post(f"/SettlementWorkflow/{market_id}:1/progress") as answer:
                done = answer.status == 200 and (await answer.json())["done"]

    def _client(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0)
        return aiohttp.ClientSession(self._system.ingress, connector=connector, skip_auto_headers=["Content-Type"])

    def _meter(self) -> Meter:
        return Meter(self._system, {"edge": [self._door.pid]}).watch_idle()

    def _flushed(self) -> Kept:
        self._system.kill("restate", signal.SIGTERM)
        self._system.eventually(self._answers)
        state = self._system.query(_STATE)
        node = self._system.folder / "state" / "restate" / "dev"
        return Kept(
            {row["service"]: row["bytes"] for row in state},
            _by_handler(self._system.query(_KEPT), "n"),
            _by_handler(self._system.query(_JOURNALS), "bytes"),
            {path.name: _taken(path) for path in node.iterdir() if path.is_dir()},
        )

    def _answers(self) -> bool:
        try:
            self._system.query("select count(*) from state")
            return self._system.call("PlayerService", "getAccount", key="nobody").is_success
        except httpx.HTTPError:
            return False


def with_warm(count: int) -> int:
    """All requests of a round, with those that go before and do not count."""
    return count + max(CLIENTS, count // 10)


def _by_handler(rows: Sequence[Mapping[str, object]], what: str) -> dict[str, int]:
    return {f"{row['service']}/{row['handler']}": int(str(row[what])) for row in rows}


def _taken(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.exists())


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def table(sizes: Sizes) -> Table:
    """What was measured, beside what the calculator has."""
    shown = Table("constant", title="constants of `betting capacity`")
    for name in ("measured now", "in the calculator"):
        shown.add_column(name, justify="right")
    shown.add_column("unit")
    for name, one in CONSTANTS.items():
        if one.basis is Basis.MEASURED:
            shown.add_row(name, f"{sizes.values[name]:,.4g}", f"{one.value:,.4g}", one.unit)
    return shown
