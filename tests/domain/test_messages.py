"""A message's id is its event's alone: mail servers drop what comes under an id that they know."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.deposits import EndDeposit, credit_deposit, reserve_deposit
from app.domain.player import message
from app.domain.policy import Policy
from tests.strategies import START, player, reserve

DOMAIN = Path(__file__).parents[2] / "app" / "domain"


@st.composite
def events(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    """A player and an event: the same few words, with dots between some and a border of ids between others."""
    first, *others = ["a", "b", "a", "b", "a"][: draw(st.integers(2, 5))]
    parts = [first]
    for word in others:
        if draw(st.booleans()):
            parts[-1] += f".{word}"
        else:
            parts.append(word)
    user_id, *event = parts if len(parts) > 1 else [first, *others]
    return user_id, tuple(event)


def message_id(user_id: str, event: tuple[str, ...]) -> str:
    (told,) = message(player(user_id).changed(email="a@example.com"), event, "A subject", "A text")
    return told.message_id


@given(events(), events())
def test_two_messages_have_one_id_only_if_they_are_of_one_event(
    one: tuple[str, tuple[str, ...]], other: tuple[str, tuple[str, ...]]
) -> None:
    assert (message_id(*one) == message_id(*other)) == (one == other)


def test_dots_in_ids_do_not_make_one_message_of_two() -> None:
    told = set()
    for user_id, deposit_id in (("f21", "x.deposit.y"), ("f21.deposit.x", "y")):
        document = reserve_deposit(player(user_id), reserve(deposit_id), Policy()).player
        end = EndDeposit(deposit_id=deposit_id, now=START)
        told |= {one.message_id for one in credit_deposit(document, end).messages}

    assert len(told) == 2


@pytest.mark.parametrize("part", ["", "a/b", "/"])
def test_a_part_that_could_not_be_told_apart_is_a_bug_of_ours(part: str) -> None:
    with pytest.raises(AssertionError, match="told apart"):
        message_id("u-1", ("deposit", part))


def test_every_event_is_named_part_by_part() -> None:
    """What is put together of two values is told apart no more: no part of an event is a text made of others."""
    put_together = [
        f"{file.name}:{part.lineno}"
        for file in DOMAIN.glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "message"
        for part in ast.walk(call.args[1])
        if isinstance(part, ast.JoinedStr)
    ]

    assert put_together == []
