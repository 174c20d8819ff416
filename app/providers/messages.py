"""Customer messages, as the services see them."""

from typing import Protocol

from app.domain.model import Wire


class Message(Wire):
    """One message to a customer. `message_id` is the same however often the sending is repeated."""

    message_id: str
    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Hands messages to a mail server."""

    async def send(self, message: Message) -> None:
        """Hand over one message; raises when the mail server did not take it."""
