"""`betting capacity`, as people and programs call it."""

import json

import pytest
from click.testing import CliRunner

from app.__main__ import betting


def run(*options: str, code: int = 0) -> str:
    """What it prints."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(betting, ["capacity", *options])
    assert result.exit_code == code, result.output
    return result.output


def test_it_says_of_each_number_where_it_is_from() -> None:
    shown = run("--bets-per-second", "1000", "--players", "1000000")

    assert "service: pods" in shown
    rows = [line for line in shown.splitlines() if line.startswith("│")]
    assert rows
    assert all("extrapolated" in row or "assumed" in row for row in rows if not row.startswith("│  "))


def test_several_loads_are_rows_of_one_table() -> None:
    shown = run("--bets-per-second=1", "--bets-per-second=2", "--players=3", "--players=4", "--output=markdown")

    assert [line.split(" | ")[:2] for line in shown.splitlines()[2:]] == [
        ["| 1", "3"],
        ["| 1", "4"],
        ["| 2", "3"],
        ["| 2", "4"],
    ]


def test_programs_get_the_load_the_needs_and_the_constants() -> None:
    shown = json.loads(run("--bets-per-second=100", "--deposits-per-second=7", "--nodes=1", "--output=json"))

    [one] = shown["loads"]
    assert (shown["nodes"], one["load"]["deposits"], one["load"]["withdrawals"]) == (1, 7, 1)
    assert one["needs"]["service_pods"] >= 2
    assert shown["constants"]["answer_seconds"]["basis"] == "setting"


def test_what_no_machine_has_is_called_no_plan() -> None:
    shown = run("--bets-per-second", "10000")

    assert "which is no plan" in shown
    assert "no plan" not in run("--bets-per-second", "100")


@pytest.mark.parametrize(
    ("option", "given", "said"),
    [
        ("--bets-per-second", "-1", "-1.0 is not in the range 0<=x<=1000000000000"),
        ("--bets-per-second", "nan", "nan is not in the range 0<=x"),
        ("--bets-per-second", "many", "'many' is not a valid float"),
        ("--deposits-per-second", "inf", "inf is not in the range 0<=x"),
        ("--markets-a-day", "-2", "-2.0 is not in the range 0<=x"),
        ("--days", "-1", "-1.0 is not in the range 0<=x"),
        ("--players", "-5", "-5 is not in the range"),
        ("--nodes", "2", "'2' is not one of '1', '3'"),
    ],
)
def test_what_is_no_load_is_refused_by_the_options_name(option: str, given: str, said: str) -> None:
    shown = run(option, given, code=2)

    assert f"'{option}'" in shown
    assert said in shown


def test_two_tables_at_once_are_refused() -> None:
    assert "ask for one of them" in run("--constants", "--bases", code=2)
