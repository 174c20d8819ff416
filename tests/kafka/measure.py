"""Measure the feed from a real broker beside a no-op invocation, and what a dead broker costs a read.

python -m tests.kafka.measure [--rounds 3]
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import aiohttp
import click
import httpx
from confluent_kafka.cimpl import NewTopic

from tests.bench.__main__ import compared
from tests.bench.costs import Meter
from tests.bench.measuring import no_op, one_round
from tests.helpers.topics import Topic
from tests.kafka.broker import Broker, broker
from tests.kafka.traffic import Match, producer
from tests.running import System, running

CLIENTS, REQUESTS = 64, 640
RECORDS = {1: 1_000, 50: 1_500}
"""Records of a round, by the markets that they are of."""
PARTITIONS = 4
SUBSCRIPTIONS = (0, 1, 6)
READS = 200
SETTLING_SECONDS = 5
"""After the broker has died, before reads count."""


def floor(system: System, meter: Meter) -> tuple[float, float]:
    """No-op invocations a second, and CPU milliseconds of each."""

    async def once() -> tuple[float, float]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            system.ingress, connector=connector, skip_auto_headers=["Content-Type"]
        ) as client:
            done = await one_round(client, no_op, CLIENTS, REQUESTS, meter)
        return done.rate, sum(done.cost.cpu.values())

    return asyncio.run(once())


def applied(system: System, kafka: Broker, meter: Meter, markets: int) -> tuple[float, float]:
    """Records applied a second, from when the first is produced, and CPU milliseconds of each."""
    topic = Topic(system, kafka.servers, producer(kafka))
    kafka.admin.create_topics([NewTopic(topic.name, PARTITIONS, 1)])[topic.name].result()
    matches = [Match(system, topic) for _ in range(markets)]
    with topic.subscribed():
        for match in matches:
            match.opens()
        system.eventually(lambda: all(match.seen for match in matches))
        before, started = meter.read(), time.perf_counter()
        for number in range(RECORDS[markets]):
            matches[number % markets].rises()
        topic.flushes()
        for match in matches:
            system.eventually(lambda match=match: match.seen == (float(match.price), match.status), timeout=300)  # type: ignore[misc]
        seconds = time.perf_counter() - started
        cost = meter.read().since(before).a_request(RECORDS[markets], meter.idle, seconds)
    assert [match.counted for match in matches] == [match.sent for match in matches]
    return RECORDS[markets] / seconds, sum(cost.cpu.values())


def reads(system: System) -> Sequence[float]:
    """How long reads of an account take, one after the other, in milliseconds, ascending."""
    taken = []
    for _ in range(READS):
        started = time.perf_counter()
        system.call("PlayerService", "getAccount", key=f"u-{uuid4().hex}")
        taken.append((time.perf_counter() - started) * 1_000)
    return sorted(taken)


def dead(system: System, kafka: Broker) -> None:
    """What reads cost beside no, one and several subscriptions whose broker is dead, in one process of Restate."""
    topics = [Topic(system, kafka.servers, producer(kafka)) for _ in range(max(SUBSCRIPTIONS))]
    kafka.kill()
    subscribed: list[str] = []
    for count in SUBSCRIPTIONS:
        for topic in topics[len(subscribed) : count]:
            subscribed.append(topic.subscribe())
        time.sleep(SETTLING_SECONDS)
        taken = reads(system)
        click.echo(
            f"{count} subscriptions to a dead broker: a read's p50 {statistics.median(taken):.1f} ms, "
            f"p90 {taken[int(0.9 * READS)]:.0f} ms, p99 {taken[int(0.99 * READS)]:.0f} ms, {polls(system)}"
        )


def polls(system: System) -> str:
    """How long Restate's own threads were kept by what they do, on average."""
    text = httpx.get(f"{system.ports.url('node')}/metrics", trust_env=False).text
    values = [
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("restate_tokio_worker_mean_poll_time") and 'runtime="default"' in line
    ]
    return f"mean polls {', '.join(f'{value * 1_000:.2f}' for value in values)} ms"


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 100))
def main(rounds: int) -> None:
    """Rounds in turn, medians, and ratios to the no-op."""
    quiet = {"BETTING_BOOKS_SECONDS": "86400"}
    with (
        tempfile.TemporaryDirectory() as folder,
        broker(Path(folder) / "kafka") as kafka,
        running(Path(folder) / "system", environment=quiet) as system,
        compared(system) as other,
    ):
        meter = Meter(system, {"service": [other]}).watch_idle()
        done: dict[str, list[tuple[float, float]]] = {}
        for _ in range(rounds):
            done.setdefault("no-op", []).append(floor(system, meter))
            for markets in RECORDS:
                done.setdefault(f"{markets} markets", []).append(applied(system, kafka, meter, markets))
        least = statistics.median(rate for rate, _ in done["no-op"])
        for name, found in done.items():
            rate = statistics.median(rate for rate, _ in found)
            cpu = statistics.median(cpu for _, cpu in found)
            rates = ", ".join(f"{one:.0f}" for one, _ in found)
            click.echo(f"{name}: {rate:.0f} a second ({rates}), {rate / least:.3f} x, {cpu:.1f} ms of CPU each")
        dead(system, kafka)


if __name__ == "__main__":
    main()
