"""A release on a real cluster, then: Restate gets another image, which may be no good."""

import time

import httpx
import pytest

from tests.e2e.running import DEADLINE_SECONDS, WAITS, Release, get, kubectl, until

pytestmark = pytest.mark.e2e


def restate() -> tuple[str, str]:
    """The one pod of Restate, and its image."""
    [pod] = get("pods", "--selector=app.kubernetes.io/component=restate")
    return pod["metadata"]["uid"], pod["spec"]["containers"][0]["image"]


def serves(users: httpx.Client) -> bool:
    """Whether the service answers: there is no such market."""
    return users.post("/MarketService/none/get").status_code == 404


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("restate.image=betting.local/nowhere:1", "ErrImagePull"),
        ("restate.image={v1}", "restate-server"),
    ],
    ids=["cannot be pulled", "is no Restate"],
)
def test_1i_an_image_of_restate_that_does_not_start_leaves_restate_alone(
    release: Release, users: httpx.Client, value: str, reason: str
) -> None:
    before, began = restate(), time.monotonic()

    said = release.upgrade(value.format_map(release.images), "service.pods=1", ok=False)

    assert time.monotonic() - began < DEADLINE_SECONDS
    image = value.format_map(release.images).partition("=")[2]
    last = said.strip().splitlines()[-1]
    assert f"restate.image {image} does not start" in said, last
    assert reason in said
    assert (restate(), serves(users)) == (before, True)
    [v1] = get("deploy", "--selector=betting/version=v1,app.kubernetes.io/component=version")
    assert v1["metadata"]["annotations"]["betting/full-strength"] == "2", "nothing else was changed either"
    assert not get("deploy", "--selector=app.kubernetes.io/component=restate-trial")


def test_1n_an_image_of_restate_that_starts_takes_over(release: Release, users: httpx.Client) -> None:
    pod, image = restate()
    same_by_another_name = f"docker.io/{image}"

    release.upgrade(f"restate.image={same_by_another_name}")

    kubectl("rollout", "status", "statefulset/betting-restate", WAITS)
    assert restate()[1] == same_by_another_name
    assert restate()[0] != pod
    until(lambda: serves(users), "the service is back")
