"""What a load needs grows with it, adds up, and is the base alone where nothing is asked."""

from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.capacity.needs import OPERATIONS, Load, cores, needs_of, rows_kept, stored_by, usual_load, value

rates = st.floats(0, 100_000)
loads = st.builds(
    Load,
    bets=rates,
    settlements=rates,
    deposits=rates,
    withdrawals=rates,
    price_changes=rates,
    reads=rates,
    players=st.floats(0, 10**8),
    markets_a_day=st.floats(0, 10**6),
    days=st.floats(0, 1_000),
)
nodes = st.sampled_from([1, 3])
LOADS = [field.name for field in fields(Load)]


def numbers(needs: dict[str, Any]) -> dict[str, float]:
    """All numbers, also those inside."""
    return {**{name: one for name, one in needs.items() if name != "stored"}, **needs["stored"]}


@pytest.mark.parametrize("what", LOADS)
@given(load=loads, more=st.floats(0, 100_000), nodes=nodes)
def test_more_of_anything_never_needs_less_of_anything(what: str, load: Load, more: float, nodes: int) -> None:
    larger = replace(load, **{what: getattr(load, what) + more})

    before, after = numbers(asdict(needs_of(load, nodes))), numbers(asdict(needs_of(larger, nodes)))
    assert {name: after[name] for name in before if after[name] < before[name] * (1 - 1e-9)} == {}


@pytest.mark.parametrize("what", LOADS)
def test_more_of_anything_needs_more_of_something(what: str) -> None:
    load = usual_load(bets=1_000, players=1_000_000, days=30)
    larger = replace(load, **{what: 2 * getattr(load, what)})

    assert needs_of(larger, 3) != needs_of(load, 3)


@given(one=loads, other=loads)
def test_two_loads_together_cost_what_they_cost_alone(one: Load, other: Load) -> None:
    other = replace(other, days=one.days)
    both = replace(one, **{name: getattr(one, name) + getattr(other, name) for name in LOADS if name != "days"})

    for process in ("service", "restate"):
        assert cores(both, process) == pytest.approx(cores(one, process) + cores(other, process))
    assert rows_kept(both) == pytest.approx(rows_kept(one) + rows_kept(other))
    alone, without = stored_by(one, 8), replace(stored_by(other, 8), log=0)
    assert stored_by(both, 8).total == pytest.approx(alone.total + without.total)


@given(load=loads, nodes=nodes)
def test_a_volume_has_all_that_is_stored_and_room(load: Load, nodes: int) -> None:
    needs = needs_of(load, nodes)

    copies = {1: 1, 3: 2}[nodes]
    assert needs.stored.total == pytest.approx(sum(asdict(needs.stored).values()))
    assert needs.volume_bytes == pytest.approx(
        value("volume_room") * (value("node_bytes") + needs.stored.total * copies / nodes)
    )


@given(nodes=nodes)
def test_no_load_needs_the_base_only(nodes: int) -> None:
    needs = needs_of(Load(), nodes)

    assert (needs.service_pods, needs.door_pods, needs.node_cores) == (2, 2, 1)
    assert (needs.rows, needs.written_bytes) == (0, 0)
    assert asdict(needs.stored) == {
        "players": 0,
        "history": 0,
        "follow_ups": 0,
        "answers": 0,
        "log": needs.partitions * value("log_records") * value("record_bytes"),
    }
    assert needs.service_cores == value("idle_service_ms") / 1000
    assert needs.restate_cores == nodes * value("idle_restate_ms") / 1000


@given(load=loads)
def test_two_of_three_nodes_can_do_the_work_of_all(load: Load) -> None:
    needs = needs_of(load, 3)

    assert needs.restate_cores <= 2 * needs.node_cores * value("busy") * (1 + 1e-9)


@given(load=loads)
def test_no_pod_is_busier_than_it_should_be(load: Load) -> None:
    needs = needs_of(load, 3)

    assert needs.service_cores <= needs.service_pods * value("busy") * (1 + 1e-9)
    assert needs.door_cores <= needs.door_pods * value("busy") * (1 + 1e-9)


def test_three_nodes_write_everything_twice() -> None:
    load = usual_load(bets=100, players=1_000, days=1)

    assert needs_of(load, 3).written_bytes == pytest.approx(2 / 3 * needs_of(load, 1).written_bytes)


def test_what_is_forgotten_takes_no_more_after_its_time() -> None:
    load = usual_load(bets=100, players=1_000, days=value("follow_up_days"))
    later = replace(load, days=10 * load.days)

    assert stored_by(later, 8).follow_ups == stored_by(load, 8).follow_ups
    assert rows_kept(later) == rows_kept(load)
    assert stored_by(later, 8).history == pytest.approx(10 * stored_by(load, 8).history)


def test_a_settlement_does_not_pass_the_door() -> None:
    assert Load(settlements=5, bets=1).at_the_door == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_costs_what_its_constants_say(operation: str) -> None:
    names = dict(zip(OPERATIONS, LOADS, strict=False))
    load = replace(Load(), **{names[operation]: 1_000})

    for process in ("service", "restate"):
        assert cores(load, process) == pytest.approx(value(f"{operation}_{process}_ms"))
