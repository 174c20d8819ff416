"""What our door refuses by itself never reaches Restate."""

import pytest

from tests.edge.attacks import PATHS, TOKENS, Attack
from tests.edge.conftest import Door
from tests.edge.framing import BODIES, FRAMING


@pytest.mark.parametrize("attack", [*TOKENS, *PATHS, *BODIES, *FRAMING], ids=lambda attack: attack.name)
def test_what_the_door_refuses_never_reaches_restate(door: Door, attack: Attack) -> None:
    before = door.invocations()

    answer = attack.send(door)

    assert (answer.status, None if attack.reason is None else answer.reason) == (attack.status, attack.reason)
    assert door.invocations() == before
