"""What a record for a market looks like, for the description of the API. `read_record` reads the record itself."""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from app.domain.feed import RecordType
from app.domain.model import PublicRequest
from app.services.markets import markets
from app.services.shell.requests import EmptyRequest


class OpenRecord(PublicRequest):
    """Opens the market."""

    type: Literal[RecordType.OPEN]
    content: markets.OpenRequest


class SetPricesRecord(PublicRequest):
    """Changes the prices of some selections."""

    type: Literal[RecordType.SET_PRICES]
    content: markets.PricesRequest


class SuspendRecord(PublicRequest):
    """Suspends the market until the feed or a trader resumes it."""

    type: Literal[RecordType.SUSPEND]
    content: EmptyRequest = EmptyRequest()


class ResumeRecord(PublicRequest):
    """Lifts the feed's suspension; a trader's suspension stays."""

    type: Literal[RecordType.RESUME]
    content: EmptyRequest = EmptyRequest()


class CloseRecord(PublicRequest):
    """Closes the market for good."""

    type: Literal[RecordType.CLOSE]
    content: EmptyRequest = EmptyRequest()


class WithdrawRecord(PublicRequest):
    """Withdraws a selection."""

    type: Literal[RecordType.WITHDRAW]
    content: markets.WithdrawSelectionRequest


class SettleRecord(PublicRequest):
    """Enters a result."""

    type: Literal[RecordType.SETTLE]
    content: markets.SettleRequest


AnyRecord = OpenRecord | SetPricesRecord | SuspendRecord | ResumeRecord | CloseRecord | WithdrawRecord | SettleRecord


class FeedRecord(RootModel[Annotated[AnyRecord, Field(discriminator="type")]]):
    """A record for a market, as it comes from Kafka or in a request."""
