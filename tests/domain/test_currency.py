from itertools import product
from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.domain.currency import EXPONENTS, CurrencyAmounts, money
from app.domain.model import Currency

CURRENCY: TypeAdapter[str] = TypeAdapter(Currency)
currencies = st.sampled_from(sorted(EXPONENTS))
amounts = st.integers(0, 10**12)
NO_MONEY = ["XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XDR", "XBA", "XBB", "XBC", "XBD", "XSU", "XUA", "XAD"]


def is_currency(code: object) -> bool:
    try:
        CURRENCY.validate_python(code)
    except ValidationError:
        return False
    return True


def amounts_of(text: str, default: str = "EUR") -> dict[str, int]:
    return CurrencyAmounts.parse(text).resolved(default).named


@pytest.mark.parametrize("code", NO_MONEY)
def test_metals_units_of_account_and_codes_for_none_are_no_currency(code: str) -> None:
    assert not is_currency(code)


@pytest.mark.parametrize(
    "bad", ["", "eur", "Eur", " EUR", "EUR\n", "EURO", "EU", "ABC", "DEM", "ZZZ", "\u0415UR", 978, None]
)
def test_what_the_standard_does_not_have_is_no_currency(bad: object) -> None:
    assert not is_currency(bad)


def test_the_currencies_are_those_of_the_standard_and_no_other_three_letters() -> None:
    codes = {"".join(letters) for letters in product(ascii_uppercase, repeat=3)}

    assert {code for code in codes if is_currency(code)} == set(EXPONENTS)
    assert len(EXPONENTS) == 164


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        (9_000, "EUR", "90.00 EUR"),
        (1_234, "EUR", "12.34 EUR"),
        (5, "EUR", "0.05 EUR"),
        (0, "EUR", "0.00 EUR"),
        (-5, "EUR", "-0.05 EUR"),
        (-1_234, "EUR", "-12.34 EUR"),
        (9_000, "JPY", "9000 JPY"),
        (0, "JPY", "0 JPY"),
        (-7, "JPY", "-7 JPY"),
        (999, "KWD", "0.999 KWD"),
        (1_000, "KWD", "1.000 KWD"),
        (12_345, "CLF", "1.2345 CLF"),
        (9_000, "XAF", "9000 XAF"),
        (9_000, "XCD", "90.00 XCD"),
        (9_000, "DEM", "90.00 DEM"),
    ],
)
def test_an_amount_reads_as_people_write_it_in_its_currency(amount: int, currency: str, words: str) -> None:
    assert money(amount, currency) == words


@given(st.integers(-(10**15), 10**15), currencies)
def test_no_digit_of_an_amount_is_lost_in_words(amount: int, currency: str) -> None:
    number, code = money(amount, currency).split()

    assert code == currency
    assert int(number.replace(".", "")) == amount
    assert len(number.partition(".")[2]) == EXPONENTS[currency]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("10000", {"EUR": 10_000}),
        ("0", {"EUR": 0}),
        ("EUR=10000,JPY=1500000", {"EUR": 10_000, "JPY": 1_500_000}),
        (" EUR = 1 , JPY = 2 ", {"EUR": 1, "JPY": 2}),
        ("1,JPY=2", {"EUR": 1, "JPY": 2}),
        ("JPY=2,1", {"EUR": 1, "JPY": 2}),
        ("JPY=2", {"JPY": 2}),
        ("", {}),
        (" ", {}),
    ],
)
def test_a_setting_names_amounts_and_a_bare_number_is_the_default_currencys(text: str, named: dict[str, int]) -> None:
    assert amounts_of(text) == named
    assert CurrencyAmounts.parse(text).resolved("EUR").of("KWD") is None


@pytest.mark.parametrize(
    "text",
    [
        *("lots", "-1", "1.5", "1e3", "\u0663", "1_000", "9" * 16, "EUR", "EUR=", "=1", "eur=1", "eur=", "EUR=abc"),
        *("EUR=-1", "EUR=1,EUR=2", "1,2", "1,EUR=2", "EUR=1,", ",", "EUR=1;JPY=2", "EUR=1=2", "XAU=1", "ABC=1"),
        *("EUR:1", "EUR=1 JPY=2"),
    ],
)
def test_a_malformed_setting_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="currency"):
        amounts_of(text)


@given(st.dictionaries(currencies, amounts), st.none() | amounts, currencies)
def test_amounts_are_written_as_they_are_read(named: dict[str, int], bare: int | None, default: str) -> None:
    named.pop(default, None)
    given = CurrencyAmounts(named=named, bare=bare)

    again = CurrencyAmounts.parse(str(given))

    assert again == given
    assert again.resolved(default).named == named | ({} if bare is None else {default: bare})
