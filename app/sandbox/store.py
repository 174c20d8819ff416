"""What the sandbox remembers, in a SQLite file that survives being killed."""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.domain.model import iso
from app.domain.payments import MovementKind, PaymentEvent, PaymentStatus
from app.sandbox.orders import ORDERS, Order

_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    kind TEXT, reference TEXT, content TEXT NOT NULL, status TEXT NOT NULL, moved_at TEXT,
    PRIMARY KEY (kind, reference)
);
CREATE TABLE IF NOT EXISTS attempts (kind TEXT, reference TEXT, times INTEGER NOT NULL, PRIMARY KEY (kind, reference));
CREATE TABLE IF NOT EXISTS webhooks (id INTEGER PRIMARY KEY, reference TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS movements (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, reference TEXT NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL,
    UNIQUE (kind, reference, number)
);
INSERT OR IGNORE INTO movements (kind, reference, number, at)
    SELECT kind, reference, 1, moved_at FROM payments WHERE moved_at IS NOT NULL ORDER BY moved_at, rowid;
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY, message_id TEXT, recipient TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL,
    UNIQUE (message_id, recipient)
);
"""
_PAYMENT = "SELECT kind, content, status, moved_at FROM payments"


@dataclass(frozen=True)
class Payment:
    """An order the provider took, and where it stands."""

    order: Order
    status: PaymentStatus
    moved_at: str | None


@dataclass(frozen=True)
class Moved:
    """One movement of a payment's money: the payment itself, or what was given or taken back later."""

    id: int
    kind: MovementKind
    order: Order
    at: str


@dataclass(frozen=True)
class Webhook:
    """A message the service has not heard yet."""

    id: int
    reference: str
    body: str


@dataclass(frozen=True)
class Mail:
    """One e-mail in one recipient's inbox."""

    to: str
    subject: str
    text: str


class Store:
    """The sandbox's ledger, inbox and outbox. Every method is one transaction of well under a millisecond."""

    def __init__(self, database: Path) -> None:
        database.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(database)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; a power cut may
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def find(self, kind: str, reference: str) -> Payment | None:
        """The charge or payout under a reference."""
        row = self._db.execute(f"{_PAYMENT} WHERE kind = ? AND reference = ?", (kind, reference)).fetchone()
        return row and _payment(*row)

    def moved(self, kind: str, reference: str | None) -> list[Payment]:
        """The charges or payouts that really moved money, in the order they did."""
        rows = self._db.execute(
            f"{_PAYMENT} WHERE kind = ? AND reference = coalesce(?, reference) AND moved_at IS NOT NULL"
            " ORDER BY moved_at, rowid",
            (kind, reference),
        )
        return [_payment(*row) for row in rows]

    def record(self, order: Order, status: PaymentStatus) -> Payment:
        """Take a new order; one that is done has moved its money from now on."""
        moved_at = _now() if status is PaymentStatus.DONE else None
        with self._db:
            self._db.execute(
                "INSERT INTO payments VALUES (?, ?, ?, ?, ?)",
                (order.kind, order.reference, order.model_dump_json(), status, moved_at),
            )
            self._note_moved(order.kind, order.reference)
        return Payment(order, status, moved_at)

    def count_attempt(self, kind: str, reference: str) -> int:
        """How often this order has been tried, this time included."""
        with self._db:
            (times,) = self._db.execute(
                "INSERT INTO attempts VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times",
                (kind, reference),
            ).fetchone()
        return int(times)

    def complete(self, reference: str, status: PaymentStatus) -> Payment | None:
        """End the payment that waits for its customer; ones that have ended stay as they are."""
        with self._db:
            self._db.execute(
                "UPDATE payments SET status = ?, moved_at = ? WHERE reference = ? AND status = ?",
                (status, _now() if status is PaymentStatus.DONE else None, reference, PaymentStatus.ACTION_REQUIRED),
            )
            for kind in ORDERS:
                self._note_moved(kind, reference)
        return self.find("charge", reference) or self.find("payout", reference)

    def void(self, reference: str) -> Payment | None:
        """End a charge that waits for its customer, for good; others stay as they are."""
        with self._db:
            self._db.execute(
                "UPDATE payments SET status = ? WHERE kind = 'charge' AND reference = ? AND status = ?",
                (PaymentStatus.DECLINED, reference, PaymentStatus.ACTION_REQUIRED),
            )
        return self.find("charge", reference)

    def move_back(self, reference: str, kind: MovementKind, number: int) -> None:
        """Note that money of a payment went the other way, or came again; the same number of its kind is the same."""
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO movements (kind, reference, number, at) VALUES (?, ?, ?, ?)",
                (kind, reference, number, _now()),
            )

    def times_moved(self, reference: str, kind: MovementKind) -> int:
        """How often money of a payment moved in this way."""
        (times,) = self._db.execute(
            "SELECT count(*) FROM movements WHERE kind = ? AND reference = ?", (kind, reference)
        ).fetchone()
        return int(times)

    def movements(self, kinds: Collection[MovementKind], since: str, after: int, limit: int) -> list[Moved]:
        """What moved at or after a moment, oldest first, from after an id on."""
        rows = self._db.execute(
            "SELECT movements.id, movements.kind, payments.kind, content, at FROM movements JOIN payments"
            " ON payments.reference = movements.reference"
            " AND payments.kind = iif(movements.kind IN ('payout', 'sentBack'), 'payout', 'charge')"
            " WHERE movements.kind IN (SELECT value FROM json_each(?)) AND at >= ? AND movements.id > ?"
            " ORDER BY movements.id LIMIT ?",
            (json.dumps(sorted(kinds)), since, after, limit),
        )
        return [
            Moved(number, MovementKind(kind), ORDERS[of].model_validate_json(content), at)
            for number, kind, of, content, at in rows
        ]

    def _note_moved(self, kind: str, reference: str) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO movements (kind, reference, number, at) SELECT kind, reference, 1, moved_at"
            " FROM payments WHERE kind = ? AND reference = ? AND moved_at IS NOT NULL",
            (kind, reference),
        )

    def add_webhooks(self, event: PaymentEvent, times: int) -> list[Webhook]:
        """Put an event in the outbox, several times over."""
        body = event.model_dump_json()
        with self._db:
            rows = [
                self._db.execute("INSERT INTO webhooks (reference, body) VALUES (?, ?)", (event.reference, body))
                for _ in range(times)
            ]
        return [Webhook(row.lastrowid or 0, event.reference, body) for row in rows]

    def webhooks(self) -> list[Webhook]:
        """The outbox."""
        return [Webhook(*row) for row in self._db.execute("SELECT id, reference, body FROM webhooks ORDER BY id")]

    def forget(self, webhook: Webhook) -> None:
        """Take a webhook from the outbox."""
        with self._db:
            self._db.execute("DELETE FROM webhooks WHERE id = ?", (webhook.id,))

    def add_mail(self, message_id: str | None, mail: Mail) -> None:
        """Put a mail in the inbox, unless the recipient has one with its Message-ID."""
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO mails (message_id, recipient, subject, text) VALUES (?, ?, ?, ?)",
                (message_id, mail.to, mail.subject, mail.text),
            )

    def mails(self, to: str | None) -> list[Mail]:
        """The inbox of a recipient, or of all; oldest first."""
        rows = self._db.execute(
            "SELECT recipient, subject, text FROM mails WHERE recipient = coalesce(?, recipient) ORDER BY id", (to,)
        )
        return [Mail(*row) for row in rows]


def _payment(kind: str, content: str, status: str, moved_at: str | None) -> Payment:
    return Payment(ORDERS[kind].model_validate_json(content), PaymentStatus(status), moved_at)


def _now() -> str:
    return iso(datetime.now(UTC))
