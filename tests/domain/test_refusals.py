"""How a request that cannot be understood is answered."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.domain.markets import SelectionOffer, SettleMarket
from app.domain.model import Id, PublicRequest, is_id
from app.domain.refusals import HTTP_STATUS, MOST_CHARACTERS, MOST_FIELDS, TERMS, Refusal, invalid_request
from app.services.markets.markets import SelectionRequest


class Asked(PublicRequest):
    amount: int = 0


def told(body: dict[str, Any], *within: str) -> str:
    with pytest.raises(ValidationError) as error:
        Asked.model_validate(body)
    return invalid_request(error.value, *within).message


@pytest.mark.parametrize(("fields", "more"), [(MOST_FIELDS, ""), (MOST_FIELDS + 1, "and 1 more"), (47, "and 37 more")])
def test_at_most_ten_wrong_fields_are_named_and_the_others_counted(fields: int, more: str) -> None:
    words = told({f"f{number}": 1 for number in range(fields)}).split("; ")

    assert words[:MOST_FIELDS] == [f"f{number}: Extra inputs are not permitted" for number in range(MOST_FIELDS)]
    assert words[MOST_FIELDS:] == ([more] if more else [])


def test_the_text_is_short_whatever_strangers_call_their_fields() -> None:
    message = told({f"{number}{'x' * 60_000}": 1 for number in range(99)}, "content")

    assert len(message) < 2 * (MOST_FIELDS + 1) * MOST_CHARACTERS + 100


@pytest.mark.parametrize(
    ("text", "known"), [(".", False), ("..", False), ("...", True), (".a", True), ("a..", True), ("", False)]
)
def test_a_dot_and_two_dots_are_no_ids_since_proxies_take_them_away(text: str, known: bool) -> None:
    assert is_id(text) is known
    as_a_key = TypeAdapter(dict[Id, int])
    if known:
        assert as_a_key.validate_python({text: 1}) == {text: 1}
    else:
        with pytest.raises(ValidationError):
            as_a_key.validate_python({text: 1})


def test_a_market_that_was_opened_with_a_dot_for_an_id_still_loads_and_is_settled() -> None:
    old = {"selectionId": "..", "name": "x", "price": "2.00"}

    assert SelectionOffer.model_validate(old).selection_id == ".."
    assert SettleMarket.model_validate({"version": 1, "outcomes": {"..": {"result": "void"}}}).outcomes
    with pytest.raises(ValidationError):
        SelectionRequest.model_validate(old)


def test_every_refusal_has_a_status_of_a_wrong_request() -> None:
    assert TERMS.keys() == set(Refusal)
    assert all(400 <= status < 500 for status in HTTP_STATUS)
    assert sorted(reason for reasons in HTTP_STATUS.values() for reason in reasons) == sorted(Refusal)
