"""Currencies of ISO 4217: their codes, how to format amounts, and amounts that an operator sets per currency."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_serializer, model_validator
from pydantic_core import PydanticCustomError

_BY_EXPONENT = {
    0: """
    BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
    """,
    2: """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
    CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
    IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
    MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
    SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER
    ZAR ZMW ZWG
    """,
    3: """
    BHD IQD JOD KWD LYD OMR TND
    """,
    4: """
    CLF UYW
    """,
}
"""Decimal places of the minor unit of each currency. Source: ISO 4217, table A.1, as of 2026.

Left out because nobody pays in them: metals (XAG, XAU, XPD, XPT), units of account (XAD, XBA to XBD, XDR, XSU, XUA),
the test code (XTS) and the code for no currency (XXX).
"""
EXPONENTS: Mapping[str, int] = {code: places for places, codes in _BY_EXPONENT.items() for code in codes.split()}
assert len(EXPONENTS) == sum(len(codes.split()) for codes in _BY_EXPONENT.values()), "a currency has one exponent"

ANY_EXPONENT = 2
"""Decimal places of a currency that is not in the standard, which an earlier version may have stored."""

AMOUNT = re.compile("[0-9]{1,15}")
EXAMPLE = "EUR=10000,JPY=1500000"


def known_currency(code: str) -> str:
    """Return the code if it is in ISO 4217. Raises ValueError for any other."""
    if code not in EXPONENTS:
        raise ValueError("must be a currency of ISO 4217, such as EUR")
    return code


def money(amount: int, currency: str) -> str:
    """Format an amount in minor units for people: 12.34 EUR, 9000 JPY, 0.999 KWD."""
    places = EXPONENTS.get(currency, ANY_EXPONENT)
    sign, digits = "-" if amount < 0 else "", f"{abs(amount):0{places + 1}d}"
    whole, fraction = digits[: len(digits) - places], digits[len(digits) - places :]
    return f"{sign}{whole}{'.' if places else ''}{fraction} {currency}"


class CurrencyAmounts(BaseModel):
    """Amounts per currency, in minor units, as an operator sets them: `EUR=10000,JPY=1500000`.

    A bare number is in the default currency. An empty text sets no amount at all.
    """

    model_config = ConfigDict(frozen=True)

    named: dict[str, int] = {}
    bare: int | None = None

    @classmethod
    def parse(cls, text: str | int) -> "CurrencyAmounts":
        """Parse the value of a setting. Raises ValidationError."""
        return cls.model_validate(text)

    def of(self, currency: str) -> int | None:
        """The amount for a currency, in minor units; None if there is none."""
        assert self.bare is None, "a bare number has no currency yet"
        return self.named.get(currency)

    def resolved(self, default_currency: str) -> "CurrencyAmounts":
        """Assign the bare number to the default currency. Raises ValidationError if that has an amount already."""
        if self.bare is None:
            return self
        if default_currency in self.named:
            why = f"a bare number is the amount for {default_currency}, which is named as well; name each currency once"
            raise _malformed(why)
        return CurrencyAmounts(named={default_currency: self.bare, **self.named})

    @property
    def smallest(self) -> int | None:
        """The smallest amount, in minor units; None if there is no amount."""
        return min([*self.named.values(), *([] if self.bare is None else [self.bare])], default=None)

    def __str__(self) -> str:
        """The amounts in the syntax of a setting."""
        bare = [] if self.bare is None else [str(self.bare)]
        return ",".join([*bare, *(f"{currency}={amount}" for currency, amount in self.named.items())])

    @model_serializer
    def _as_text(self) -> str:
        return str(self)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        """Parse the text of a setting, or a bare number."""
        if isinstance(given, str):
            return _read(given)
        return {"bare": given} if isinstance(given, int) and not isinstance(given, bool) else given


def _read(text: str) -> dict[str, Any]:
    bare: int | None = None
    named: dict[str, int] = {}
    for part in text.split(",") if text.strip() else ():
        currency, named_one, amount = part.rpartition("=")
        currency = currency.strip()
        if named_one and currency not in EXPONENTS:
            raise _malformed(f"{currency!r} is no currency of ISO 4217; write {EXAMPLE}")
        if currency in named or (not named_one and bare is not None):
            raise _malformed(f"{currency or 'a bare number'} comes twice; name each currency once")
        if named_one:
            named[currency] = _amount(amount)
        else:
            bare = _amount(amount)
    return {"named": named, "bare": bare}


def _amount(text: str) -> int:
    text = text.strip()
    if AMOUNT.fullmatch(text) is None:
        raise _malformed(f"Input should be a valid integer in minor units, 0 or more, or one a currency: {EXAMPLE}")
    return int(text)


def _malformed(why: str) -> PydanticCustomError:
    return PydanticCustomError("currency_amounts", "{why}", {"why": why})
