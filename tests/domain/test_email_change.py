"""A new address is believed once its code comes back."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.email_change import (
    CODES_WITHIN,
    EXPIRES_AFTER,
    MAX_CODES,
    MAX_WRONG_CODES,
    EmailChangeView,
    EmailView,
    change_email,
    confirm_email,
)
from app.domain.player import Player
from app.domain.refusals import Refusal, Refused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CODE = "ABCDEFGH23"
PLAYER = Player(user_id="u", email="old@example.com")


def asked(player: Player = PLAYER, email: str = "new@example.com", code: str = CODE) -> Player:
    return change_email(player, email, code, NOW).player


def reason(outcome: object) -> Refusal:
    assert isinstance(outcome, Refused)
    assert CODE not in outcome.message
    return outcome.reason


def test_a_code_goes_to_the_new_address_and_a_notice_to_the_old_one() -> None:
    decision = change_email(PLAYER, "new@example.com", CODE, NOW)

    assert {told.to: CODE in told.text for told in decision.messages} == {
        "new@example.com": True,
        "old@example.com": False,
    }
    assert decision.player.email == "old@example.com"
    assert decision.outcome == EmailChangeView(email="new@example.com", expires_at=NOW + EXPIRES_AFTER)
    assert CODE not in decision.player.model_dump_json()


def test_a_player_without_an_address_gets_a_code_alone() -> None:
    decision = change_email(Player(user_id="u"), "new@example.com", CODE, NOW)

    assert [told.to for told in decision.messages] == ["new@example.com"]


@pytest.mark.parametrize("age", [timedelta(), EXPIRES_AFTER])
@pytest.mark.parametrize("code", [CODE, CODE.lower()])
def test_the_code_sets_the_address_once(age: timedelta, code: str) -> None:
    confirmed = confirm_email(asked(), code, NOW + age)

    assert confirmed.outcome == EmailView(email="new@example.com")
    assert confirmed.player.email == "new@example.com"
    assert reason(confirm_email(confirmed.player, code, NOW).outcome) is Refusal.NO_PENDING_CHANGE


def test_a_code_expires() -> None:
    late = confirm_email(asked(), CODE, NOW + EXPIRES_AFTER + timedelta(milliseconds=1))

    assert reason(late.outcome) is Refusal.CHANGE_EXPIRED
    assert late.player.email == "old@example.com"


def test_nobody_finds_a_code_by_trying() -> None:
    player = asked()
    for _ in range(MAX_WRONG_CODES):
        decision = confirm_email(player, "WRONG", NOW)
        assert reason(decision.outcome) is Refusal.WRONG_CODE
        player = decision.player

    assert reason(confirm_email(player, CODE, NOW).outcome) is Refusal.NO_PENDING_CHANGE
    assert player.email == "old@example.com"


def test_the_last_try_may_be_the_right_one() -> None:
    player = asked()
    for _ in range(MAX_WRONG_CODES - 1):
        player = confirm_email(player, "WRONG", NOW).player

    assert confirm_email(player, CODE, NOW).player.email == "new@example.com"


def test_asking_again_replaces_the_code_and_is_told_anew() -> None:
    first = change_email(PLAYER, "new@example.com", CODE, NOW)
    second = change_email(first.player, "other@example.com", "ZZZZZZZZ99", NOW)

    assert reason(confirm_email(second.player, CODE, NOW).outcome) is Refusal.WRONG_CODE
    assert confirm_email(second.player, "ZZZZZZZZ99", NOW).player.email == "other@example.com"
    assert not {told.message_id for told in first.messages} & {told.message_id for told in second.messages}


def test_nobody_is_flooded_with_codes() -> None:
    player = PLAYER
    for number in range(MAX_CODES):
        player = change_email(player, f"{number}@example.com", CODE, NOW + timedelta(minutes=number)).player

    refused = change_email(player, "more@example.com", "ZZZZZZZZ99", NOW + CODES_WITHIN - timedelta(milliseconds=1))
    later = change_email(player, "more@example.com", "ZZZZZZZZ99", NOW + CODES_WITHIN)

    assert reason(refused.outcome) is Refusal.TOO_MANY_CODES
    assert (refused.messages, refused.player) == ((), player)
    assert confirm_email(player, CODE, NOW).player.email == f"{MAX_CODES - 1}@example.com"
    assert len(later.messages) == 2
    assert len(later.player.email_codes_asked) == MAX_CODES


def test_without_a_change_there_is_nothing_to_confirm() -> None:
    decision = confirm_email(PLAYER, CODE, NOW)

    assert reason(decision.outcome) is Refusal.NO_PENDING_CHANGE
    assert decision.player is PLAYER
