"""Refusals: all reasons for which a request can be refused.

The reasons are part of the public contract. New ones may be added, but none is ever renamed.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field, ValidationError

from app.domain.model import Wire, spelled_out


class Refusal(StrEnum):
    """The reason for a refusal."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    BAD_SIGNATURE = "bad_signature"
    PAYMENT_DECLINED = "payment_declined"
    NOT_YOURS = "not_yours"
    ROLE_NEEDED = "role_needed"
    SELF_EXCLUDED = "self_excluded"
    ON_A_BREAK = "on_a_break"
    IN_DEBT = "in_debt"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    WRONG_CODE = "wrong_code"
    UNKNOWN_WALLET = "unknown_wallet"
    UNKNOWN_BET = "unknown_bet"
    UNKNOWN_MARKET = "unknown_market"
    UNKNOWN_SELECTION = "unknown_selection"
    UNKNOWN_WITHDRAWAL = "unknown_withdrawal"
    UNKNOWN_RECORD = "unknown_record"
    UNKNOWN_SETTLEMENT = "unknown_settlement"
    UNKNOWN_DEPOSIT = "unknown_deposit"
    ID_REUSED = "id_reused"
    MARKET_NOT_OPEN = "market_not_open"
    MARKET_SUSPENDED = "market_suspended"
    PRICE_CHANGED = "price_changed"
    BET_NOT_OPEN = "bet_not_open"
    CASH_OUT_CHANGED = "cash_out_changed"
    CASH_OUT_UNAVAILABLE = "cash_out_unavailable"
    COOLING_OFF = "cooling_off"
    NO_PENDING_CHANGE = "no_pending_change"
    CHANGE_EXPIRED = "change_expired"
    IRREVOCABLE = "irrevocable"
    ALREADY_DECIDED = "already_decided"
    WITHDRAWAL_INTERRUPTED = "withdrawal_interrupted"
    WALLET_CURRENCY = "wallet_currency"
    MARKET_CURRENCY = "market_currency"
    SELECTION_WITHDRAWN = "selection_withdrawn"
    OVERTAKEN = "overtaken"
    DEPOSIT_NOT_WAITING = "deposit_not_waiting"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    DEPOSIT_LIMIT = "deposit_limit"
    STAKE_LIMIT = "stake_limit"
    LOSS_LIMIT = "loss_limit"
    LIABILITY_LIMIT = "liability_limit"
    STAKE_TOO_HIGH = "stake_too_high"
    TOO_MANY_OPEN_BETS = "too_many_open_bets"
    RELATED_LEGS = "related_legs"
    TOO_MANY_WALLETS = "too_many_wallets"
    CURRENCY_NOT_ACCEPTED = "currency_not_accepted"
    TOO_MANY_CODES = "too_many_codes"


class Terms(NamedTuple):
    """The HTTP status of a refusal, and whether the same request may be accepted later (`transient`).

    A refusal is transient if its reason can pass without action by the caller: with time, when others act, or when bets
    end. It is not if the caller must change something first, such as a field, an id or a debt.
    """

    status: int
    transient: bool = False


TERMS: Mapping[Refusal, Terms] = {
    Refusal.INVALID_REQUEST: Terms(400),
    Refusal.UNAUTHENTICATED: Terms(401),
    Refusal.BAD_SIGNATURE: Terms(401),
    Refusal.PAYMENT_DECLINED: Terms(402),
    Refusal.NOT_YOURS: Terms(403),
    Refusal.ROLE_NEEDED: Terms(403),
    Refusal.SELF_EXCLUDED: Terms(403),
    Refusal.ON_A_BREAK: Terms(403, transient=True),
    Refusal.IN_DEBT: Terms(403),
    Refusal.METHOD_NOT_ALLOWED: Terms(403),
    Refusal.WRONG_CODE: Terms(403),
    Refusal.UNKNOWN_WALLET: Terms(404),
    Refusal.UNKNOWN_BET: Terms(404),
    Refusal.UNKNOWN_MARKET: Terms(404),
    Refusal.UNKNOWN_SELECTION: Terms(404),
    Refusal.UNKNOWN_WITHDRAWAL: Terms(404),
    Refusal.UNKNOWN_RECORD: Terms(404),
    Refusal.UNKNOWN_SETTLEMENT: Terms(404),
    Refusal.UNKNOWN_DEPOSIT: Terms(404),
    Refusal.ID_REUSED: Terms(409),
    Refusal.MARKET_NOT_OPEN: Terms(409),
    Refusal.MARKET_SUSPENDED: Terms(409, transient=True),
    Refusal.PRICE_CHANGED: Terms(409),
    Refusal.BET_NOT_OPEN: Terms(409),
    Refusal.CASH_OUT_CHANGED: Terms(409),
    Refusal.CASH_OUT_UNAVAILABLE: Terms(409, transient=True),
    Refusal.COOLING_OFF: Terms(409, transient=True),
    Refusal.NO_PENDING_CHANGE: Terms(409),
    Refusal.CHANGE_EXPIRED: Terms(409),
    Refusal.IRREVOCABLE: Terms(409, transient=True),
    Refusal.ALREADY_DECIDED: Terms(409),
    Refusal.WITHDRAWAL_INTERRUPTED: Terms(409),
    Refusal.WALLET_CURRENCY: Terms(409),
    Refusal.MARKET_CURRENCY: Terms(409),
    Refusal.SELECTION_WITHDRAWN: Terms(409),
    Refusal.OVERTAKEN: Terms(409),
    Refusal.DEPOSIT_NOT_WAITING: Terms(409),
    Refusal.INSUFFICIENT_FUNDS: Terms(422, transient=True),
    Refusal.DEPOSIT_LIMIT: Terms(422, transient=True),
    Refusal.STAKE_LIMIT: Terms(422, transient=True),
    Refusal.LOSS_LIMIT: Terms(422, transient=True),
    Refusal.LIABILITY_LIMIT: Terms(422, transient=True),
    Refusal.STAKE_TOO_HIGH: Terms(422, transient=True),
    Refusal.TOO_MANY_OPEN_BETS: Terms(422, transient=True),
    Refusal.RELATED_LEGS: Terms(422),
    Refusal.TOO_MANY_WALLETS: Terms(422),
    Refusal.CURRENCY_NOT_ACCEPTED: Terms(422),
    Refusal.TOO_MANY_CODES: Terms(422, transient=True),
}
assert TERMS.keys() == set(Refusal), "a refusal without a status would be an error that Restate repeats for ever"

HTTP_STATUS = {
    status: {reason for reason, terms in TERMS.items() if terms.status == status}
    for status in sorted({terms.status for terms in TERMS.values()})
}


class Refused(Wire):
    """An expected refusal: the reason, a message, and in `metadata` the relevant values, such as a limit."""

    reason: Refusal
    message: str
    metadata: dict[str, str] = Field(default_factory=dict)


def id_reused(field: str, name: str) -> Refused:
    """The refusal of a business id that is already used with different content."""
    return Refused(reason=Refusal.ID_REUSED, message=f"{field}: {name} stands for something else already")


MOST_FIELDS = 10
"""The most wrong fields that a refusal names. It is stored and sent, and the caller controls how many there are."""
MOST_CHARACTERS = 200
"""The maximum length of each field name and each problem, because the caller may control them too."""


def invalid_request(error: ValidationError, *within: str) -> Refused:
    """The refusal of an invalid request. It names the wrong fields and their problems; `within` is the path to them."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    words = [_words((*within, *problem["loc"]), problem["msg"]) for problem in problems[:MOST_FIELDS]]
    more = [f"and {len(problems) - MOST_FIELDS} more"] if len(problems) > MOST_FIELDS else []
    return Refused(reason=Refusal.INVALID_REQUEST, message="; ".join([*words, *more]))


def _words(location: tuple[int | str, ...], problem: str) -> str:
    field = ".".join(map(str, location)) or "body"
    return f"{_cut(spelled_out(field))}: {_cut(spelled_out(problem))}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."
