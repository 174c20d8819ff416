import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.model import Wire
from app.domain.odds import HIGHEST, LOWEST, Price, PriceChange, price_taken


class Offer(Wire):
    price: Price


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2.5", "2.50"),
        ("2.50", "2.50"),
        ("2.500", "2.50"),
        ("2", "2.00"),
        ("1.95", "1.95"),
        ("2.125", "2.125"),
        ("1.001", "1.001"),
        ("1000", "1000.00"),
        ("1000.000", "1000.00"),
        (2.5, "2.50"),
        (2, "2.00"),
        (1.001, "1.001"),
        (999.999, "999.999"),
        (1e3, "1000.00"),
    ],
)
def test_a_price_is_read_as_string_or_number_and_shown_with_two_places_or_three(given: object, shown: str) -> None:
    offer = Offer.model_validate_json(json.dumps({"price": given}))

    assert json.loads(offer.model_dump_json()) == {"price": shown}


@pytest.mark.parametrize(
    "body",
    [
        "1.0005",
        "2.0005",
        "2.4999999",
        "false",
        "1.0",
        "1",
        "1000.001",
        "1001",
        "0",
        "-2",
        "NaN",
        "Infinity",
        "1e400",
        "1e300",
        "1e308",
        "true",
        "null",
        "[]",
        "{}",
    ]
    + [f'"{text}"' for text in ("2.5 ", " 2.5", "2.5000", "1.0005", "1e1", "+2", "2.", ".5", "02.5", "2,5", "")]
    + [f'"{text}"' for text in ("NaN", "1_0", "\u0662.5", "1000.001", "1.000", "99999")]
    + ["1" + "0" * 400],
)
def test_anything_else_is_no_price(body: str) -> None:
    with pytest.raises(ValidationError):
        Offer.model_validate_json('{"price": ' + body + "}")


@given(st.integers(LOWEST, HIGHEST))
def test_every_price_comes_back_whether_sent_as_string_or_number(thousandths: int) -> None:
    price = Price(thousandths)

    assert Price.of(str(price)) == Price.of(float(str(price))) == price
    assert Decimal(str(price)) * 1000 == thousandths
    assert len(str(price).split(".")[1]) in (2, 3)
    assert Offer.model_validate_json(Offer(price=price).model_dump_json()) == Offer(price=price)


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_a_price_has_a_json_schema(mode) -> None:  # type: ignore[no-untyped-def]
    assert Offer.model_json_schema(mode=mode)["properties"]["price"]


@pytest.mark.parametrize(
    ("current", "change", "expected"),
    [
        ("2.00", PriceChange.NONE, "2.00"),
        ("2.01", PriceChange.NONE, None),
        ("1.99", PriceChange.NONE, None),
        ("2.00", PriceChange.HIGHER, "2.00"),
        ("2.01", PriceChange.HIGHER, "2.01"),
        ("1.99", PriceChange.HIGHER, None),
        ("2.01", PriceChange.ANY, "2.01"),
        ("1.99", PriceChange.ANY, "1.99"),
    ],
)
def test_a_player_takes_what_the_player_said(current: str, change: PriceChange, expected: str | None) -> None:
    price = price_taken(Price.of("2.00"), Price.of(current), change)

    assert price == (None if expected is None else Price.of(expected))
