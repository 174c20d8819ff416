"""A release on a real cluster, first: it is installed, and who reaches what. The steps build on each other."""

import json
from pathlib import Path

import httpx
import pytest

from tests.e2e.people import (
    PLAYER,
    TRADER,
    deposited,
    reason,
)
from tests.e2e.running import (
    NAMESPACE,
    Release,
    admin_port,
    by,
    door,
    forward,
    get,
    kubectl,
    of_the_door,
    rows,
    run,
    said_by,
    until,
)
from tests.e2e.watching import in_sight, panel, seen, watch

pytestmark = pytest.mark.e2e

LOOKS_ABOUT = (Path(__file__).parent / "stranger.py").read_text()


def test_1_an_install_takes_a_first_deposit_and_mails_it(release: Release) -> None:
    notes = release.install()
    run("helm", "test", "betting", f"--namespace={NAMESPACE}")
    with door() as users, forward("service/betting-sandbox", 9090) as sandbox:
        body = PLAYER | {"amount": 100, "paymentMethod": "creditCard"}

        answer = users.post("/PaymentService/deposit", json=body, auth=by(PLAYER["userId"])).json()

        assert answer["status"] == "credited"
        until(lambda: [m for m in sandbox.get("/mails").json() if m["to"] == PLAYER["email"]], "the mail")
        assert "SANDBOX" in notes


def test_1a_a_pod_that_is_nobodys_reaches_only_the_door_and_there_only_what_is_for_anyone(release: Release) -> None:
    of_each = {found["metadata"]["name"]: found["status"]["podIP"] for found in get("pods")}
    others = (
        "betting-restate:8080",
        "betting-restate-admin:9070",
        "betting-restate-nodes:5122",
        "betting-v1:9080",
        "betting-sandbox:9090",
        f"{of_each[of_the_door()[0]]}:9902",
    )
    said = {
        "/MarketService/none/get": "unknown_market",
        "/PlayerService/ann/getAccount": "unauthenticated",
        "/WithdrawalWorkflow/none/approve": "unauthenticated",
        "/PlayerService/ann/credit": "not_found",
        "/PlayerService/ann/getAccount/send": "not_found",
        "/restate/health": "not_found",
    }

    arguments = ["-c", LOOKS_ABOUT, "betting-edge:8080", *others, *said]
    reached, answers = json.loads(said_by("stranger", release.images["v1"], arguments))

    assert reached == {"betting-edge:8080": True, **dict.fromkeys(others, False)}
    assert answers == said


def test_1b_a_request_that_our_restate_did_not_sign_is_refused(release: Release) -> None:
    with forward("deploy/betting-v1", 9080) as service:
        assert service.get("/health").is_success
        assert service.post("/invoke/PlayerService/audit").status_code == 401
        assert service.get("/discover").status_code == 401


def test_1c_whoever_looks_sees_the_release(release: Release, look: Path) -> None:
    watch(look)

    running = {"books": 1, "edge": 2, "release": 1, "restate": 1, "service": 2}
    until(lambda: in_sight() == running, "all pods are scraped")
    until(lambda: seen("sum(betting_deposits_total{outcome='credited'})")[0]["value"] == 2, "both deposits")
    until(lambda: [found["version"] for found in seen(panel("Takes new work"))] == ["v1"], "Versions shows v1 live")
    until(lambda: seen(panel("Drains")) == [], "Versions shows no version draining")


@pytest.mark.parametrize(
    ("pod", "reached"),
    [
        ("deploy/betting-v1", {"betting-sandbox:9090", "betting-sandbox:1025"}),
        ("deploy/betting-release", {"betting-restate-admin:9070"}),
        ("deploy/betting-books", {"betting-restate:8080", "betting-restate-admin:9070", "betting-sandbox:9090"}),
        ("pod/betting-sandbox-0", {"betting-restate:8080"}),
    ],
)
def test_1d_our_pods_reach_of_each_other_what_they_need(release: Release, pod: str, reached: set[str]) -> None:
    services = {
        f"{found['metadata']['name']}:{port['port']}" for found in get("services") for port in found["spec"]["ports"]
    }

    reached_now, _ = json.loads(kubectl("exec", pod, "--", "python", "-c", LOOKS_ABOUT, *sorted(services)))

    own_service = f"{pod.partition('/')[2].removesuffix('-0')}:"  # a pod reaches itself
    found = {target for target, came in reached_now.items() if came and not target.startswith(own_service)}
    assert found == reached


def test_1e_nobody_sees_anothers_account_and_a_trader_approves_nothing(release: Release, users: httpx.Client) -> None:
    for name in ("ann", "ben"):
        deposited(users, name, 100)

    seen_by_ann = [users.post(f"/PlayerService/{name}/getAccount", auth=by("ann")) for name in ("ann", "ben", "nobody")]
    approved = users.post("/WithdrawalWorkflow/none/approve", json={"operator": "pat"}, auth=TRADER)
    another = PLAYER | {"amount": 1, "paymentMethod": "creditCard", "userId": "ben", "walletId": "ben"}
    for_ben = users.post("/PaymentService/deposit", json=another, auth=by("ann"))

    assert seen_by_ann[0].is_success
    assert [reason(answer) for answer in seen_by_ann[1:]] == [("invocation", "not_yours")] * 2
    assert reason(approved) == ("invocation", "role_needed")
    assert reason(for_ben) == ("invocation", "not_yours")


def test_1f_a_large_request_is_refused_before_restate(release: Release, users: httpx.Client) -> None:
    body = PLAYER | {"amount": 1, "paymentMethod": "x" * 1_000_000}
    counted = "select count(*) as many from sys_invocation where target_service_name = 'PaymentService'"
    with admin_port() as admin:
        before = rows(admin, counted)

        answer = users.post("/PaymentService/deposit", json=body, auth=by(PLAYER["userId"]))

        assert (answer.status_code, reason(answer)) == (413, ("edge", "too_large"))
        assert rows(admin, counted) == before


def as_dict(headers: list[dict[str, str]]) -> dict[str, str]:
    return {header["name"]: header["value"] for header in headers}


def test_1g_no_token_cookie_or_address_is_written_down(release: Release, users: httpx.Client) -> None:
    secrets = {"cookie": "session=a-cookie", "x-forwarded-for": "203.0.113.77", "x-betting-roles": "payments"}
    body = PLAYER | {"amount": 1, "paymentMethod": "creditCard", "userId": "ann", "walletId": "ann"}
    answer = users.post("/PaymentService/deposit", json=body, headers=secrets, auth=by("ann"))
    token = answer.request.headers["authorization"].removeprefix("Bearer ")
    assert answer.json()["status"] == "credited"

    with admin_port() as admin:
        inputs = rows(admin, "select entry_json from sys_journal where index = 0")
        journal = b"".join(bytes.fromhex(entry["raw"]) for entry in rows(admin, "select raw from sys_journal"))

    all_headers = [json.loads(entry["entry_json"])["Command"]["Input"]["headers"] for entry in inputs]
    of_ann = [set(told) for told in map(as_dict, all_headers) if told.get("x-betting-user") == "ann"]
    assert answer.json()["depositId"].encode() in journal, "the journal is looked at"
    assert of_ann
    assert set.union(*of_ann) <= {
        "x-restate-ingress-path",
        "content-type",
        "content-length",
        "idempotency-key",
        "traceparent",
        "webhook-signature",
        "x-betting-user",
        "x-betting-roles",
        "x-betting-received-at",
    }
    for secret in (token, token.split(".")[-1], "a-cookie", "203.0.113.77", "authorization", "Bearer"):
        assert secret.encode() not in journal, secret


LOOP = f"--as=system:serviceaccount:{NAMESPACE}:betting-release"


@pytest.mark.parametrize(
    ("forbidden", "because"),
    [
        (["delete", "service", "betting-restate"], "touches only versions"),
        (["scale", "deploy/betting-edge", "--replicas=0"], "deployments/scale"),
        (["patch", "deploy/betting-edge", '--patch={"spec": {"replicas": 0}}'], "touches only versions"),
        (["set", "env", "deploy/betting-v1", "ANOTHER=setting"], "does not change what a version runs"),
        (["set", "image", "pod/betting-restate-0", "restate=another:1"], "to the prepare hook alone"),
        (["delete", "deploy", "betting-prometheus"], "touches only what has this release's labels"),
        (["get", "secret", "betting-token-key"], "cannot get resource"),
        (["get", "secret", "betting-signing-key"], "cannot get resource"),
    ],
    ids=lambda told: " ".join(told) if isinstance(told, list) else "",
)
def test_1h_the_release_loop_touches_versions_of_this_release_only(
    release: Release, forbidden: list[str], because: str
) -> None:
    assert because in kubectl(*forbidden, LOOP, ok=False)
