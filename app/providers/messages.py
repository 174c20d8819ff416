"""Customer messages, as the services see them."""

from typing import Protocol

from app.domain.messages import Message


class Mailer(Protocol):
    """Hands messages to a mail server."""

    async def send(self, message: Message) -> None:
        """Hand over one message; raises when the mail server did not take it."""
