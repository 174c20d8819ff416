"""Messages to customers."""

from app.domain.model import Wire


class Message(Wire):
    """One message to a customer. A repeated message has the same `message_id`."""

    message_id: str
    to: str
    subject: str
    text: str
