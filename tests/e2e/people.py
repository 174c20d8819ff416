"""What players and operators do through the door."""

import json
from typing import Any

import httpx

from tests.e2e.running import by, door, forward, until

LOAD_PLAYERS = 12
"""Those who deposit without a pause: so many that Restate needs several connections."""
PLAYER = {"walletId": "exampleWalletId", "userId": "exampleUserId", "email": "example@example.com"}
TRADER, PAYMENTS, AUDITOR = by("tom", "trader"), by("pat", "payments"), by("ada", "auditor")


def which(users: httpx.Client) -> str:
    """The version that answers: its words for a withdrawal that is not there."""
    said = users.post("/WithdrawalWorkflow/nobody/status", auth=PAYMENTS).json()["message"]
    return "v2" if "never was" in said else "v1"


def deposited(users: httpx.Client, name: str, amount: int) -> None:
    body = {"amount": amount, "paymentMethod": "creditCard", "email": f"{name}@example.com"}
    body |= {"userId": name, "walletId": name}
    assert users.post("/PaymentService/deposit", json=body, auth=by(name)).json()["status"] == "credited"


def in_review(users: httpx.Client, name: str) -> None:
    """A withdrawal that waits for a human."""
    deposited(users, name, 9_000)
    body = {"userId": name, "walletId": name, "amount": 6_000, "destination": "bank", "withdrawalId": name}
    assert users.post("/PaymentService/withdraw", json=body, auth=by(name)).json()["status"] == "inReview"


def opened(users: httpx.Client, market: str, **fields: object) -> None:
    selections = [{"selectionId": name, "name": name, "price": "2.50"} for name in ("home", "away")]
    body = {"name": market, "selections": selections, **fields}
    assert users.post(f"/MarketService/{market}/open", json=body, auth=TRADER).is_success


def placed(users: httpx.Client, market: str) -> str:
    """A bet of 1000 on the home win, and how it stands."""
    legs = [{"marketId": market, "selectionId": "home", "price": "2.50"}]
    body = {"betId": market, "walletId": "bettor", "stake": 1_000, "legs": legs}
    return str(users.post("/PlayerService/bettor/placeBet", json=body, auth=by("bettor")).json()["status"])


def bet(users: httpx.Client, market: str) -> str:
    answer = users.post("/PlayerService/bettor/getBet", json={"betId": market}, auth=by("bettor"))
    return str(answer.json()["status"])


def settled(users: httpx.Client, market: str) -> dict[str, Any]:
    """The home win has won; how its settlement ended."""
    body = {"version": 1, "outcomes": {"home": {"result": "won"}, "away": {"result": "lost"}}}
    answer = users.post(f"/MarketService/{market}/settle", json=body, auth=TRADER).json()
    path = f"/SettlementWorkflow/{answer['settlementId']}/progress"
    until(lambda: users.post(path, auth=TRADER).json()["done"], f"{market} is settled")
    progress: dict[str, Any] = users.post(path, auth=TRADER).json()
    return progress


def approve(users: httpx.Client, name: str) -> None:
    path = f"/WithdrawalWorkflow/{name}"
    assert users.post(f"{path}/approve", json={}, auth=PAYMENTS).is_success
    until(lambda: users.post(f"{path}/status", auth=PAYMENTS).json()["status"] == "paid", f"{name} is paid")


def reason(answer: httpx.Response) -> tuple[str, str]:
    """Who refuses a request, and why."""
    told = answer.json()
    return told["source"], told["metadata"]["reason"]


def by_whom(users: httpx.Client, player: str) -> list[tuple[str, str]]:
    """Each movement of a player, and who caused it as `role:user`."""
    entries = users.post(f"/PlayerService/{player}/getStatement", auth=AUDITOR).json()["entries"]
    return [(entry["kind"], f"{entry['by']['role']}:{entry['by']['user']}") for entry in entries]


def players() -> list[str]:
    return [
        PLAYER["userId"],
        "helm-test",
        "ann",
        "ben",
        "bettor",
        *(f"review-{n}" for n in (1, 2, 3)),
        *(f"deposits-{n}" for n in range(LOAD_PLAYERS)),
    ]


def money_agrees(*players: str) -> None:
    """What the provider has moved is what the books of these players say, and they are balanced."""
    with door() as users, forward("service/betting-sandbox", 9090) as sandbox:
        moved = [
            *sandbox.get("/charges").json(),
            *({**p, "amount": -p["amount"]} for p in sandbox.get("/payouts").json()),
        ]
        wallets = [wallet for player in players for wallet in audited(users, player).values()]
    assert sum(-wallet["provider"] for wallet in wallets) == sum(payment["amount"] for payment in moved)


def audited(users: httpx.Client, player: str) -> dict[str, Any]:
    audit = users.post(f"/PlayerService/{player}/audit", auth=AUDITOR).json()
    assert audit["balanced"] is True, f"{player}: {json.dumps(audit)}"
    wallets: dict[str, Any] = audit["wallets"]
    return wallets
