"""The life of a release on a real cluster. The steps build on each other, in this order."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from k8s.observability.dashboards.versions import VERSIONS
from tests.e2e.running import (
    COMMAND_SECONDS,
    NAMESPACE,
    Release,
    forward,
    get,
    images,
    kubectl,
    load,
    pod,
    run,
    seen,
    until,
    unwatch,
    watch,
)

pytestmark = pytest.mark.e2e

PLAYER = {"walletId": "exampleWalletId", "userId": "exampleUserId", "email": "example@example.com"}
OTHERS_KEY = "publickeyv1_Ewt43aaq742w5Ygz7JAADAcnKLyvwsUcU2ZEAkPWQChk"


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    given = images()
    if given is None:
        pytest.skip("NO CLUSTER: `make e2e` gives BETTING_E2E_IMAGE_V1 and BETTING_E2E_IMAGE_V2")
    run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    run("kubectl", "create", "namespace", NAMESPACE)
    run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    yield Release(given)
    run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the Prometheus beside the release is described."""
    return tmp_path_factory.mktemp("look")


@pytest.fixture
def ingress() -> Iterator[httpx.Client]:
    with forward("service/betting-restate", 8080) as http:
        yield http


@pytest.fixture
def admin() -> Iterator[httpx.Client]:
    with forward("service/betting-restate-admin", 9070) as http:
        yield http


@pytest.fixture
def sandbox() -> Iterator[httpx.Client]:
    with forward("service/betting-sandbox", 9090) as http:
        yield http


def which(ingress: httpx.Client) -> str:
    """The version that answers: its words for a withdrawal that is not there."""
    said = ingress.post("/WithdrawalWorkflow/nobody/status").json()["message"]
    return "v2" if "never was" in said else "v1"


def in_review(ingress: httpx.Client, name: str) -> None:
    """A withdrawal that waits for a human."""
    body = PLAYER | {"amount": 9_000, "paymentMethod": "creditCard", "userId": name, "walletId": name}
    assert ingress.post("/PaymentService/deposit", json=body).json()["status"] == "credited"
    body = {"userId": name, "walletId": name, "amount": 6_000, "destination": "bank", "withdrawalId": name}
    assert ingress.post("/PaymentService/withdraw", json=body).json()["status"] == "inReview"


BETTOR = {"walletId": "bettor", "userId": "bettor"}


def deposited(ingress: httpx.Client, amount: int) -> None:
    body = BETTOR | {"amount": amount, "paymentMethod": "creditCard", "email": "bettor@example.com"}
    assert ingress.post("/PaymentService/deposit", json=body).json()["status"] == "credited"


def opened(ingress: httpx.Client, market: str, **fields: object) -> None:
    selections = [{"selectionId": name, "name": name, "price": "2.50"} for name in ("home", "away")]
    body = {"name": market, "selections": selections, **fields}
    assert ingress.post(f"/MarketService/{market}/open", json=body).is_success


def placed(ingress: httpx.Client, market: str) -> str:
    """A bet of 1000 on the home win, and how it stands."""
    legs = [{"marketId": market, "selectionId": "home", "price": "2.50"}]
    body = {"betId": market, "walletId": "bettor", "stake": 1_000, "legs": legs}
    return str(ingress.post("/PlayerService/bettor/placeBet", json=body).json()["status"])


def bet(ingress: httpx.Client, market: str) -> str:
    return str(ingress.post("/PlayerService/bettor/getBet", json={"betId": market}).json()["status"])


def settled(ingress: httpx.Client, market: str) -> dict[str, Any]:
    """The home win has won; how its settlement ended."""
    outcomes = {"home": {"result": "won"}, "away": {"result": "lost"}}
    answer = ingress.post(f"/MarketService/{market}/settle", json={"version": 1, "outcomes": outcomes}).json()
    path = f"/SettlementWorkflow/{answer['settlementId']}/progress"
    until(lambda: ingress.post(path).json()["done"], f"{market} is settled")
    progress: dict[str, Any] = ingress.post(path).json()
    return progress


def approve(ingress: httpx.Client, name: str) -> None:
    assert ingress.post(f"/WithdrawalWorkflow/{name}/approve", json={"operator": "e2e"}).is_success
    until(lambda: ingress.post(f"/WithdrawalWorkflow/{name}/status").json()["status"] == "paid", f"{name} is paid")


def pinned(admin: httpx.Client, name: str) -> str:
    """The deployment that a withdrawal runs on."""
    sql = f"select pinned_deployment_id from sys_invocation where target = 'WithdrawalWorkflow/{name}/run'"
    answer = admin.post("/query", json={"query": sql}, headers={"accept": "application/json"})
    return str(answer.json()["rows"][0]["pinned_deployment_id"])


def pods(version: str) -> list[str]:
    return [found["metadata"]["name"] for found in get("pods", f"--selector=betting/version={version}")]


def retired(release: Release, version: str) -> bool:
    return version not in (seen := release.status()) or seen[version]["verdict"] == "retired"


def panel(title: str) -> str:
    """The query of a panel of the dashboard Versions, as it is for all namespaces and the last minutes."""
    [query] = next(each for each in VERSIONS.panels() if each.title == title).queries
    return query.expr.replace("$namespace", ".*").replace("$__rate_interval", "1m")


def in_sight() -> dict[str, int]:
    """How many pods of each job answer Prometheus."""
    answering = seen('sum by (job) (up{job=~"betting-.*"})')
    return {found["job"].removeprefix("betting-"): int(found["value"]) for found in answering}


def test_1_an_install_takes_a_first_deposit_and_mails_it(release: Release) -> None:
    notes = release.install()
    run("helm", "test", "betting", f"--namespace={NAMESPACE}")
    with forward("service/betting-restate", 8080) as ingress, forward("service/betting-sandbox", 9090) as sandbox:
        body = PLAYER | {"amount": 100, "paymentMethod": "creditCard"}

        answer = ingress.post("/PaymentService/deposit", json=body).json()

        assert answer["status"] == "credited"
        until(lambda: [m for m in sandbox.get("/mails").json() if m["to"] == PLAYER["email"]], "the mail")
        assert "SANDBOX" in notes


def test_1a_nobody_else_reaches_admin_node_and_service_ports(release: Release) -> None:
    probe = """
import socket
for target in ("betting-restate:8080", "betting-restate:9070", "betting-restate:5122", "betting-v1:9080"):
    host, port = target.split(":")
    with socket.socket() as tried:
        tried.settimeout(3)
        print(target, tried.connect_ex((host, int(port))) == 0)
"""
    kubectl("apply", "--filename=-", given=pod("stranger", release.images["v1"], ["-c", probe]))
    kubectl("wait", "pod/stranger", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")

    reached = dict(line.split() for line in kubectl("logs", "stranger").splitlines())

    kubectl("delete", "pod", "stranger", "--wait=false")
    assert reached == {
        "betting-restate:8080": "True",
        "betting-restate:9070": "False",
        "betting-restate:5122": "False",
        "betting-v1:9080": "False",
    }


def test_1b_a_request_that_our_restate_did_not_sign_is_refused(release: Release) -> None:
    with forward("deploy/betting-v1", 9080) as service:
        assert service.get("/health").is_success
        assert service.post("/invoke/PlayerService/audit").status_code == 401
        assert service.get("/discover").status_code == 401


def test_1c_whoever_looks_sees_the_release(release: Release, look: Path) -> None:
    watch(look)

    until(lambda: in_sight() == {"books": 1, "release": 1, "restate": 1, "service": 2}, "all pods are scraped", 120)
    until(lambda: seen("sum(betting_deposits_total{outcome='credited'})")[0]["value"] == 2, "both deposits")
    assert [found["version"] for found in seen(panel("Takes new work"))] == ["v1"]
    assert seen(panel("Drains")) == []


def test_2_shipping_v2_under_load_fails_no_request_and_leaves_work_on_v1(release: Release) -> None:
    with forward("service/betting-restate", 8080) as ingress, forward("service/betting-restate-admin", 9070) as admin:
        in_review(ingress, "review-1")
        deposited(ingress, 5_000)
        opened(ingress, "before-the-game")
        opened(ingress, "in-play", betDelaySeconds=60)
        assert placed(ingress, "before-the-game") == "accepted"
        assert placed(ingress, "in-play") == "delayed"
        delayed = ingress.post("/WithdrawalWorkflow/nobody/status/send?delay=45s").json()["invocationId"]
        v1 = release.status()["v1"]["deployment"]
        assert which(ingress) == "v1"

        with load(release.images["v1"]) as told:
            time.sleep(3)
            release.upgrade(release.image("v2", "v2"), "current=v2")
            assert which(ingress) == "v2"
            time.sleep(3)

        assert told["failed attempts"] == 0, told
        assert told["sent"] == told["credited"] > 50
        assert pinned(admin, "review-1") == v1 != release.status()["v2"]["deployment"]
        held = release.why("v1")
        assert held["verdict"] == "draining"
        assert [held["handler"] for held in held["invocations"]] == ["WithdrawalWorkflow/review-1/run"]
        assert "review" in held["invocations"][0]["waiting_on"]
        until(lambda: [found["version"] for found in seen(panel("Takes new work"))] == ["v2"], "Versions shows v2 live")
        until(lambda: [found["version"] for found in seen(panel("Drains"))] == ["v1"], "Versions shows v1 draining")
        [holding] = seen(panel("In flight on versions that drain, by service"))
        assert (holding["version"], holding["service"], holding["value"]) == ("v1", "WithdrawalWorkflow", 1)
        ended = ingress.get(f"/restate/invocation/{delayed}/attach").json()
        assert "never was" in ended["message"], "what was only scheduled starts on the new version"


def test_3_a_drained_version_is_scaled_to_zero_and_deregistered(release: Release) -> None:
    with forward("service/betting-restate", 8080) as ingress, forward("service/betting-restate-admin", 9070) as admin:
        v1 = release.status()["v1"]["deployment"]
        assert pods("v1")

        approve(ingress, "review-1")

        assert pinned(admin, "review-1") == v1, "it ended where it began"
        until(lambda: retired(release, "v1"), "v1 is retired", 90)
        assert v1 not in [known["id"] for known in admin.get("/deployments").json()["deployments"]]
        until(lambda: not pods("v1"), "v1 has no pods")
        assert release.why("v1")["invocations"] == []
        until(lambda: seen(panel("Drains")) == [], "Versions shows no version draining")


def test_3a_bets_placed_on_v1_are_decided_and_settled_by_v2(release: Release, ingress: httpx.Client) -> None:
    assert "v1" not in release.status() or not pods("v1")
    assert bet(ingress, "before-the-game") == "open"
    until(lambda: bet(ingress, "in-play") == "open", "the bet in play is accepted after its delay", 90)

    for market in ("before-the-game", "in-play"):
        assert settled(ingress, market) == {"bets": 1, "settled": 1, "paid": 2_500, "done": True}

    assert audited(ingress, "bettor")["bettor"] == {
        "cash": 8_000,
        "locked": 0,
        "pendingOut": 0,
        "provider": -5_000,
        "house": -3_000,
        "adjustment": 0,
    }


def test_4_rollback_moves_routing_back_and_promote_forth(release: Release, ingress: httpx.Client) -> None:
    assert "plan:" in release.command("rollback", "v1", "--dry-run")
    assert which(ingress) == "v2"

    release.command("rollback", "v1")

    assert which(ingress) == "v1"
    in_review(ingress, "review-2")
    in_review(ingress, "review-3")
    time.sleep(6)
    assert which(ingress) == "v1", "the release loop leaves an operator's choice alone"
    release.command("promote", "v2")
    assert which(ingress) == "v2"


def test_5_a_forgotten_key_keeps_its_pods_until_it_is_drained(release: Release, ingress: httpx.Client) -> None:
    before = pods("v1")

    release.upgrade("versions.v1=null")

    time.sleep(8)
    assert set(pods("v1")) == set(before) != set()
    assert release.status()["v1"]["declared_image"] is None
    for name in ("review-2", "review-3"):
        approve(ingress, name)
    until(lambda: "v1" not in release.status(), "v1 is gone", 90)
    assert not get("services", "--selector=betting/version=v1")


def test_6_a_key_with_another_image_is_refused_before_anything_changes(release: Release, ingress: httpx.Client) -> None:
    before = pods("v2")

    said = release.upgrade(release.image("v2", "v1"), ok=False)

    assert "versions are immutable" in said
    assert (pods("v2"), which(ingress)) == (before, "v2")


@pytest.mark.parametrize(
    ("key", "setting", "reason"),
    [
        ("v3", "versions.v3.settings.BETTING_MAX_OPEN_BETS=none", "BETTING_MAX_OPEN_BETS"),
        ("v4", f"versions.v4.settings.BETTING_IDENTITY_KEYS={OTHERS_KEY}", "signature"),
    ],
    ids=["crashes at start", "cannot be registered"],
)
def test_6a_a_bad_version_fails_the_upgrade_with_the_reason(
    release: Release, ingress: httpx.Client, key: str, setting: str, reason: str
) -> None:
    said = release.upgrade(release.image(key, "v1"), setting, f"current={key}", "release.deadlineSeconds=20", ok=False)

    assert reason in said
    assert which(ingress) == "v2"
    release.upgrade(f"versions.{key}=null", "current=v2", "release.deadlineSeconds=60")
    until(lambda: key not in release.status(), f"{key} is gone", 90)
    assert which(ingress) == "v2"


def test_7_killed_pods_lose_no_request_and_no_money(release: Release) -> None:
    with load(release.images["v1"]) as told:
        time.sleep(3)
        for pod in pods("v2"):
            kubectl("delete", "pod", pod, "--grace-period=1", "--wait=false")
        time.sleep(10)
        kubectl("delete", "pod", "betting-restate-0", "--grace-period=1")
        kubectl("wait", "pod/betting-restate-0", "--for=condition=Ready", "--timeout=90s")
        time.sleep(10)

    assert told["sent"] == told["credited"] > 50, told
    with forward("service/betting-restate", 8080) as ingress, forward("service/betting-sandbox", 9090) as sandbox:
        moved = [
            *sandbox.get("/charges").json(),
            *({**p, "amount": -p["amount"]} for p in sandbox.get("/payouts").json()),
        ]
        wallets = [wallet for player in players() for wallet in audited(ingress, player).values()]
        assert sum(-wallet["provider"] for wallet in wallets) == sum(payment["amount"] for payment in moved)


def players() -> list[str]:
    return [
        PLAYER["userId"],
        "helm-test",
        "bettor",
        *(f"review-{n}" for n in (1, 2, 3)),
        *(f"load-{n}" for n in range(4)),
    ]


def audited(ingress: httpx.Client, player: str) -> dict[str, Any]:
    audit = ingress.post(f"/PlayerService/{player}/audit").json()
    assert audit["balanced"] is True, f"{player}: {json.dumps(audit)}"
    wallets: dict[str, Any] = audit["wallets"]
    return wallets


def test_8_an_uninstall_leaves_nothing_but_the_volumes_that_notes_named(release: Release, look: Path) -> None:
    unwatch(look)
    named = {
        line.strip().removeprefix("persistentvolumeclaim/")
        for line in run("helm", "get", "notes", "betting", f"--namespace={NAMESPACE}").splitlines()
        if line.strip().startswith("persistentvolumeclaim/")
    }

    run("helm", "uninstall", "betting", f"--namespace={NAMESPACE}", "--wait", f"--timeout={COMMAND_SECONDS}s")

    kinds = "deploy,sts,job,pod,svc,pdb,secret,cm,sa,role,rolebinding,netpol,pvc"
    until(lambda: left(kinds) == named, f"only {named} is left of {left(kinds)}")


def left(kinds: str) -> set[str]:
    everyones = {"default", "kube-root-ca.crt"}
    return {found["metadata"]["name"] for found in get(kinds)} - everyones
