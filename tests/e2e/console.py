"""The console blocks of a page, run on the cluster as a reader types them: one shell, in the root of the repository."""

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.running import COMMAND_SECONDS, ROOT, images, run, until
from tests.helpers.console import Example, blocks, masked
from tests.helpers.ports import free_port

SHOWN_SECONDS = 300
"""Until a command that only looks shows what a page says: a version is retired once the next has been watched."""
OF_THE_PAGES = "betting.local/betting"
DONE = "=done="
DONE_LINE = re.compile(rb"%s (\d+)\n" % DONE.encode())
ONLY_LOOKS = re.compile(r"^(release (status|why)|kubectl get) ?[^-]*$")


class Terminal:
    """A shell that keeps what was defined in it. `kubectl` and `helm` are about one namespace."""

    def __init__(self, namespace: str, folder: Path) -> None:
        """Make a kubeconfig of its own, in which this namespace is the current one."""
        config = folder / "kubeconfig"
        config.write_text(run("kubectl", "config", "view", "--raw"))
        config.chmod(0o600)
        run("kubectl", f"--kubeconfig={config}", "config", "set-context", "--current", f"--namespace={namespace}")
        self._ports: dict[str, int] = {}
        self._shell = subprocess.Popen(
            ["bash", "-O", "expand_aliases"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"KUBECONFIG": str(config), "NO_PROXY": "*"},
            cwd=ROOT,
            start_new_session=True,
        )

    def type(self, command: str) -> str:
        """What a command prints; it has to succeed. A port here that a page names is another one, which is free."""
        typed = self._with_free_ports(command)
        said, code = self._typed(typed)
        assert code == 0, f"$ {typed}\n{said}\nexit code {code}"
        if forwarded := re.search(r"port-forward \S+ (\d+)(?::\d+)? &$", typed):
            until(lambda: self._listens(int(forwarded[1])), typed)
        return said

    def follow(self, example: Example, seconds: float = SHOWN_SECONDS) -> str:
        """Type what a page says, and see what it says; a command that only looks is repeated until it shows that."""
        end = time.monotonic() + seconds
        while True:
            try:
                said = self.type(example.command)
                missing = lacks(said, example.output)
                assert not missing, f"$ {example.command}\n{said}\nhas no line {missing}"
            except AssertionError:
                if time.monotonic() > end or not ONLY_LOOKS.search(example.command):
                    raise
                time.sleep(1)
            else:
                return said

    def _typed(self, command: str) -> tuple[str, int]:
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{command}\necho {DONE} $?\n".encode())
        self._shell.stdin.flush()
        return self._until_done(command)

    def _until_done(self, command: str) -> tuple[str, int]:
        assert self._shell.stdout is not None
        said, end = b"", time.monotonic() + COMMAND_SECONDS
        with selectors.DefaultSelector() as ready:
            ready.register(self._shell.stdout, selectors.EVENT_READ)
            while not (done := DONE_LINE.search(said)):  # what is in the background may go on to speak
                assert ready.select(end - time.monotonic()), f"$ {command}\n{said.decode()}\nand does not end"
                said += os.read(self._shell.stdout.fileno(), 65_536)
        return said[: done.start()].decode(), int(done[1])

    def _with_free_ports(self, command: str) -> str:
        command = re.sub(r"(port-forward \S+) (\d+)(?::(\d+))?", self._forwarded, command)
        return re.sub(r"(localhost):(\d+)", lambda m: f"{m[1]}:{self._ports.get(m[2], m[2])}", command)

    def _forwarded(self, found: re.Match[str]) -> str:
        what, here, there = found.groups()
        self._ports[here] = free_port()
        return f"{what} {self._ports[here]}:{there or here}"

    def _listens(self, port: int) -> bool:
        return subprocess.run(["bash", "-c", f"exec 3<> /dev/tcp/127.0.0.1/{port}"], check=False).returncode == 0

    def close(self) -> None:
        """End it, and what it has in the background."""
        os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.wait()
        for pipe in (self._shell.stdin, self._shell.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def terminal(namespace: str, folder: Path) -> Iterator[Terminal]:
    """A shell about a namespace, until the end of the step."""
    opened = Terminal(namespace, folder)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def reader_of_a_page(namespace: str, folder: Path) -> Iterator[Terminal]:
    """A shell about a namespace that a page makes, which is gone before and after; skips where its images are not."""
    given = images()
    if {given["v1"], given["v2"]} != {f"{OF_THE_PAGES}:v1", f"{OF_THE_PAGES}:v2"}:
        pytest.skip(f"NO IMAGES OF THE PAGE: it names {OF_THE_PAGES}:v1 and :v2")
    run("kubectl", "delete", "namespace", namespace, "--ignore-not-found", "--wait")
    with terminal(namespace, folder) as shell:
        yield shell
    run("kubectl", "delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def marked(page: str, step: str) -> list[Example]:
    """The commands of a page that name this step, with what the page says that they print."""
    found = [block for block in blocks((ROOT / page).read_text()) if block.on_a_cluster == step]
    assert found, f"{page} has nothing for {step}"
    return [example for block in found for example in block.examples()]


def as_read(text: str) -> list[str]:
    """The lines of an output, as somebody reads them: without frames, and without what is another each time."""
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    lines = (" | ".join(cell.strip() for cell in re.split("[│┃|]", line)).strip(" |") for line in masked(text, True))
    plain = [re.sub(r"\s+", " ", line) for line in lines if re.search(r"\w|[{}]", line)]
    return [IN_FLIGHT.sub("| <in flight> |", ASKED.sub("| - | - | <number> | drained", line)) for line in plain]


VARIES = (
    (r"\binv_\w+", "<invocation>"),
    (r"\bRWO +\S+", "RWO <class>"),
    (r"\b\d+(ms|s|m|h)\b", "<age>"),
)
IN_FLIGHT = re.compile(r"\| (-|<number> invoked) \| (-|<age>) \|(?= <number> \| live$)")
"""What a version does that serves: the bookkeeper asks it now and then, too."""


ASKED = re.compile(r"\| <number> invoked \| <age> \| <number> \| draining$")
"""A version that is drained, while the bookkeeper asks it."""
BY_WHOEVER = re.compile(r"^(<number>:){2}<number> \w+ v\d: ")
"""A step that the command takes, or the release loop a moment before it."""


def lacks(seen: str, expected: str) -> list[str]:
    """The lines that a page says and that are not there, in this order; other lines may be between."""
    there = iter(as_read(seen))
    wanted = [line for line in as_read(expected) if line != "..." and not BY_WHOEVER.match(line)]
    return [line for line in wanted if line not in there]
