"""The operator's policy: limits, waiting times, currencies and payment methods."""

from datetime import timedelta

from pydantic import ConfigDict, ValidationInfo, field_validator

from app.domain.currency import CurrencyAmounts
from app.domain.model import DEFAULT_CURRENCY, Wire
from app.domain.refusals import Refusal, Refused


class Policy(Wire):
    """The settings of an operator that the rules use. Amounts are per currency, in its minor units."""

    model_config = ConfigDict(validate_default=True)

    default_currency: str = DEFAULT_CURRENCY
    default_weekly_deposit_limit: CurrencyAmounts = CurrencyAmounts(bare=10_000)
    review_threshold: CurrencyAmounts = CurrencyAmounts(bare=100_000)
    raise_cooling_off: timedelta = timedelta(hours=24)
    raise_confirm: timedelta = timedelta(hours=168)
    reinstate_wait: timedelta = timedelta(hours=24)
    payment_methods: frozenset[str] = frozenset()
    """The accepted payment methods, as `method_name` writes them. An empty set accepts all."""
    max_open_bets: int = 200
    max_payout: CurrencyAmounts = CurrencyAmounts(bare=100_000_000)
    max_payout_per_day: CurrencyAmounts = CurrencyAmounts()
    """The maximum return of a player's bets on one UTC day. A currency without an amount has no limit."""
    cash_out_margin_percent: int = 5

    @field_validator("*", mode="after")
    @classmethod
    def _of_a_currency(cls, value: object, info: ValidationInfo) -> object:
        """Assign a bare number to the default currency."""
        return value.resolved(info.data["default_currency"]) if isinstance(value, CurrencyAmounts) else value

    def accepts(self, currency: str) -> bool:
        """Whether the operator has set every amount that a currency needs: deposit limit, review threshold, payout."""
        needed = (self.default_weekly_deposit_limit, self.review_threshold, self.max_payout)
        return all(amounts.of(currency) is not None for amounts in needed)

    def refuse_currency(self, currency: str) -> Refused | None:
        """Refuse a currency that is not accepted, with `currency_not_accepted`."""
        if self.accepts(currency):
            return None
        return Refused(
            reason=Refusal.CURRENCY_NOT_ACCEPTED,
            message=f"currency: {currency} is not accepted here",
            metadata={"currency": currency},
        )


def method_name(payment_method: str) -> str:
    """Normalise a payment method for comparison: ignore case and surrounding blanks."""
    return payment_method.strip().casefold()
