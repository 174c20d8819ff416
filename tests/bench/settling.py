"""Settlement of a market with many bets of distinct players: quiet, killed in the middle, and beside other bets."""

import asyncio
import os
import random
import signal
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.bench.bets import bet, names
from tests.bench.costs import Meter
from tests.bench.measuring import ask, fresh, no_op, one_round
from tests.bench.planting import Planted, market_with_bets, plant, rich_player, with_open_bet
from tests.running import System

CLIENTS = 64
FLOOR_REQUESTS = 3_000
OTHER_BETS_A_SECOND = 20
LOOK_SECONDS = 0.2
POLITE_RETRY_SECONDS = 0.2
SAMPLE = 200


@dataclass(frozen=True)
class Settled:
    """How a settlement went; memory in MiB is the most that a process had."""

    bets: int
    killed: bool
    per_second: float
    rate_to_floor: float
    other_bets_p50_ms: float
    other_bets_p99_ms: float
    service_mib: int
    restate_mib: int


def players_with_bets(market_id: str, many: int) -> Iterator[Planted]:
    """A market, and so many players who each have one bet on it."""
    users = [f"{market_id}-{number}" for number in range(many)]
    for user_id in users:
        yield "PlayerService", user_id, {"player": with_open_bet(rich_player(user_id), "b", market_id)}
    yield from market_with_bets(market_id, ((user_id, "b") for user_id in users))


async def settle(system: System, many: int, kill: bool) -> Settled:
    """Settle so many bets, while others bet elsewhere; ends only when every bet is settled once."""
    market_id, elsewhere = f"big-{fresh()}", f"small-{fresh()}"
    others = names("o", 64)
    planted = list(market_with_bets(elsewhere, []))
    planted += [("PlayerService", user_id, {"player": rich_player(user_id)}) for user_id in others]
    await plant(system.admin, planted)
    await plant(system.admin, players_with_bets(market_id, many))
    async with aiohttp.ClientSession(
        system.ingress,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=["Content-Type"],
    ) as client:
        floor = (await one_round(client, no_op, CLIENTS, FLOOR_REQUESTS, Meter(system, {}))).rate
        peaks = {"service": 0, "restate": 0}
        latencies: list[float] = []
        done = asyncio.Event()
        beside = asyncio.create_task(_bet_elsewhere(client, others, elsewhere, latencies, done))
        started = time.perf_counter()
        outcomes = {"home": {"result": "won"}, "away": {"result": "lost"}}
        await ask(client, f"MarketService/{market_id}/settle", {"version": 1, "outcomes": outcomes})
        await _until_done(system, client, market_id, many, kill, peaks)
        took = time.perf_counter() - started
        done.set()
        await beside
        await _check_players(client, market_id, many)
    quantiles = statistics.quantiles(latencies, n=100)
    return Settled(
        many, kill, many / took, many / took / floor, quantiles[49], quantiles[98], peaks["service"], peaks["restate"]
    )


async def _until_done(
    system: System, client: aiohttp.ClientSession, market_id: str, many: int, kill: bool, peaks: dict[str, int]
) -> None:
    to_kill = ["service", "restate"] if kill else []
    with Progress(console=Console(stderr=True)) as shown:
        work = shown.add_task(f"settling {many:,}", total=many)
        while True:
            progress = await _progress(client, market_id)
            shown.update(work, completed=progress["settled"])
            for name in peaks:
                peaks[name] = max(peaks[name], _resident_mib(system.facts()["pids"][name]))
            if progress["done"]:
                assert (progress["settled"], progress["paid"]) == (many, 20 * many), progress
                return
            if to_kill and progress["settled"] > many * (3 - len(to_kill)) / 4:
                os.kill(system.facts()["pids"][to_kill.pop(0)], signal.SIGKILL)
            await asyncio.sleep(LOOK_SECONDS)


async def _check_players(client: aiohttp.ClientSession, market_id: str, many: int) -> None:
    """A sample of the players has been paid once, and their books are balanced."""
    for number in random.sample(range(many), k=min(many, SAMPLE)):
        async with client.post(f"/PlayerService/{market_id}-{number}/audit") as answer:
            audit = await answer.json()
        assert audit["balanced"], audit
        assert audit["wallets"]["w"]["cash"] == 10**8 + 10, audit


async def _progress(client: aiohttp.ClientSession, market_id: str) -> dict[str, int]:
    while True:
        try:
            async with client.post(f"/SettlementWorkflow/{market_id}:1/progress") as answer:
                if answer.status == 200:
                    found: dict[str, int] = await answer.json()
                    return found
        except aiohttp.ClientError:
            pass  # restate-server was killed, and is on its way back
        await asyncio.sleep(POLITE_RETRY_SECONDS)


async def _bet_elsewhere(
    client: aiohttp.ClientSession, players: list[str], market_id: str, latencies: list[float], done: asyncio.Event
) -> None:
    """A steady trickle of bets on another market, each started when it is due, however long the last one took."""

    async def one() -> None:
        path, body, *_ = bet(players, [market_id])
        began = time.perf_counter()
        while True:
            try:
                await ask(client, path, body)
                break
            except (aiohttp.ClientError, click.ClickException):  # something was killed, and is on its way back
                await asyncio.sleep(POLITE_RETRY_SECONDS)
        latencies.append((time.perf_counter() - began) * 1000)

    async with asyncio.TaskGroup() as group:
        while not done.is_set():
            group.create_task(one())
            await asyncio.sleep(1 / OTHER_BETS_A_SECOND)


def _resident_mib(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
    except FileNotFoundError:
        return 0


def table(results: list[Settled]) -> Table:
    """What was measured, for people."""
    shown = Table("settlement of", "killed", title="settlement, while others bet elsewhere")
    for name in ("a second", "rate x", "others' p50 ms", "others' p99 ms", "service MiB", "restate MiB"):
        shown.add_column(name, justify="right")
    for one in results:
        shown.add_row(
            f"{one.bets:,} bets",
            "service, then restate" if one.killed else "nothing",
            f"{one.per_second:.0f}",
            f"{one.rate_to_floor:.2f}",
            f"{one.other_bets_p50_ms:.0f}",
            f"{one.other_bets_p99_ms:.0f}",
            str(one.service_mib),
            str(one.restate_mib),
        )
    return shown
