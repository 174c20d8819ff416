"""Every no that we may say. Reasons are part of the public contract: they are added, never renamed."""

from enum import StrEnum

from pydantic import Field, ValidationError

from app.domain.model import Wire


class Refusal(StrEnum):
    """Why a request was refused."""

    INVALID_REQUEST = "invalid_request"
    BAD_SIGNATURE = "bad_signature"
    PAYMENT_DECLINED = "payment_declined"
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


HTTP_STATUS = {
    400: {Refusal.INVALID_REQUEST},
    401: {Refusal.BAD_SIGNATURE},
    402: {Refusal.PAYMENT_DECLINED},
    403: {Refusal.SELF_EXCLUDED, Refusal.ON_A_BREAK, Refusal.IN_DEBT, Refusal.METHOD_NOT_ALLOWED, Refusal.WRONG_CODE},
    404: {
        Refusal.UNKNOWN_WALLET,
        Refusal.UNKNOWN_BET,
        Refusal.UNKNOWN_MARKET,
        Refusal.UNKNOWN_SELECTION,
        Refusal.UNKNOWN_WITHDRAWAL,
        Refusal.UNKNOWN_RECORD,
        Refusal.UNKNOWN_SETTLEMENT,
        Refusal.UNKNOWN_DEPOSIT,
    },
    409: {
        Refusal.ID_REUSED,
        Refusal.MARKET_NOT_OPEN,
        Refusal.MARKET_SUSPENDED,
        Refusal.PRICE_CHANGED,
        Refusal.BET_NOT_OPEN,
        Refusal.CASH_OUT_CHANGED,
        Refusal.CASH_OUT_UNAVAILABLE,
        Refusal.COOLING_OFF,
        Refusal.NO_PENDING_CHANGE,
        Refusal.CHANGE_EXPIRED,
        Refusal.IRREVOCABLE,
        Refusal.ALREADY_DECIDED,
        Refusal.WITHDRAWAL_INTERRUPTED,
        Refusal.WALLET_CURRENCY,
        Refusal.MARKET_CURRENCY,
        Refusal.SELECTION_WITHDRAWN,
        Refusal.OVERTAKEN,
        Refusal.DEPOSIT_NOT_WAITING,
    },
    422: {
        Refusal.INSUFFICIENT_FUNDS,
        Refusal.DEPOSIT_LIMIT,
        Refusal.STAKE_LIMIT,
        Refusal.LOSS_LIMIT,
        Refusal.LIABILITY_LIMIT,
        Refusal.STAKE_TOO_HIGH,
        Refusal.TOO_MANY_OPEN_BETS,
        Refusal.RELATED_LEGS,
        Refusal.TOO_MANY_WALLETS,
        Refusal.CURRENCY_NOT_ACCEPTED,
        Refusal.TOO_MANY_CODES,
    },
}
STATUS_OF = {reason: status for status, reasons in HTTP_STATUS.items() for reason in reasons}


class Refused(Wire):
    """An expected no. It changes nothing and says why, and by how much."""

    reason: Refusal
    message: str
    metadata: dict[str, str] = Field(default_factory=dict)


def id_reused(field: str, name: str) -> Refused:
    """A business id that stands for other content already."""
    return Refused(reason=Refusal.ID_REUSED, message=f"{field}: {name} stands for something else already")


MOST_FIELDS = 10
"""How many wrong fields are named: the text is stored and sent, and a stranger decides how many there are."""
MOST_CHARACTERS = 200
"""How much is said of one of them; its name may be a stranger's, too."""


def invalid_request(error: ValidationError, *within: str) -> Refused:
    """What cannot be understood, with each field that is wrong and why; `within` is where the fields are."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    words = [_words((*within, *problem["loc"]), problem["msg"]) for problem in problems[:MOST_FIELDS]]
    more = [f"and {len(problems) - MOST_FIELDS} more"] if len(problems) > MOST_FIELDS else []
    return Refused(reason=Refusal.INVALID_REQUEST, message="; ".join([*words, *more]))


def _words(location: tuple[int | str, ...], problem: str) -> str:
    field = ".".join(map(str, location)) or "body"
    return f"{_cut(field)}: {_cut(problem)}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."
