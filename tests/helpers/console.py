"""Console blocks of pages: their commands, and what the page says that they print."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

VARIES = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
    (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
)
NUMBERS = (r"-?\b\d+(\.\d+)?(e[+-]?\d+)?\b", "<number>")


@dataclass(frozen=True)
class Example:
    """A command, and what the page says that it prints."""

    line: int
    command: str
    output: str


@dataclass(frozen=True)
class Block:
    """A console block, with the comments before it."""

    line: int
    text: str
    not_run: str | None
    on_a_cluster: str | None
    """The step of tests/e2e that runs it."""
    first: str | None
    numbers_vary: bool

    def examples(self) -> Iterator[Example]:
        """Its commands, which may go over several lines, with their outputs."""
        lines = self.text.splitlines()
        assert lines[0].startswith("$ "), f"line {self.line + 1}: a console block begins with a command"
        at = 0
        while at < len(lines):
            begin, command = at, lines[at].removeprefix("$ ")
            while not complete(command):
                at += 1
                command += "\n" + lines[at]
            at += 1
            output = []
            while at < len(lines) and not lines[at].startswith("$ "):
                output.append(lines[at])
                at += 1
            yield Example(self.line + 1 + begin, command, "\n".join(output))


def complete(command: str) -> bool:
    """Whether the shell would not ask for another line."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")


def blocks(text: str) -> list[Block]:
    """The console blocks of a page."""
    found = []
    for match in re.finditer(r"((?:^<!--.*?-->\n)*)^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        comments, content = match.groups()
        said = dict(re.findall(r"<!-- (not run|on a cluster|first|numbers vary)(?:: (.*?))? -->", comments, re.DOTALL))
        line = text.count("\n", 0, match.start(2))
        found.append(
            Block(
                line, content, said.get("not run"), said.get("on a cluster"), said.get("first"), "numbers vary" in said
            )
        )
    return found


def masked(text: str, numbers_vary: bool) -> list[str]:
    """The lines of an output without what is another each time; JSON is spread over lines, for a diff one can read."""
    for pattern, name in (*VARIES, *([NUMBERS] if numbers_vary else [])):
        text = re.sub(pattern, name, text)
    lines = []
    for line in text.strip().splitlines():
        try:
            lines += json.dumps(json.loads(line), indent=1).splitlines()
        except ValueError:
            lines.append(line.rstrip())
    return lines


def agree(expected: list[str], seen: list[str]) -> bool:
    """Whether these are the expected lines; `...` stands for any number of lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in expected)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in seen)) is not None
