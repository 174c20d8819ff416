"""A real Apache Kafka: one broker, which is its own controller, as a process of this machine."""

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.dev.tether import tether
from tests.helpers.ports import free_port

POM = Path(__file__).with_name("pom.xml")
CACHE = Path(__file__).parents[2] / ".cache"
HOST = "127.0.0.1"
FETCH_SECONDS = 300
START_SECONDS = 120
STOP_SECONDS = 30
TOLD_LINES = 100
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"

JAVA = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=info")
"""A broker of a few small topics, which starts soon."""
CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
# After a kill, the controller takes the broker back as soon as it no longer waits for the one that was killed.
broker.heartbeat.interval.ms=200
broker.session.timeout.ms=1000
# A consumer that was killed gives its partitions up soon, and a new one gets some at once.
group.min.session.timeout.ms=1000
group.initial.rebalance.delay.ms=0
"""


class Broker:
    """A broker that can be killed and started again with what it has stored."""

    def __init__(self, folder: Path) -> None:
        self.port, self._controller_port = free_port(), free_port()
        self.servers = f"{HOST}:{self.port}"
        self.admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        self._folder = folder
        self._configuration = folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(
            CONFIGURATION.format(host=HOST, port=self.port, controller_port=self._controller_port, folder=folder)
        )
        self._run("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c").wait(START_SECONDS)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = self._run("kafka.Kafka")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(KafkaException):
                if self.admin.list_topics(timeout=1).brokers:
                    return
        told = "\n".join(self._output.read_text().splitlines()[-TOLD_LINES:])
        pytest.fail(f"Kafka did not become ready, its exit status is {self._process.poll()}:\n{told}")

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it in peace."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)

    def _run(self, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [java(), *JAVA, "-cp", f"{libraries()}/*", main, *arguments, str(self._configuration)]
        with self._output.open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=tether()
            )

    @property
    def _output(self) -> Path:
        return self._folder / "output"


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """Start a broker whose topics are in a folder, and stop it in the end."""
    started = Broker(folder)
    try:
        started.start()
        yield started
    finally:
        started.stop()


def java() -> str:
    """The Java to run; without one the test is skipped."""
    if (found := shutil.which("java")) is None:
        pytest.skip("NO JAVA: nothing is tested on a real Kafka, put java 17 or newer and mvn on the PATH")
    return found


def libraries() -> Path:
    """The folder with the jars of the pinned Kafka, fetched at first use; without Maven the test is skipped."""
    home = CACHE / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if not home.exists() and (problem := _fetch(home)):
        pytest.skip(f"NO KAFKA: nothing is tested on a real one, put mvn on the PATH ({problem})")
    return home


@cache
def _fetch(home: Path) -> str:
    """Copy the jars beside their final place, then move them; tell what went wrong, if anything."""
    if (maven := shutil.which("mvn")) is None:
        return "there is no mvn to fetch it"
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.resolve(), prefix="fetching-") as place:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={place}/jars"]
        command = [maven, "--batch-mode", "--quiet", "--file", str(POM), *goal]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
        if done.returncode != 0:
            return next((line for line in done.stdout.splitlines() if "ERROR" in line), "mvn failed")
        with suppress(OSError):  # another process was faster
            (Path(place) / "jars").rename(home)
    return ""
