"""Restate's service protocol, as far as a replay needs it: a journal becomes a request, and its answer is read.

A message is a header of 8 bytes (type, flags, length) and a protobuf. The fields are those of the SDKs' shared core, in
versions 4 to 7 of the protocol.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

HEADER = struct.Struct(">HHI")
CONTENT_TYPE = "application/vnd.restate.invocation.v{version}"
JOURNAL_MISMATCH = 570
"""The code by which the SDK says that the code took another step than the journal has."""


class Kind(IntEnum):
    """The messages that tell how a replay ended; from COMMAND on, each is a step that the journal does not have."""

    START = 0x0000
    SUSPENSION = 0x0001
    ERROR = 0x0002
    END = 0x0003
    RUN_PROPOSAL = 0x0005
    COMMAND = 0x0400


_COMMANDS = MappingProxyType(
    {
        "Input": 0x0400,
        "Output": 0x0401,
        "GetLazyState": 0x0402,
        "SetState": 0x0403,
        "ClearState": 0x0404,
        "ClearAllState": 0x0405,
        "GetLazyStateKeys": 0x0406,
        "GetEagerState": 0x0407,
        "GetEagerStateKeys": 0x0408,
        "GetPromise": 0x0409,
        "PeekPromise": 0x040A,
        "CompletePromise": 0x040B,
        "Sleep": 0x040C,
        "Call": 0x040D,
        "OneWayCall": 0x040E,
        "SendSignal": 0x0410,
        "Run": 0x0411,
        "AttachInvocation": 0x0412,
        "GetInvocationOutput": 0x0413,
        "CompleteAwakeable": 0x0414,
    }
)
_NOTIFICATIONS = MappingProxyType(
    {name: 0x8000 | (code & 0x3FF) for name, code in _COMMANDS.items()} | {"CallInvocationId": 0x800E, "Signal": 0xFBFF}
)


class UnknownEntryError(Exception):
    """A journal has an entry of a kind that is not known here."""


@dataclass(frozen=True)
class Entry:
    """One entry of a journal."""

    type: str
    """As Restate's SQL calls it: `Command: Run`, `Notification: Run`."""
    raw: bytes


@dataclass(frozen=True)
class Failure:
    """What the SDK says of an attempt that failed."""

    code: int
    message: str
    command: str = ""
    """The step that it is about, as the code names it."""
    in_step: bool = False
    """Whether it happened within a step (`ctx.run`), which comes behind all that the journal has."""


def request(invocation: str, key: str, state: Mapping[bytes, bytes], journal: Iterable[Entry], seed: int) -> bytes:
    """The body that asks for an attempt on a journal. Raises UnknownEntryError."""
    entries = tuple(journal)
    start = b"".join(
        (
            _bytes(1, invocation.encode()),
            _bytes(2, invocation.encode()),
            _number(3, len(entries)),
            *(_bytes(4, _bytes(1, name) + _bytes(2, value)) for name, value in state.items()),
            _bytes(6, key.encode()),
            _number(9, seed),
        )
    )
    return _message(Kind.START, start) + b"".join(_message(_code(entry.type), entry.raw) for entry in entries)


def messages(received: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole messages among the bytes that have been received: type and content."""
    at = 0
    while at + HEADER.size <= len(received):
        kind, _, length = HEADER.unpack_from(received, at)
        if at + HEADER.size + length > len(received):
            return
        yield kind, received[at + HEADER.size : at + HEADER.size + length]
        at += HEADER.size + length


def failure(content: bytes) -> Failure:
    """Read an error message. Raises ValueError for what is none."""
    told = dict(_fields(content))
    in_step = told.get(6) == _COMMANDS["Run"]
    return Failure(_int(told.get(1, 0)), _text(told.get(2, b"")), _text(told.get(5, b"")), in_step)


def _code(entry_type: str) -> int:
    kind, _, name = entry_type.partition(": ")
    codes: Mapping[str, Mapping[str, int]] = {"Command": _COMMANDS, "Notification": _NOTIFICATIONS}
    if kind not in codes or name not in codes[kind]:
        raise UnknownEntryError(entry_type)
    return codes[kind][name]


def _message(kind: int, content: bytes) -> bytes:
    return HEADER.pack(kind, 0, len(content)) + content


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*written, value))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf: numbers and byte strings."""
    at = 0
    while at < len(content):
        tag, at = _read_varint(content, at)
        value, at = _read_varint(content, at)
        if tag & 7 == 0:
            yield tag >> 3, value
        elif tag & 7 == 2:
            yield tag >> 3, content[at : at + value]
            at += value
        else:
            raise ValueError("a field of a kind that no message here has")


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(content):
            raise ValueError("a message ends in the middle of a number")
        byte = content[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def _int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("a text where a number is expected")
    return value


def _text(value: int | bytes) -> str:
    if not isinstance(value, bytes):
        raise ValueError("a number where a text is expected")
    return value.decode(errors="replace")
