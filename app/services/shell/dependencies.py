"""The dependencies of the services outside Restate, connected once by the composition root."""

from dataclasses import dataclass
from datetime import timedelta

from app.domain.follow_up import Patience
from app.domain.policy import Policy
from app.providers.messages import Mailer
from app.providers.payments import PaymentProvider
from app.telemetry.counts import Counts


@dataclass(frozen=True)
class Dependencies:
    """The payment provider, the mail server and the operator's settings."""

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
    """Set the dependencies of the services in this process."""
    _connected[:] = [connected]


def dependencies() -> Dependencies:
    """The dependencies that the composition root connected."""
    assert _connected, "the composition root has not connected the dependencies"
    return _connected[0]
