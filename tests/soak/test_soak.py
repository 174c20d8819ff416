"""What a soak concludes from its looks, and how it ends."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.bench.costs import Cost
from tests.bench.measuring import Round
from tests.soak.__main__ import Soak, conclusion, table
from tests.soak.looking import MIB, Look
from tests.soak.seasons import Played
from tests.soak.verdict import LEAST

ROUND = Round(10, 20, 50, Cost({"service": 5.0, "restate": 7.0, "sandbox": 0.0}, 2, 13))
SEASON = Played(1, 5, 600, 80, 100, 150, ())
MEMORY = {"service": 90 * MIB, "restate": 400 * MIB}


def look(number: int) -> Look:
    """A look at a system that has more players each time, and everything that comes with them."""
    players = 100 * (number + 1)
    return Look(
        seconds=20 * number,
        players=players,
        disk=165 * MIB + 2048 * players,
        resident=MEMORY,
        unfinished={},
        kept={"PaymentService": 200, "WithdrawalWorkflow": players},
        state=3 * players,
        inbox=0,
        journal=2_000,
        loop=20,
        books=300 + players,
        bet=ROUND,
        deposit=ROUND,
        settling=1,
        idle={"service": 1.0, "restate": 20.0},
        season=SEASON,
    )


def soak(change: Callable[[Look, int], Look] = lambda look, _: look, looks: int = LEAST + 1) -> Soak:
    return Soak([change(look(number), number) for number in range(looks)])


def test_what_grows_by_design_is_level_as_long_as_it_grows_with_the_players() -> None:
    seen = soak()

    assert (seen.level, conclusion(seen)) == (True, ["nothing grew"])
    assert table(seen).row_count == len(seen.judged())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("memory of the service", lambda look, n: replace(look, resident={**MEMORY, "service": (90 + 10 * n) * MIB})),
        ("answers kept", lambda look, n: replace(look, kept={**look.kept, "PaymentService": 200 + 50 * n})),
        ("workflows, kept for 90 days", lambda look, n: replace(look, kept={"SettlementWorkflow": 100 * n * n})),
        ("unfinished invocations", lambda look, n: replace(look, unfinished={"suspended": 10 * n, "scheduled": 5})),
        ("bet, p99", lambda look, n: replace(look, bet=replace(ROUND, p99=20 + 10 * n))),
        ("disk of restate-server", lambda look, n: replace(look, disk=look.disk + 1_000_000 * n * n)),
    ],
)
def test_what_grew_is_named(name: str, change: Callable[[Look, int], Look]) -> None:
    seen = soak(change)

    assert (seen.level, conclusion(seen)) == (False, [f"grew: {name}"])


def test_a_problem_is_told_though_nothing_grew() -> None:
    seen = soak()
    seen.problems.append("season 7: a penny is missing")

    assert (seen.level, conclusion(seen)) == (False, ["season 7: a penny is missing", "nothing grew"])


def test_too_few_looks_conclude_nothing() -> None:
    for looks in (0, 1, LEAST):
        seen = soak(looks=looks)

        assert not seen.level
        assert conclusion(seen) == [f"nothing can be said after {looks} seasons: it takes {LEAST + 1}; see --minutes"]
        assert table(seen).row_count == len(seen.judged())
