"""What becomes of a request for which Restate's ingress itself says 404: nothing was accepted, so it is tried again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.sandbox.identity import key_set, new_key
from tests.edge.conftest import BEHIND_THE_DOOR
from tests.edge.envoy_gateway import running_gateway
from tests.edge.envoys import RunningEnvoy, running_envoy, settings_for
from tests.edge.raw import ask
from tests.helpers.ports import free_port
from tests.helpers.scripted import UNKNOWN, Scripted
from tests.helpers.serving import served
from tests.running import running

MARKET = "/MarketService/m-1/get"
KEYS = key_set(new_key())
REFUSED = b'{"code":404,"message":"no such market","metadata":{"reason":"unknown_market"},"source":"invocation"}'


@contextmanager
def door_of(scripted: Scripted) -> Iterator[RunningEnvoy]:
    with served(scripted, port := free_port()), running_envoy(settings_for(port, KEYS)) as envoy:
        yield envoy


def test_what_restate_does_not_know_yet_is_asked_again_until_it_does() -> None:
    restate = Scripted(UNKNOWN, UNKNOWN, (200, None, b'{"marketId":"m-1"}'))

    with door_of(restate) as envoy:
        answer = ask(envoy.url, MARKET)

    assert (answer.status, answer.body, restate.asked) == (200, {"marketId": "m-1"}, 3)
    assert [name for name in answer.headers if name.startswith("x-betting")] == []


def test_what_restate_goes_on_not_to_know_is_an_outage_that_passes() -> None:
    restate = Scripted(UNKNOWN)

    with door_of(restate) as envoy:
        answer = ask(envoy.url, MARKET)

    assert (answer.status, answer.reason, answer.headers["retry-after"]) == (503, "unavailable", "1")
    assert (answer.body["code"], answer.body["source"], restate.asked) == (503, "edge", 3)
    assert "nothing was accepted" in answer.body["message"]
    assert "x-restate-error-source" not in answer.headers


@pytest.mark.parametrize(
    ("status", "source"), [(404, "invocation"), (404, None), (400, "ingress"), (500, "ingress"), (503, "ingress")]
)
def test_no_other_answer_is_asked_for_again_or_changed(status: int, source: str | None) -> None:
    """An error of the ingress that is no 404 may come after the request was accepted."""
    restate = Scripted((status, source, REFUSED))

    with door_of(restate) as envoy:
        answer = ask(envoy.url, MARKET)

    assert (answer.status, answer.content, restate.asked) == (status, REFUSED, 1)
    assert "retry-after" not in answer.headers


def test_behind_envoy_gateway_it_is_told_as_an_outage_at_once(tmp_path: Path) -> None:
    restate = Scripted(UNKNOWN, (404, "invocation", REFUSED))

    with (
        served(restate, port := free_port()),
        running_gateway(settings_for(port, KEYS, tls=True), tmp_path) as envoy,
    ):
        unknown, refused = ask(envoy.url, MARKET), ask(envoy.url, MARKET)

    assert (unknown.status, unknown.reason, unknown.headers["retry-after"]) == (503, "unavailable", "1")
    assert (refused.status, refused.content, restate.asked) == (404, REFUSED, 2)


def test_a_real_restate_that_knows_nothing_says_so_as_the_door_reads_it(tmp_path: Path) -> None:
    with running(tmp_path, environment=BEHIND_THE_DOOR, options=["--edge"]) as system:
        door = system.facts()["edge"]
        with httpx.Client(base_url=system.admin, trust_env=False, timeout=30) as admin:
            refused = ask(door, MARKET)
            for each in admin.get("/deployments").raise_for_status().json()["deployments"]:
                admin.delete(f"/deployments/{each['id']}", params={"force": True}).raise_for_status()
            system.eventually(lambda: ask(door, MARKET).status == 503)
            unknown = ask(door, MARKET)
            admin.post("/deployments", json={"uri": system.service, "force": True}).raise_for_status()
            system.eventually(lambda: ask(door, MARKET).status != 503)
            again = ask(door, MARKET)

    assert (unknown.reason, unknown.headers["retry-after"]) == ("unavailable", "1")
    assert [(each.status, each.reason) for each in (refused, again)] == [(404, "unknown_market")] * 2
