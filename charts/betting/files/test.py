"""The first thing a player does, by the address where players come in; exits with 1 unless it works.

"deposit" and "look" are about a player of its own, "anyone" is what needs no token.
"""

import os
import ssl
import subprocess
import sys

import httpx

PLAYER = "helm-test"
DEPOSIT = {
    "walletId": PLAYER,
    "userId": PLAYER,
    "email": "helm-test@example.com",
    "amount": 1,
    "paymentMethod": "creditCard",
}
CERTIFICATE = "/tls/tls.crt"

entrance, what = sys.argv[1:]


def token() -> str:
    """Sign a token for the player with the sandbox's key."""
    return subprocess.check_output(["betting", "token", PLAYER, "--minutes", "5"], text=True).strip()  # noqa: S603, S607


def trusted() -> ssl.SSLContext:
    """Trust the certificate that the door has, and no other; it is made out to another name than the Service's."""
    context = ssl.create_default_context(cafile=CERTIFICATE if os.path.exists(CERTIFICATE) else None)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


# Without a door, Restate takes our own pods' word for who they are.
who = {"authorization": f"Bearer {token()}"} if "BETTING_TOKEN_KEY" in os.environ else {"x-betting-user": PLAYER}
with httpx.Client(base_url=entrance, headers=who, verify=trusted(), timeout=httpx.Timeout(60, connect=5)) as http:
    if what == "deposit":
        answer = http.post("/PaymentService/deposit", json=DEPOSIT)
        works = answer.is_success and answer.json()["status"] == "credited"
    elif what == "look":
        answer = http.post(f"/PlayerService/{PLAYER}/getAccount")
        works = answer.is_success
    else:
        print("The issuer gives this test no token: it asks for a market, as anyone may, and is refused an account.")
        market = http.post(f"/MarketService/{PLAYER}/get")
        print(market.status_code, market.text)
        answer = http.post(f"/PlayerService/{PLAYER}/getAccount")
        reasons = [each.json()["metadata"]["reason"] for each in (market, answer)]
        works = reasons == ["unknown_market", "unauthenticated"]
print(answer.status_code, answer.text)
sys.exit(not works)
