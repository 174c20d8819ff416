"""What the operator decides about the rules: limits, waiting times, currencies and payment methods."""

from datetime import timedelta

from pydantic import ConfigDict, ValidationInfo, field_validator

from app.domain.currency import CurrencyAmounts
from app.domain.model import DEFAULT_CURRENCY, Wire
from app.domain.refusals import Refusal, Refused


class Policy(Wire):
    """What an operator decides about the rules; amounts in minor units, each of its own currency."""

    model_config = ConfigDict(validate_default=True)

    default_currency: str = DEFAULT_CURRENCY
    default_weekly_deposit_limit: CurrencyAmounts = CurrencyAmounts(bare=10_000)
    review_threshold: CurrencyAmounts = CurrencyAmounts(bare=100_000)
    raise_cooling_off: timedelta = timedelta(hours=24)
    raise_confirm: timedelta = timedelta(hours=168)
    reinstate_wait: timedelta = timedelta(hours=24)
    payment_methods: frozenset[str] = frozenset()
    """What the operator takes, by `method_name`; all where none is named."""
    max_open_bets: int = 200
    max_payout: CurrencyAmounts = CurrencyAmounts(bare=100_000_000)
    max_payout_per_day: CurrencyAmounts = CurrencyAmounts()
    """The most that a player's bets return on one UTC day; no limit in a currency that is not named."""
    cash_out_margin_percent: int = 5

    @field_validator("*", mode="after")
    @classmethod
    def _of_a_currency(cls, value: object, info: ValidationInfo) -> object:
        """A bare number is the default currency's."""
        return value.resolved(info.data["default_currency"]) if isinstance(value, CurrencyAmounts) else value

    def accepts(self, currency: str) -> bool:
        """Whether the operator has decided on everything that playing in a currency needs."""
        needed = (self.default_weekly_deposit_limit, self.review_threshold, self.max_payout)
        return all(amounts.of(currency) is not None for amounts in needed)

    def refuse_currency(self, currency: str) -> Refused | None:
        """Refuse a currency that the operator has not named."""
        if self.accepts(currency):
            return None
        return Refused(
            reason=Refusal.CURRENCY_NOT_ACCEPTED,
            message=f"currency: {currency} is not accepted here",
            metadata={"currency": currency},
        )


def method_name(payment_method: str) -> str:
    """A payment method for comparing: neither capitals nor blanks around it make another one."""
    return payment_method.strip().casefold()
