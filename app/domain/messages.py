"""What customers are told."""

from app.domain.model import Wire


class Message(Wire):
    """One message to a customer. `message_id` is the same however often the sending is repeated."""

    message_id: str
    to: str
    subject: str
    text: str
