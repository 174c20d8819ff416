"""A review that ends between two looks of an operator's decision, which no real system can be brought to on purpose."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from restate.exceptions import TerminalError

from app.domain.player import Review, Verdict, Withdrawal
from app.domain.withdrawals import WithdrawalOrder
from app.services.payments import withdrawals

HELD = Withdrawal(
    wallet_id="w-1",
    amount=90,
    currency="EUR",
    destination="bank",
    held_at=datetime(2026, 1, 1, tzinfo=UTC),
    in_review=True,
)


class Promise:
    """A durable promise that has another value at each look."""

    def __init__(self, *looks: object) -> None:
        self._looks: Iterator[object] = iter(looks)

    async def peek(self) -> object:
        return next(self._looks)


class Context:
    """As much of a workflow's context as a decision needs that is refused."""

    def __init__(self, *reviews: Review | None) -> None:
        order = WithdrawalOrder(withdrawal_id="x-1", user_id="ann", withdrawal=HELD)
        self._promises = {"taken": Promise(order), "review": Promise(*reviews)}
        self.sent: list[str] = []

    def key(self) -> str:
        return "x-1"

    def promise(self, name: str, serde: object) -> Promise:
        return self._promises[name]

    def generic_send(self, service: str, handler: str, *_: object, **__: object) -> None:
        self.sent.append(handler)


@pytest.mark.parametrize(
    ("review", "reason", "sent"),
    [
        (Review(verdict=Verdict.TIMED_OUT), "already_decided", []),
        (Review(verdict=Verdict.ABANDONED), "withdrawal_interrupted", []),
        (None, "withdrawal_interrupted", ["takeOver"]),
    ],
)
def test_a_run_that_has_ended_is_interrupted_only_if_its_review_is_open(
    monkeypatch: pytest.MonkeyPatch, review: Review | None, reason: str, sent: list[str]
) -> None:
    async def has_ended(*_: object) -> bool:
        return True

    monkeypatch.setattr(withdrawals, "run_has_ended", has_ended)
    context: Any = Context(None, review)

    with pytest.raises(TerminalError) as refused:
        asyncio.run(withdrawals._decide(context, Review(verdict=Verdict.APPROVED, operator="pia")))

    assert refused.value.metadata is not None
    assert refused.value.metadata["reason"] == reason
    assert context.sent == sent
