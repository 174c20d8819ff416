"""What a request costs: CPU time of each process, invocations and journal entries, whatever else the machine does."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.running import System

TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 3.0
"""For how long the processes are watched while nothing is asked of them."""
ENTRIES = "restate_usage_leader_journal_entry_count_total"
INVOCATION = "Command/Input"


@dataclass(frozen=True)
class Cost:
    """CPU time in milliseconds by process, invocations and journal entries."""

    cpu: Mapping[str, float]
    invocations: float
    entries: float

    def since(self, before: "Cost") -> "Cost":
        """What has been spent since an earlier reading."""
        cpu = {name: spent - before.cpu[name] for name, spent in self.cpu.items()}
        return Cost(cpu, self.invocations - before.invocations, self.entries - before.entries)

    def a_request(self, count: int, idle: Mapping[str, float], seconds: float) -> "Cost":
        """The cost of one request of `count`, without what the processes spend on nothing, in milliseconds a second."""
        cpu = {name: max(0.0, spent - idle.get(name, 0.0) * seconds) / count for name, spent in self.cpu.items()}
        return Cost(cpu, self.invocations / count, self.entries / count)


class Meter:
    """Reads what a system has spent so far. `more` are processes beside it, by name and id."""

    def __init__(self, system: System, more: Mapping[str, list[int]]) -> None:
        pids = system.facts()["pids"]
        self._pids = {name: [pids[name], *more.get(name, [])] for name in ("service", "restate", "sandbox")}
        self._pids |= {name: ids for name, ids in more.items() if name not in self._pids}
        self._metrics = f"{system.ports.url('node')}/metrics"
        self.idle: Mapping[str, float] = {}

    def watch_idle(self) -> Self:
        """Learn what the processes spend while nothing is asked of them."""
        before = self.read()
        time.sleep(IDLE_SECONDS)
        self.idle = {name: spent / IDLE_SECONDS for name, spent in self.read().since(before).cpu.items()}
        return self

    def read(self) -> Cost:
        """What has been spent so far."""
        entries = self._entries()
        cpu = {name: sum(map(_cpu_ms, pids)) for name, pids in self._pids.items()}
        return Cost(cpu, entries.get(INVOCATION, 0.0), sum(entries.values()))

    def _entries(self) -> Mapping[str, float]:
        text = httpx.get(self._metrics, trust_env=False).raise_for_status().text
        lines = "\n".join(line for line in text.splitlines() if line.startswith((ENTRIES, "# TYPE " + ENTRIES)))
        return {
            sample.labels["entry"]: sample.value
            for family in text_string_to_metric_families(lines + "\n")
            for sample in family.samples
        }


def _cpu_ms(pid: int) -> float:
    """The CPU time of a process and its threads so far (proc_pid_stat(5): utime and stime are fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS
