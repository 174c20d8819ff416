"""Withdrawals: what a test asks for, and what has become of them."""

import httpx

from tests.helpers.deposits import credited, request
from tests.running import System

THRESHOLD = 100_000


def rich(betting: System, amount: int = 1_000) -> dict[str, object]:
    """A player with this much in the wallet: the request that brought it there."""
    body = request(amount=amount)
    if amount > 10_000:
        key = str(body["userId"])
        limit = {"kind": "deposit", "period": "week"}

        def is_confirmed() -> bool:
            confirmed = betting.call("PlayerService", "confirmLimit", limit, key=key)
            if confirmed.is_success:
                return True
            if confirmed.json()["metadata"]["reason"] != "cooling_off":  # there is none yet, or its time is over
                betting.call("PlayerService", "setLimit", limit | {"amount": None}, key=key).raise_for_status()
            return False

        betting.eventually(is_confirmed)
    credited(betting, body)
    return body


def withdraw(betting: System, player: dict[str, object], status: int = 200, **fields: object) -> dict:  # type: ignore[type-arg]
    body = {"walletId": player["walletId"], "userId": player["userId"], "destination": "bank", "amount": 300, **fields}
    response = betting.call("PaymentService", "withdraw", body)
    assert response.status_code == status, response.text
    return response.json()  # type: ignore[no-any-return]


def balance(betting: System, player: dict[str, object]) -> tuple[int, int]:
    """Cash and what is on its way out, of a player whose book is balanced."""
    key = str(player["userId"])
    assert betting.call("PlayerService", "audit", key=key).json()["balanced"] is True
    wallet = betting.call("PlayerService", "getAccount", key=key).json()["wallets"][player["walletId"]]
    return wallet["cash"], wallet["pendingOut"]


def status(betting: System, withdrawal_id: str) -> str:
    return betting.call("WithdrawalWorkflow", "status", key=withdrawal_id).json()["status"]  # type: ignore[no-any-return]


def paid_out(betting: System, withdrawal_id: str) -> list[int]:
    return [payout["amount"] for payout in betting.payouts(withdrawal_id)]


def at_the_provider(betting: System, name: str, what: str) -> None:
    """Let something become of a payout there, of which the service is told twice."""
    answer = httpx.post(f"{betting.sandbox}/payouts/{name}/{what}", trust_env=False)
    assert answer.is_success, answer.text


def stop(betting: System, how: str, withdrawal_id: str) -> None:
    """Cancel or kill the run of a withdrawal, as an operator can."""
    wanted = f"target_service_key = '{withdrawal_id}' and target_handler_name = 'run' and status != 'completed'"
    found = betting.eventually(lambda: betting.query(f"select id from sys_invocation where {wanted}"))
    httpx.patch(f"{betting.admin}/invocations/{found[0]['id']}/{how}", trust_env=False).raise_for_status()
    betting.eventually(lambda: not betting.query(f"select id from sys_invocation where {wanted}"))
