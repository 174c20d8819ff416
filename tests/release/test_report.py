"""What operators read."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from app.release import report
from app.release.fixed_settings import Known
from app.release.plan import Observed, Plan, Restate, plan
from tests.release.plans import BOTH, NOON, ON_V2, V1, V2, routed_to, version, work


def planned(restate: Restate | None = ON_V2) -> Plan:
    return plan(Observed((V1, V2), "v2", restate))


def printed(made: Plan, columns: int = 150) -> str:
    console = Console(width=columns, no_color=True)
    with console.capture() as captured:
        console.print(report.table(made, NOON + timedelta(minutes=90)))
    return captured.get()


def test_status_has_a_row_a_version_with_all_that_matters() -> None:
    rows = printed(planned(replace(ON_V2, work=(work("v1"), work("v1", "paused"))))).splitlines()

    cells = [[cell.strip() for cell in row.split("│")[1:-1]] for row in rows if "│ v" in row]
    assert cells == [
        ["v1", "no", "2/2", "1 paused, 1 suspended", "1h 30m", "1", "stuck"],
        ["v2 (wanted)", "yes", "2/2", "-", "-", "0", "live"],
    ]


def test_status_says_why_pods_do_not_start() -> None:
    crashing = version("v2", available=0, trouble="CrashLoopBackOff: no such setting")

    assert "starting: CrashLoopBackOff: no such setting" in printed(
        plan(Observed((crashing,), "v2", Restate(BOTH[:1], routed_to("v1"))))
    )


def test_status_names_what_is_gone_and_who_brings_it_back() -> None:
    made = plan(Observed((V1,), "v2", replace(ON_V2, work=(work("v1"),))))

    assert "missing: its Deployment is gone" in printed(made)
    assert "restore v2: its Deployment is gone; `helm upgrade` brings it back" in report.steps(made.actions)


def test_status_says_why_restate_refuses_a_version() -> None:
    refused = version("v2", refused="a service changed its type")

    made = plan(Observed((refused,), "v2", Restate(BOTH[:1], routed_to("v1"))))

    assert "starting: Restate refuses it: a service changed its type" in printed(made)


def test_status_and_why_tell_what_a_version_runs_that_it_did_not_go_live_with() -> None:
    now = {"BETTING_REVIEW_THRESHOLD": "6000"}
    for replicas in (2, 0):
        strayed = version("v1", replicas=replicas, settings=now, known_settings=Known({}), known_image="betting:first")
        made = plan(Observed((strayed, V2), "v2", replace(ON_V2, work=(work("v1"),))))
        told = (
            "not what it went live with: image was betting:first and is betting:v1, BETTING_REVIEW_THRESHOLD was empty"
        )

        said = " ".join(cell for row in printed(made, 500).splitlines() for cell in row.split())
        assert f"draining: {told} and is 6000" in said
        assert report.held_by(made.standings[0])[0] == f"{told} and is 6000"
        assert json.loads(report.as_json(made))["versions"][0]["strayed"][1].startswith("BETTING_REVIEW_THRESHOLD")


def test_what_is_unknown_is_called_unknown() -> None:
    assert report.routed(planned(None).standings[0]) == "unknown"
    assert "did not answer" in report.held_by(planned(None).standings[0])[0]


def test_held_by_names_routes_work_and_what_a_human_has_to_do() -> None:
    split = Restate(BOTH, {"Player": "dp_v2", "Payment": "dp_v1"}, (work("v1", "paused"),))

    assert report.held_by(planned(split).standings[0]) == (
        "new work of Payment starts on it",
        "unfinished work needs it: 1 paused",
        "paused work waits for a human: `rescue` it",
    )


def test_nothing_holds_a_drained_version() -> None:
    assert report.held_by(planned().standings[0]) == ()


def test_json_has_the_verdicts_and_the_plan() -> None:
    told = json.loads(report.as_json(plan(Observed((V1, V2), "v2", ON_V2), frozenset({"v1"}))))

    assert {v["name"]: v["verdict"] for v in told["versions"]} == {"v1": "drained", "v2": "live"}
    assert [(step["do"], step["version"], step["replicas"]) for step in told["plan"]] == [("scale", "v1", 0)]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0s"), (59, "59s"), (3600, "1h 0m"), (90_061, "1d 1h"), (-5, "0s")], ids=str
)
def test_ages_have_two_units_at_most(seconds: int, said: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert report.age(now - timedelta(seconds=seconds), now) == said


def test_what_the_watch_took_back_says_so_in_status_and_why() -> None:
    made = plan(Observed((V1, version("v2", taken_back="placeBet: 20 of 100 attempts failed")), "v1", Restate(BOTH)))

    assert "taken back: placeBet: 20 of 100 attempts failed" in printed(made)
    assert report.held_by(made.standings[1])[0] == "the watch took it back: placeBet: 20 of 100 attempts failed"
    assert json.loads(report.as_json(made, watch={"live": "v1"}))["watch"] == {"live": "v1"}
