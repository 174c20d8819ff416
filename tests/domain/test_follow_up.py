from datetime import timedelta

import pytest

from app.domain.follow_up import Patience, Step, next_step
from app.domain.payments import PaymentStatus
from tests.strategies import START

PATIENCE = Patience(pauses=(1, 5), window=timedelta(hours=20), deadline=timedelta(hours=72))
IN_WINDOW, AFTER_WINDOW, AFTER_DEADLINE = (START + timedelta(hours=hours) for hours in (19, 20, 72))


@pytest.mark.parametrize(
    ("status", "now", "step"),
    [
        (PaymentStatus.DONE, IN_WINDOW, Step.CREDIT),
        (PaymentStatus.DONE, AFTER_DEADLINE, Step.CREDIT),
        (PaymentStatus.DECLINED, IN_WINDOW, Step.DECLINE),
        (PaymentStatus.CONFLICT, IN_WINDOW, Step.DECLINE),
        (PaymentStatus.UNKNOWN, IN_WINDOW, Step.WAIT),
        (PaymentStatus.UNKNOWN, AFTER_WINDOW, Step.WAIT),
        (PaymentStatus.UNKNOWN, AFTER_DEADLINE, Step.FAIL),
        (PaymentStatus.ACTION_REQUIRED, AFTER_WINDOW, Step.WAIT),
        (PaymentStatus.ACTION_REQUIRED, AFTER_DEADLINE, Step.FAIL),
        (PaymentStatus.NEVER_SEEN, IN_WINDOW, Step.CHARGE_AGAIN),
        (PaymentStatus.NEVER_SEEN, AFTER_WINDOW, Step.FAIL),
    ],
)
def test_what_the_providers_word_means(status: PaymentStatus, now: object, step: Step) -> None:
    assert next_step(status, START, now, PATIENCE) is step  # type: ignore[arg-type]


@pytest.mark.parametrize(("tries", "seconds"), [(0, 1), (1, 5), (2, 5), (100, 5)])
def test_the_last_pause_repeats(tries: int, seconds: int) -> None:
    assert PATIENCE.pause(tries) == timedelta(seconds=seconds)
