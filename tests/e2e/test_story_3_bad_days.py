"""A release on a real cluster, on bad days: what the gates refuse, what the watch takes back, and what needs a cure."""

import json
from typing import Any

import httpx
import pytest

from tests.e2e.people import AUDITOR, approve, audited, deposited, in_review, opened, which
from tests.e2e.running import MANY_BETS, Release, admin_port, kubectl, load, pods, rows, until

pytestmark = pytest.mark.e2e

BETTORS = 6


def known(admin: httpx.Client, key: str) -> list[str]:
    """How Restate knows a version, if it does."""
    told = admin.get("/deployments").json()["deployments"]
    return [found["id"] for found in told if f"betting-{key}." in found["uri"]]


def ship(release: Release, key: str, image: str, *others: str, ok: bool | None = True) -> str:
    return release.upgrade(release.image(key, image), f"versions.{key}.{MANY_BETS}", f"current={key}", *others, ok=ok)


def test_9_work_is_in_flight(release: Release, users: httpx.Client) -> None:
    assert which(users) == "v2"
    opened(users, "bad-days")
    for number in range(BETTORS):
        deposited(users, f"bets-{number}", 5_000)
    in_review(users, "review-9")


@pytest.mark.parametrize(
    ("key", "finding"),
    [
        ("v3", "contract: MarketService/exists: handler removed"),
        ("v4", "contract: PaymentService/deposit: input needs referral"),
        ("v5", "replay: WithdrawalWorkflow/run: does not go on with work in flight"),
        ("v6", "state: PlayerService/player: cannot be read"),
    ],
    ids=["drops a handler", "narrows a request", "takes other steps", "cannot read what is stored"],
)
def test_9a_what_would_break_something_never_serves(
    release: Release, users: httpx.Client, key: str, finding: str
) -> None:
    said = ship(release, key, "bad", ok=False)

    assert finding in said
    assert which(users) == "v2"
    until(lambda: not pods(key), f"{key} has no pods")
    with admin_port() as admin:
        assert known(admin, key) == []
    assert finding.partition(": ")[2] in release.command("history")
    release.upgrade(f"versions.{key}=null", "current=v2")


def test_9b_check_tells_the_same_and_changes_nothing(release: Release, users: httpx.Client) -> None:
    release.upgrade(release.image("v3", "bad"), "current=v2")

    asked = ("check", "v3", "--gate=contract", "--output=json", "--patience=0")
    told = json.loads(release.command(*asked, ok=False).splitlines()[0])

    assert told["passed"] is False
    assert [found["what"] for gate in told["gates"] for found in gate["findings"]] == ["handler removed"]
    assert "contract: passed" in release.command("check", "v2", "--gate=contract")
    assert which(users) == "v2"
    release.upgrade("versions.v3=null", "current=v2")


@pytest.mark.parametrize(("key", "reason"), [("v7", "failed"), ("v9", "took longer")], ids=["fails", "is slow"])
def test_9c_what_is_worse_under_load_goes_back_by_itself(
    release: Release, users: httpx.Client, key: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with load(release.images["v1"], BETTORS, "bets") as told:
        ship(release, key, "bad", "release.watch.seconds=60", ok=None)  # fails if it is taken back at once
        until(lambda: release.status()["v2"]["verdict"] == "live", f"{key} is taken back")

    with capsys.disabled():
        print(f"\nwhile {key} was live: {told}\n{release.command('history')}")
    assert told["sent"] == told["succeeded"] > 50, told
    [entry] = [each for each in history(release) if (each["version"], each["event"]) == (key, "taken back")]
    assert reason in str(entry)
    assert "PlayerService/placeBet" in str(entry)
    assert "was taken back" in release.command("promote", key, ok=False)


def test_9d_what_spoils_the_books_goes_back_by_itself(release: Release, users: httpx.Client) -> None:
    ship(release, "v8", "bad", "release.watch.seconds=60")
    deposited(users, "spoilt", 3_000)

    until(lambda: release.status()["v2"]["verdict"] == "live", "v8 is taken back")
    [entry] = [each for each in history(release) if (each["version"], each["event"]) == ("v8", "taken back")]
    assert "the books balanced before it went live, and do not now" in str(entry)

    stopped = release.command("check", "v2", "--gate=books", "--patience=0", ok=False)
    assert "do not balance" in stopped
    with admin_port() as admin:
        mend(admin, "spoilt")
    until(lambda: users.post("/PlayerService/spoilt/audit", auth=AUDITOR).json()["balanced"], "the document is mended")
    passed = ("check", "v2", "--gate=books", "--patience=0")
    until(lambda: "books: passed" in release.command(*passed, ok=None), "the bookkeeper has looked again")
    release.upgrade("current=v2")


def mend(admin: httpx.Client, key: str) -> None:
    """Put right a wallet that does not sum to zero, as its runbook says: no entry can."""
    where = f"where service_name = 'PlayerService' and service_key = '{key}'"
    state = {row["key"]: bytes.fromhex(row["value"]) for row in rows(admin, f"select key, value from state {where}")}
    document = json.loads(state["player"])
    accounts = document["wallets"][key]["accounts"]
    accounts["cash"] -= sum(accounts.values())
    document["entries"][-1]["cashAfter"] = accounts["cash"]
    state["player"] = json.dumps(document).encode()
    content = {"object_key": key, "new_state": {name: list(value) for name, value in state.items()}}
    assert admin.post("/services/PlayerService/state", json=content).is_success


def history(release: Release) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(release.command("history", "--output=json"))
    return told


def test_9e_what_leaves_work_paused_is_cured_by_the_next_version(release: Release, users: httpx.Client) -> None:
    ship(release, "v10", "bad", "release.watch.seconds=0")
    in_review(users, "paused-1")
    until(lambda: release.status()["v10"]["in_flight"].get("paused") == 1, "its work is paused")

    ship(release, "v11", "v2", "release.watch.seconds=0")

    assert which(users) == "v2", "v11 has v2's code"
    assert "goes on" in release.command("rescue", "v10", "--dry-run")
    assert "resumed" in release.command("rescue", "v10")
    approve(users, "paused-1")
    approve(users, "review-9")
    for player in ("paused-1", "review-9", "spoilt", *(f"bets-{number}" for number in range(BETTORS))):
        audited(users, player)
    until(lambda: "v10" not in release.status() or not pods("v10"), "v10 is retired")


def test_9f_a_version_without_room_fails_its_upgrade_and_goes_live_once_there_is_room(release: Release) -> None:
    too_much = "versions.v12.resources.requests.cpu=1000"

    said = ship(release, "v12", "v2", too_much, "release.deadlineSeconds=30", ok=False)

    assert "v12 is not live after 30 s: 0/1 nodes are available" in said
    assert release.status()["v11"]["verdict"] == "live"
    kubectl("set", "resources", "deploy/betting-v12", "--requests=cpu=10m")
    until(lambda: release.status()["v12"]["verdict"] == "live", "the release loop brings v12 live")
