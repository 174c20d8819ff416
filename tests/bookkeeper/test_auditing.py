import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bookkeeper.auditing import MOST, TURN_SECONDS, audits_due


@pytest.mark.parametrize(
    ("players", "seconds", "due"),
    [(0, 30, 0), (7, 30, 7), (10_000, 30, 20), (100_000, 30, 42), (1_000_000, 30, 417), (1_000_000, 300, 4_167)],
)
def test_so_many_are_audited(players: int, seconds: float, due: int) -> None:
    assert audits_due(players, seconds, fewest=20) == due


def test_the_first_look_has_nothing_to_make_up_for() -> None:
    assert audits_due(1_000_000, 0, fewest=20) == 20


def test_a_look_ends_however_long_the_one_before_it_is_ago() -> None:
    assert audits_due(1_000_000, TURN_SECONDS, fewest=20) == MOST


@given(players=st.integers(0, 1_000_000), every=st.integers(1, 350))
def test_each_player_has_a_turn_in_time(players: int, every: int) -> None:
    looks = TURN_SECONDS // every + 1
    assert looks * audits_due(players, every, fewest=1) >= players
