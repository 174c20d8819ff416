"""How a running system makes itself known: to people, and to programs by a ready file."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.dev.folder import Folder
from app.dev.plan import System
from app.dev.ports import Ports

EDGE = ("edge", "edge_metrics")
ADDRESSES = ("ingress", "admin", "service", "sandbox", "metrics", "books")

DEPOSIT = """\
  curl {ingress}/PaymentService/deposit \\
    -H "Content-Type: application/json" \\{key}
    -d '{{
        "walletId": "exampleWalletId",
        "userId": "exampleUserId",
        "email": "example@example.com",
        "amount": 100,
        "paymentMethod": "creditCard"
    }}'
"""
DOOR = """
Through the door, at {edge}, with a token:

  curl -X POST {edge}/PlayerService/exampleUserId/getAccount \\
    -H "Authorization: Bearer $(betting token exampleUserId --data {data})"
"""
KEY = "\n    -H 'idempotency-key: ad5472esg4dsg525dssdfa5loi' \\"


def welcome(ports: Ports, folder: Folder, with_edge: bool) -> str:
    """The addresses, and a first request to paste."""
    ingress, admin, service, sandbox, metrics, books = (ports.url(name) for name in ADDRESSES)
    where = "" if ports == Ports.plan(None) else f" --ingress {ingress} --sandbox {sandbox}"
    door = DOOR.format(edge=ports.url("edge"), data=folder.root) if with_edge else ""
    return f"""\
Ready. Ctrl-C stops it.

  ingress  {ingress}    requests go here
  admin    {admin}    Restate's console
  service  {service}
  sandbox  {sandbox}    /charges, /payouts, /mails
  metrics  {metrics}    /metrics: deposits, bets, attempts
  books    {books}    /metrics: what all wallets sum to
  state    {folder.root}

A first deposit:

{DEPOSIT.format(ingress=ingress, key="")}
One that counts once however often it is sent:

{DEPOSIT.format(ingress=ingress, key=KEY)}
What came of it:

  curl {ingress}/PlayerService/exampleUserId/getAccount
  curl '{sandbox}/mails?to=example@example.com'
{door}
A season of deposits, bets and results, and every penny of it checked:

  betting simulate{where}
"""


@contextmanager
def told(ready_file: Path | None, ports: Ports, with_edge: bool) -> Iterator[Callable[[System], None]]:
    """Tell programs by the ready file where the system is, as long as it is there."""

    def tell(system: System) -> None:
        if ready_file is not None:
            addresses = {name: ports.url(name) for name in (*ADDRESSES, *(EDGE if with_edge else ()))}
            _write(ready_file, json.dumps({**addresses, "pids": system.pids()}))

    try:
        yield tell
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Write in one step, so that nobody reads half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
