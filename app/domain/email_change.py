"""Change of a player's e-mail address: the player confirms it with the code that was sent to the new address."""

import hashlib
import hmac
from datetime import datetime, timedelta

from app.domain.messages import Message
from app.domain.model import Moment, Wire, iso
from app.domain.player import Decision, EmailChange, Player, message
from app.domain.refusals import Refusal, Refused

EXPIRES_AFTER = timedelta(hours=24)
MAX_WRONG_CODES = 5
"""After this many wrong codes the change is dropped, so that nobody can find a code by guessing."""
MAX_CODES = 5
CODES_WITHIN = timedelta(hours=24)
"""A player can request MAX_CODES codes in this time. This protects the owner of a wrong address from floods of mail."""


class EmailChangeView(Wire):
    """A pending change as the player sees it. It reveals neither the code nor whether the address exists."""

    email: str
    expires_at: Moment


class EmailView(Wire):
    """The player's current address."""

    email: str


def change_email(player: Player, email: str, code: str, now: datetime) -> Decision[EmailChangeView]:
    """Send a code to the new address and a notice to the old one. This replaces a pending change and its code.

    Refuses with `too_many_codes` after MAX_CODES requests within 24 hours.
    """
    recent = [asked for asked in player.email_codes_asked if asked > now - CODES_WITHIN]
    if len(recent) >= MAX_CODES:
        return Decision(player, _too_many(recent[0] + CODES_WITHIN))
    number = player.email_changes + 1
    change = EmailChange(email=email, code_hash=_hash(player, number, code), asked_at=now)
    after = player.changed(email_change=change, email_changes=number, email_codes_asked=[*recent, now])
    reader = player.changed(email=email)
    text = f"Your code is {code}. It holds for 24 hours. If you have asked for nothing, ignore this message."
    told = message(reader, ("email", str(number), "code"), "Confirm your e-mail address", text)
    return Decision(
        after, EmailChangeView(email=email, expires_at=now + EXPIRES_AFTER), (*told, *_notice(player, number))
    )


def _too_many(again_at: datetime) -> Refused:
    return Refused(
        reason=Refusal.TOO_MANY_CODES,
        message=f"email: {MAX_CODES} codes were asked for in 24 hours; the next one from {iso(again_at)} on",
        metadata={"again": iso(again_at)},
    )


def _notice(player: Player, number: int) -> tuple[Message, ...]:
    text = "Somebody asked to send your messages to another address. If it was not you, contact us at once."
    return message(player, ("email", str(number), "notice"), "Your e-mail address is about to change", text)


def confirm_email(player: Player, code: str, now: datetime) -> Decision[EmailView]:
    """Set the new address if the code is right.

    Refuses with `no_pending_change`, `change_expired` or `wrong_code`. A wrong code is counted, so it changes the
    document although it is refused.
    """
    change = player.email_change
    if change is None:
        return Decision(
            player, Refused(reason=Refusal.NO_PENDING_CHANGE, message="no change of the address is pending")
        )
    if now > change.asked_at + EXPIRES_AFTER:
        refused = Refused(reason=Refusal.CHANGE_EXPIRED, message="this code has expired; ask for another")
        return Decision(player, refused)
    if not hmac.compare_digest(change.code_hash, _hash(player, player.email_changes, code)):
        return _wrong(player, change)
    return Decision(player.changed(email=change.email, email_change=None), EmailView(email=change.email))


def _wrong(player: Player, change: EmailChange) -> Decision[EmailView]:
    wrong = change.wrong_codes + 1
    left = change.model_copy(update={"wrong_codes": wrong}) if wrong < MAX_WRONG_CODES else None
    more = f"{MAX_WRONG_CODES - wrong} tries are left" if left is not None else "ask for another"
    refused = Refused(reason=Refusal.WRONG_CODE, message=f"code: not the one that was sent; {more}")
    return Decision(player.changed(email_change=left), refused)


def _hash(player: Player, number: int, code: str) -> str:
    """The hash of a code. It is stored instead of the code, so that the document does not reveal it."""
    return hashlib.sha256(f"{player.user_id}/{number}/{code.upper()}".encode()).hexdigest()
