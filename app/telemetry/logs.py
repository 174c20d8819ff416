"""Logs: lines for people, or JSON with the ids of invocation and trace; never an address or a secret."""

import logging
import re
import sys
from collections.abc import Iterable
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

from app.telemetry.attempts import current

LogFormat = Literal["text", "json"]

_ADDRESS = re.compile(r"[^\s@<>\"'\\,;:=(){}\[\]]+@[^\s@<>\"'\\,;:=(){}\[\]]+")
HIDDEN = "[hidden]"


class _Discreet(logging.Formatter):
    """Wraps another formatter, and hides e-mail addresses and secrets, also inside tracebacks."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str]) -> None:
        super().__init__()
        self._inner = inner
        self._secrets = [secret for secret in secrets if secret]

    def format(self, record: logging.LogRecord) -> str:
        line = _ADDRESS.sub(HIDDEN, self._inner.format(record))
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return line


def _with_ids(record: logging.LogRecord) -> bool:
    attempt = current.get()
    if attempt is not None:
        record.invocation_id = attempt.invocation
        record.handler = f"{attempt.service}/{attempt.handler}"
        if attempt.span is not None:
            record.trace_id = f"{attempt.span.trace_id:032x}"
    return True


def log_to_stderr(how: LogFormat, secrets: Iterable[str], *filters: logging.Filter) -> None:
    """Write the records of all loggers to stderr, except those that a filter rejects."""
    text = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    json = JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Discreet(json if how == "json" else logging.Formatter(text), secrets))
    handler.addFilter(_with_ids)
    for one in filters:
        handler.addFilter(one)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would tell every request
