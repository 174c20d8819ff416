"""One look at a system at rest: what it keeps, what its processes have, and what a request costs it now."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from app.bookkeeper.restate import Restate
from app.release.restate_admin import RestateAdmin
from tests.bench.costs import Meter
from tests.bench.measuring import Round, one_round
from tests.bench.payments import deposit
from tests.running import System
from tests.soak.regulars import Regulars
from tests.soak.seasons import Played
from tests.soak.verdict import May, for_each

MIB = 2**20
DEPOSITS = 100
SAMPLE = 20
OBSERVED = 5
"""How often the release loop's queries are asked in a look, of which the median counts."""

WORKFLOWS = {"WithdrawalWorkflow", "SettlementWorkflow"}
"""They answer about what ended up to 90 days ago; so long Restate keeps them."""

_INVOCATIONS = """
select status, target_service_name as service, count(*) as n from sys_invocation_status group by 1, 2"""
_COUNT = "select count(*) as n from {table}"
_PLAYERS = "select count(*) as n from state where service_name = 'PlayerService' and key = 'player'"


@dataclass(frozen=True)
class Look:
    """What was seen after a season, when nothing was under way any more. Times in milliseconds, if not said."""

    seconds: float
    """Since the soak began."""
    players: int
    disk: int
    """Bytes that the file system has given to restate-server's folder."""
    resident: Mapping[str, int]
    """Memory of each process in bytes."""
    unfinished: Mapping[str, int]
    """Invocations that have not ended, by status."""
    kept: Mapping[str, int]
    """Those that have, and that Restate keeps for a while, by service."""
    state: int
    inbox: int
    journal: int
    loop: float
    books: float
    bet: Round
    deposit: Round
    settling: float
    idle: Mapping[str, float]
    """CPU of each process while nothing is asked, in milliseconds a second."""
    season: Played


@dataclass(frozen=True)
class Measure:
    """A number that is judged, and how it is shown."""

    name: str
    unit: str
    of: Callable[[Look], float]
    may: May
    shown: str = "{:,.1f}"
    a_player: bool = False
    """It grows by design: judged is how much of it comes with each player."""

    def values(self, looks: Sequence[Look]) -> list[float]:
        """What is judged. The first look only says what was there before."""
        values = [self.of(look) for look in looks]
        return for_each(values, [look.players for look in looks]) if self.a_player else values[1:]


def _kept(look: Look, workflows: bool) -> int:
    return sum(n for service, n in look.kept.items() if (service in WORKFLOWS) == workflows)


def _designed(name: str, unit: str, of: Callable[[Look], float], may: May) -> Measure:
    return Measure(name, f"{unit} a player", of, may, "{:,.2f}", a_player=True)


def _cpu(name: str, of: Callable[[Look], float]) -> Measure:
    return Measure(name, "ms", of, May(0.15, 0.5))


def _usual(name: str, of: Callable[[Look], float]) -> Measure:
    return Measure(name, "ms", of, May(0.2, 1))


def _longest(name: str, of: Callable[[Look], float]) -> Measure:
    return Measure(name, "ms", of, May(0.5, 5))


ROWS, MEMORY = May(0.1, 20), May(0.15, 8)

MEASURES = (
    _designed("disk of restate-server", "KiB", lambda look: look.disk / 1024, May(0.25)),
    _designed("state", "rows", lambda look: look.state, May(0.05)),
    _designed("workflows, kept for 90 days", "rows", lambda look: _kept(look, True), May(0.1)),
    _designed("the bookkeeper's look", "ms", lambda look: look.books, May(0.3, 0.05)),
    Measure("answers kept", "rows", lambda look: _kept(look, False), ROWS, "{:,.0f}"),
    Measure("journals", "rows", lambda look: look.journal, ROWS, "{:,.0f}"),
    Measure("unfinished invocations", "rows", lambda look: sum(look.unfinished.values()), ROWS, "{:,.0f}"),
    Measure("inboxes", "rows", lambda look: look.inbox, ROWS, "{:,.0f}"),
    Measure("memory of the service", "MiB", lambda look: look.resident["service"] / MIB, MEMORY),
    Measure("memory of restate-server", "MiB", lambda look: look.resident["restate"] / MIB, MEMORY, "{:,.0f}"),
    Measure("the release loop's queries", "ms", lambda look: look.loop, May(0.3, 10)),
    _usual("bet, p50", lambda look: look.bet.p50),
    _longest("bet, p99", lambda look: look.bet.p99),
    _cpu("bet, CPU", lambda look: sum(look.bet.cost.cpu.values())),
    _usual("deposit, p50", lambda look: look.deposit.p50),
    _longest("deposit, p99", lambda look: look.deposit.p99),
    _cpu("deposit, CPU", lambda look: sum(look.deposit.cost.cpu.values())),
    _cpu("deposit, CPU of restate-server", lambda look: look.deposit.cost.cpu["restate"]),
    _usual("settlement, each bet", lambda look: look.settling),
    _longest("a season's bets, median", lambda look: look.season.bet),
    _longest("a season's deposits, median", lambda look: look.season.deposit),
    Measure("CPU while nothing is asked", "ms a s", lambda look: sum(look.idle.values()), May(0.3, 10)),
)


class Looker:
    """Looks at one system, again and again."""

    def __init__(
        self, system: System, client: aiohttp.ClientSession, regulars: Regulars, admin: RestateAdmin, books: Restate
    ) -> None:
        self._system = system
        self._client = client
        self._regulars = regulars
        self._admin = admin
        self._books = books
        self._started = time.monotonic()
        self._pids: Mapping[str, int] = system.facts()["pids"]

    def started_again(self) -> list[str]:
        """The processes that have ended since, and that others have taken the place of."""
        now = self._system.facts()["pids"]
        return [name for name, pid in self._pids.items() if now[name] != pid]

    async def look(self, season: Played) -> Look:
        """Measure what requests cost first: what is counted after that has them in it, in each look alike."""
        meter = Meter(self._system, {}).watch_idle()
        bet, settling = await self._regulars.bet(meter)
        paid_in = await one_round(self._client, deposit, 1, DEPOSITS, meter)
        books = await self._timed_books()
        query = self._system.query
        unfinished, kept = Counter[str](), Counter[str]()
        for row in query(_INVOCATIONS):
            if row["status"] == "completed":
                kept[row["service"]] += row["n"]
            else:
                unfinished[row["status"]] += row["n"]
        return Look(
            seconds=time.monotonic() - self._started,
            players=query(_PLAYERS)[0]["n"],
            disk=_disk(self._system.folder / "state" / "restate"),
            resident={name: _resident(pid) for name, pid in self._pids.items()},
            unfinished=unfinished,
            kept=kept,
            state=self._count("state"),
            inbox=self._count("sys_inbox"),
            journal=self._count("sys_journal"),
            loop=self._timed_loop(),
            books=books,
            bet=bet,
            deposit=paid_in,
            settling=settling,
            idle=meter.idle,
            season=season,
        )

    def _count(self, table: str) -> int:
        count: int = self._system.query(_COUNT.format(table=table))[0]["n"]
        return count

    def _timed_loop(self) -> float:
        """How long what the release loop asks every few seconds takes."""
        took = []
        for _ in range(OBSERVED):
            started = time.perf_counter()
            self._admin.observe()
            took.append((time.perf_counter() - started) * 1000)
        return sorted(took)[OBSERVED // 2]

    async def _timed_books(self) -> float:
        """How long the bookkeeper's look takes, which must find that all balances."""
        started = time.perf_counter()
        books = await self._books.look(SAMPLE)
        took = (time.perf_counter() - started) * 1000
        assert books.balanced, books.wrong
        return took


def _disk(folder: Path) -> int:
    """What the files of a folder take; some of them go while one looks."""
    taken = 0
    for path in folder.rglob("*"):
        try:
            taken += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return taken


def _resident(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
