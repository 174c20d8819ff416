"""Dashboards are what their code says, and a person can read them."""

import json
from itertools import combinations
from typing import Any

import pytest

from k8s.observability.dashboards import boards, grafana
from k8s.observability.dashboards.__main__ import FILES
from k8s.observability.dashboards.model import COLUMNS, Board, Look, Panel

every_board = pytest.mark.parametrize("board", boards.ALL, ids=lambda board: board.name)


@every_board
def test_the_committed_dashboard_is_what_the_code_makes(board: Board) -> None:
    assert (FILES / f"{board.name}.json").read_text() == grafana.as_json(board), "make dashboards"


def test_no_other_dashboard_is_committed() -> None:
    assert {file.name for file in FILES.iterdir()} == {f"{board.name}.json" for board in boards.ALL}


def loaded(board: Board) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(grafana.as_json(board))
    return made


@every_board
def test_a_dashboard_lets_the_reader_choose_the_prometheus_and_the_namespace(board: Board) -> None:
    source, namespace = loaded(board)["templating"]["list"]

    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    assert (namespace["name"], namespace["includeAll"]) == ("namespace", True)
    for panel in loaded(board)["panels"]:
        if panel["type"] != "row":
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {f"${{{source['name']}}}"}


@every_board
def test_every_query_keeps_to_the_chosen_namespace(board: Board) -> None:
    for panel in board.panels():
        for query in panel.queries:
            selectors = query.expr.count("{")
            assert query.expr.count('{namespace=~"$namespace"') == selectors > 0, panel.title


@every_board
def test_a_dashboard_links_to_those_beside_it(board: Board) -> None:
    [link] = loaded(board)["links"]

    assert (link["type"], link["tags"]) == ("dashboards", loaded(board)["tags"])
    assert link["includeVars"] is link["keepTime"] is True


@every_board
def test_every_panel_says_what_it_means_in_a_sentence(board: Board) -> None:
    for panel in board.panels():
        assert panel.description.endswith("."), panel.title
        assert panel.queries, panel.title


@every_board
def test_several_series_of_a_panel_can_be_told_apart(board: Board) -> None:
    for panel in board.panels():
        legends = [query.legend for query in panel.queries]
        assert len(set(legends)) == len(legends), panel.title
        if panel.look in (Look.LINES, Look.LAYERS):
            assert all(legends), panel.title


@every_board
def test_panels_lie_in_the_grid_and_not_on_each_other(board: Board) -> None:
    places = [(what, place) for what, place in board.placed() if isinstance(what, Panel)]

    assert all(place.x + place.width <= COLUMNS for _, place in places)
    for (_, one), (_, other) in combinations(places, 2):
        apart = (
            one.x + one.width <= other.x
            or other.x + other.width <= one.x
            or one.y + one.height <= other.y
            or other.y + other.height <= one.y
        )
        assert apart


@every_board
def test_what_an_operator_needs_first_fits_on_a_screen(board: Board) -> None:
    first = board.sections[0]

    assert first.title == "At a glance"
    assert max(place.y + place.height for what, place in board.placed() if what in first.panels) <= 12
