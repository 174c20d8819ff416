"""What the services reach outside of Restate, connected once by the composition root."""

from dataclasses import dataclass
from datetime import timedelta

from app.domain.follow_up import Patience
from app.domain.policy import Policy
from app.providers.messages import Mailer
from app.providers.payments import PaymentProvider
from app.telemetry.counts import Counts


@dataclass(frozen=True)
class Dependencies:
    """The real provider and mail server, and what the operator decided."""

    provider: PaymentProvider
    mailer: Mailer
    counts: Counts
    policy: Policy
    patience: Patience
    charge_wait: timedelta
    review_timeout: timedelta
    market_books: int
    require_identity: bool


_connected: list[Dependencies] = []


def connect(connected: Dependencies) -> None:
    """Say what the services of this process reach outside."""
    _connected[:] = [connected]


def dependencies() -> Dependencies:
    """What the composition root connected."""
    assert _connected, "the composition root has not connected the outside world"
    return _connected[0]
